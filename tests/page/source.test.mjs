import assert from 'node:assert/strict';
import { test } from 'node:test';

/** A log: the answers of thrumd have at most so many events, as if these were long. */
let log = [], most = 60, asked = [];
const methods = {
  'event.list': ({ before = Infinity, after, limit, project }) => {
    const all = log.filter((it) => !project || it.event.project === project);
    const found = after === undefined ? all.filter((it) => it.sequence < before).slice(-Math.min(limit, most)) : all.filter((it) => it.sequence > after).slice(0, Math.min(limit, most));
    return { events: found, next: found.at(-1)?.sequence ?? after ?? 0, more_available: after !== undefined && all.at(-1)?.sequence > found.at(-1)?.sequence };
  },
  'message.list': ({ before = Infinity, after, limit, project }) => {
    const all = log.filter((it) => it.event.type === 'message.sent' && (!project || it.event.project === project)).map(({ sequence }) => ({ sequence }));
    const found = after === undefined ? all.filter((it) => it.sequence < before).reverse() : all.filter((it) => it.sequence > after);
    const messages = found.slice(0, limit);
    return { messages, next: found.length > messages.length ? messages.at(-1).sequence : undefined, read_seq: log.length, epoch: 'e' };
  },
};
globalThis.sessionStorage = { getItem: () => 'bearer' };
globalThis.fetch = async (path, { body }) => {
  const { method, params } = JSON.parse(body);
  asked.push(method);
  return new Response(JSON.stringify({ result: methods[method](params) }));
};
const { page } = await import('../../thrum-ctl/src/ui/page/source.js');
const { model } = await import('../../thrum-ctl/src/ui/page/model.js');

const logOf = (count) => Array.from({ length: count }, (_, at) => ({
  sequence: at + 1, event: { type: at % 3 === 0 ? 'message.sent' : 'agent.joined', project: at < count / 2 ? 'old' : 'new' } }));

/** Reads back to the beginning. */
async function all() {
  const found = [];
  let pages = 0;
  for (let before; before !== null; pages++) {
    assert.ok(pages < 200);
    const answer = await page({ before });
    found.unshift(...answer.found.map((row) => row.sequence));
    before = answer.before;
  }
  return { found, pages };
}

test('with system events the whole log is read back, also if the events are so long that pages are short', async () => {
  Object.assign(model, { events: true, project: null });
  log = logOf(1000);
  for (most of [60, 7, 1]) {
    if (most === 1) log = logOf(100);
    asked = [];
    const { found, pages } = await all();
    assert.deepEqual(found, log.map((it) => it.sequence));
    assert.ok(asked.length <= 2 * pages + 2, `${asked.length} requests for ${pages} pages`);
  }
});

test('the events of a project begin later than the log', async () => {
  Object.assign(model, { events: true, project: 'new' });
  [log, most] = [logOf(200), 60];
  assert.deepEqual((await all()).found, log.slice(100).map((it) => it.sequence));
  model.project = 'none';
  assert.deepEqual(await all(), { found: [], pages: 1 });
});

test('what is new comes after the last page, without and with system events', async () => {
  log = logOf(90);
  for (const events of [false, true]) {
    Object.assign(model, { events, project: null });
    const first = await page({ after: 3 });
    const second = await page({ after: first.after });
    const expected = log.slice(3).filter((it) => events || it.event.type === 'message.sent').map((it) => it.sequence);
    assert.deepEqual([...first.found, ...second.found].map((row) => row.sequence), expected);
    assert.deepEqual([second.isMore, second.after, second.epoch], [false, 90, 'e']);
  }
});
