import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

/** What a browser has: the stream of each attempt is written by the test. */
const streams = [];
let session = 200;
const kept = new Map();
const page = {
  document: Object.assign(new EventTarget(), { hidden: false }),
  addEventListener: () => {},
  navigator: {},
  sessionStorage: { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key) },
  BroadcastChannel: class {
    static posted = [];
    postMessage(line) { BroadcastChannel.posted.push(line); }
    close() {}
  },
  fetch: async (path, { signal } = {}) => {
    if (path === '/session') {
      if (session === 'refused') throw new TypeError('Failed to fetch');
      return new Response('{}', { status: session });
    }
    let writer;
    const body = new ReadableStream({ start(controller) { writer = controller; } });
    streams.push({ say: (text) => writer.enqueue(new TextEncoder().encode(text)), end: () => writer.close() });
    return new Promise((answer, refuse) => {
      signal.addEventListener('abort', () => {
        refuse(signal.reason);
        try {
          writer.error(signal.reason);
        } catch {
          // It was closed.
        }
      });
      answer(new Response(body));
    });
  },
};
for (const [name, value] of Object.entries(page)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });

/** Lets everything happen that waits for nothing. */
const settle = async () => {
  for (let turn = 0; turn < 40; turn++) await new Promise((wake) => setImmediate(wake));
};
const after = async (seconds) => {
  mock.timers.tick(seconds * 1000);
  await settle();
};

/** A page that follows, with modules of its own. */
async function following() {
  const copy = `?${Math.random()}`;
  const api = await import('../../thrum-ctl/src/ui/page/api.js');
  const { follow } = await import(`../../thrum-ctl/src/ui/page/live.js${copy}`);
  const told = [];
  let ends = 0;
  api.onEnd(() => { ends += 1; });
  follow((line) => told.push(line), 'id');
  await settle();
  return { told, ends: () => ends };
}

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_800_000_000_000 });
  streams.length = 0;
  session = 200;
});

test('a stream that never says anything is told', async () => {
  const { told } = await following();
  assert.equal(streams.length, 1);
  await after(21);
  assert.match(told[0].away.why, /thrum ui/);
  assert.equal(streams.length, 2, 'and another one is asked for');
});

test('a stream that goes quiet is opened again, and told if the next one is quiet, too', async () => {
  const { told } = await following();
  streams[0].say('{"change":{"head_seq":1}}\n');
  await settle();
  await after(30);
  streams[0].say('\n');
  await settle();
  await after(30);
  assert.equal(streams.length, 1, 'an empty line is a sign of life');
  await after(16);
  assert.equal(streams.length, 2);
  assert.deepEqual(told, [{ change: { head_seq: 1 } }], 'a moment is not told');
  await after(21);
  assert.equal(told.length, 2);
  assert.equal(told[1].away.since, new Date(1_800_000_030_000).toISOString());
  for (let attempt = 2; attempt < 6; attempt++) {
    assert.equal(streams.length, attempt + 1);
    await after(21);
  }
  streams.at(-1).say('{"change":{"head_seq":2}}\n');
  await settle();
  assert.deepEqual(told.at(-1), { change: { head_seq: 2 } });
});

test('a stream that breaks while thrum ui is there is opened again', async () => {
  const { told, ends } = await following();
  streams[0].say('{"change":{}}\n');
  await settle();
  streams[0].end();
  await settle();
  assert.equal(streams.length, 1);
  // The look whether it is there, and the wait before the next attempt.
  for (let turn = 0; turn < 4; turn++) await after(1);
  assert.equal(streams.length, 2);
  assert.equal(told.at(-1).away.why, 'thrum ui has closed the stream');
  assert.equal(ends(), 0);
});

test('when nothing listens any more the session is over, for all tabs, and nothing more is asked', async () => {
  const { ends } = await following();
  streams[0].say('{"change":{}}\n');
  await settle();
  session = 'refused';
  streams[0].end();
  await settle();
  assert.equal(ends(), 0, 'not after one attempt');
  for (let turn = 0; turn < 4; turn++) await after(1);
  assert.equal(ends(), 1);
  assert.deepEqual(BroadcastChannel.posted.at(-1), { ended: true });
  // Another program takes the port.
  session = 200;
  for (let turn = 0; turn < 4; turn++) await after(60);
  assert.equal(streams.length, 1);
  const { Ended, rpc } = await import('../../thrum-ctl/src/ui/page/api.js');
  await assert.rejects(rpc('status'), Ended);
});
