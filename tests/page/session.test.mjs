import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

const kept = new Map();
let answers, asked;
const page = {
  location: { hash: '', pathname: '/' },
  history: { replaceState: (state, title, path) => { page.location.hash = path.split('#')[1] ?? ''; } },
  sessionStorage: { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key) },
  fetch: async (path, { method, headers }) => {
    asked.push(method ?? headers.authorization);
    const [status, body] = answers.shift() ?? [];
    if (!status) throw new TypeError('Failed to fetch');
    return new Response(JSON.stringify(body ?? {}), { status });
  },
};
for (const [name, value] of Object.entries(page)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
const { begin } = await import('../../thrum-ctl/src/ui/page/api.js');

const opened = (hash, ...script) => {
  page.location.hash = hash;
  [answers, asked] = [script, []];
  return begin();
};
beforeEach(() => kept.clear());

test('a token is kept in the address until it was taken or is refused', async () => {
  for (const status of [429, 503, undefined]) {
    assert.deepEqual(await opened('#t=key', [status]), { reason: 'later' });
    assert.equal(page.location.hash, '#t=key', 'it can be tried again');
  }
  assert.deepEqual(await opened('#t=key', [401]), { reason: 'used-token' });
  assert.equal(page.location.hash, '');
  const { session } = await opened('#t=key', [200, { bearer: 'b', me: 'alice', id: '7' }]);
  assert.deepEqual([session, page.location.hash, asked], [{ me: 'alice', id: '7' }, '', ['POST']]);
});

test('an earlier load of the tab is gone on with, and its session has ended only if thrum ui says so', async () => {
  assert.deepEqual(await opened(''), { reason: 'no-token' });
  await opened('#t=key', [200, { bearer: 'b', id: '7' }]);
  for (const status of [503, undefined]) assert.deepEqual(await opened('', [status]), { reason: 'later' });
  assert.deepEqual((await opened('', [200, { id: '7' }])).session, { id: '7' });
  assert.deepEqual(asked, ['Bearer b']);
  // A used key in the address of a tab that is in already, such as one that was reloaded.
  assert.deepEqual((await opened('#t=key', [401], [200, { id: '7' }])).session, { id: '7' });
  assert.deepEqual(await opened('', [401]), { reason: 'ended' });
  assert.deepEqual(await opened(''), { reason: 'no-token' });
});

test('tabs of one session know one another also without an id from thrum ui, and those of another one do not', async () => {
  const id = async (bearer) => (await opened('#t=key', [200, { bearer }])).session.id;
  assert.match(await id('b'), /^[0-9a-f]{32}$/);
  assert.equal(await id('b'), await id('b'));
  assert.notEqual(await id('b'), await id('c'));
});
