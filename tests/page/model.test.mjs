import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drafts, names, toType, typed, ulid } from '../../thrum-ctl/src/ui/page/composer.js';
import * as model from '../../thrum-ctl/src/ui/page/model.js';

const agent = (name, state, of = {}) => ({ name, state, machine: 'my-laptop', project: 'app', ...of });

test('whoever needs a person comes first, and who was removed last', () => {
  const agents = [agent('a', 'gone'), agent('b', 'idle'), agent('c', 'needs_you', { removed: true }), agent('d', 'working'), agent('e', 'needs_you')];
  assert.deepEqual(model.sorted(agents).map((it) => it.name), ['e', 'd', 'b', 'a', 'c']);
  assert.equal(model.needs(agents), '1 agent needs you', 'one that was removed needs nobody');
  assert.equal(model.needs([]), 'nobody needs you');
});

test('the header counts machines that are behind, and others that were not reached', () => {
  const peers = [{ state: 'in_sync', they_lack: 0, we_lack: 0 }, { state: 'backing_off', they_lack: 31 }, { state: 'never_reached' }];
  assert.equal(model.machines({ peers }), '4 machines, 1 behind, 1 not reached');
  assert.equal(model.machines({ peers: [] }), '1 machine');
  assert.equal(model.title(2, 'my-laptop'), '(2) thrum · my-laptop');
  assert.equal(model.title(0), 'thrum');
});

test('the question shown is that of the session that asks', () => {
  const sessions = [{ state: 'working', task: 'x' }, { state: 'needs_you', question: 'may I?' }];
  assert.equal(model.deciding(agent('a', 'needs_you', { sessions })).question, 'may I?');
  assert.equal(model.deciding(agent('a', 'unreachable', { sessions })).task, 'x');
  assert.equal(model.deciding(agent('a', 'gone')), undefined);
});

test('views that are far behind are told', () => {
  const status = (read) => ({ views: { read_seq: read }, log: { head_seq: 48_201 } });
  assert.deepEqual(model.indexing(status(12_000)), { read: 12_000, head: 48_201 });
  assert.deepEqual([model.indexing(status(48_000)), model.indexing(status(undefined)), model.indexing(null)], [null, null, null]);
});

test('recipients are separated by commas or spaces, and those on two machines can be told apart', () => {
  assert.deepEqual(typed(' coder, tester  @reviewers,coder '), ['coder', 'tester', '@reviewers']);
  const agents = [agent('coder', 'idle'), agent('coder', 'idle', { machine: 'gpu-box' }), agent('docs', 'gone', { project: 'site' }), agent('old', 'gone', { removed: true })];
  assert.deepEqual(names(agents, [{ name: 'reviewers' }], 'app'), ['@reviewers', 'coder', 'coder@gpu-box', 'coder@my-laptop']);
});

test('a machine whose name is not one plain word is typed by its id', () => {
  const of = (machine) => toType({ machine, daemon_id: 'd_01K' });
  for (const machine of ['gpu-box', 'My.Mac_2']) assert.equal(of(machine), machine);
  for (const machine of ['My Mac', 'laptop (d_01K..7G)', 'büro', 'd_01Z', 'D_x', '', 'a,b', undefined]) assert.equal(of(machine), 'd_01K');
  const agents = ['My Mac', 'gpu-box'].map((machine, at) => agent('coder', 'idle', { machine, daemon_id: `d_0${at}` }));
  assert.deepEqual(names(agents, [], 'app').flatMap(typed), ['coder', 'coder@d_00', 'coder@gpu-box']);
});

test('a machine that can’t be reached has no path, whatever was measured before', () => {
  const path = { direct: true, round_trip_us: 3000 };
  model.model.paths.set('d_2', path);
  const of = (state) => model.pathTo({ daemon_id: 'd_2', state });
  assert.deepEqual(['in_sync', 'catching_up', 'backing_off', 'off'].map(of), [path, path, undefined, undefined]);
});

test('an id is a ULID of now', () => {
  assert.equal(ulid(1469918176385, new Uint8Array(16)), '01ARYZ6S410000000000000000');
  assert.match(ulid(), /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
});

test('a second try of the same content has the same id, other content has another one', () => {
  let made = 0;
  const draft = drafts(() => `id ${++made}`);
  const send = (text) => draft.id({ to: ['coder'], text });
  assert.deepEqual([send('a'), send('a'), send('b'), send('b')], ['id 1', 'id 1', 'id 2', 'id 2']);
  draft.sent();
  assert.equal(send('b'), 'id 3', 'the same text once more is another message');
  const again = { to: ['codr'], text: 'b' };
  const anyway = draft.id({ ...again, anyway: true });
  assert.equal(draft.id(again), anyway, 'after a lost answer it is sent without another click');
});

test('one’s own messages are those from this machine: a namesake elsewhere is somebody else', () => {
  Object.assign(model.model, { me: 'alice', status: { daemon_id: 'd_1' } });
  const of = (from, origin_daemon) => model.isOwn({ from, origin_daemon });
  assert.deepEqual([of('alice', 'd_1'), of('alice', 'd_2'), of('bob', 'd_1')], [true, false, false]);
  model.model.me = null;
  assert.equal(of(null, 'd_1'), false);
});
