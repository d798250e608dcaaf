import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as format from '../../thrum-ctl/src/ui/page/format.js';

const NOW = Date.parse('2026-12-01T12:00:00Z');
const at = (ms) => new Date(NOW - ms).toISOString();
const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const recipient = (of) => ({ agent: 'reviewer', machine: 'office-server', state: 'there', daemon_id: 'd_01K0000', ...of });

test('ages are short, and the day before has a name', () => {
  const cases = [[5000, '<1 min'], [4 * MINUTE, '4 min'], [23 * HOUR, '23 h'], [DAY, 'yesterday'], [2 * DAY, '2 d'], [-5000, '<1 min']];
  for (const [ms, text] of cases) assert.equal(format.age(at(ms), NOW), text);
  assert.deepEqual([format.ago(at(4 * MINUTE), NOW), format.ago(at(DAY), NOW)], ['4 min ago', 'yesterday']);
  assert.deepEqual([format.count(0), format.count(999), format.count(48_201), format.count(1_000_000)], ['0', '999', '48,201', '1,000,000']);
  assert.equal(format.shortId('d_01KABCDEFGHJKMNPQRSTVWXY000000000000000000000000007G'), 'd_01K..7G');
});

test('what keeps a message has the words of the command line', () => {
  const cases = [
    [{ obstacle: 'not_shown', live: 'waiting' }, 'a session is waiting for it'],
    [{ obstacle: 'not_shown', live: 'working', reach: 'hooks' }, 'a session is working: it sees it at its next step'],
    [{ obstacle: 'not_shown', live: 'working' }, 'a session is working, and has not shown it yet'],
    [{ obstacle: 'not_shown', live: 'idle', reach: 'wake' }, 'a session is idle: it is woken'],
    [{ obstacle: 'not_shown', live: 'needs_you' }, 'its session waits for a person, and has not shown it yet'],
    [{ obstacle: 'not_shown', live: 'gone' }, 'not shown yet'],
    [{ obstacle: 'no_session' }, 'no session: it waits in the inbox'],
    [{ obstacle: 'unreachable', behind: 1031, since: at(4 * MINUTE) }, 'office-server is 1,031 behind, unreachable for 4 min'],
    [{ obstacle: 'unreachable', since: at(DAY) }, 'office-server is unreachable since yesterday'],
    [{ obstacle: 'behind', behind: 31 }, 'office-server is 31 behind'],
    [{ obstacle: 'behind' }, 'on its way to office-server'],
    [{ obstacle: 'unknown_name', machine: undefined, daemon_id: undefined }, 'nobody has seen an agent of this name: it waits for one'],
    [{ obstacle: 'relayed', machine: 'a\u202eb' }, 'a\\u{202e}b is no peer of this machine, and has not said yet that it is there'],
    [{ obstacle: 'of_a_later_version' }, undefined], [{}, undefined],
  ];
  for (const [of, text] of cases) assert.equal(format.obstacle(recipient(of), NOW), text);
});

test('progress has every step that is done, and why it is not further', () => {
  const done = recipient({ state: 'answered', read_at: at(MINUTE), route: 'inbox', answered_at: at(0) });
  const [read, answered] = [format.clock(at(MINUTE)), format.clock(at(0))];
  assert.deepEqual(format.progress(done, NOW).steps, ['stored', 'there on office-server', `read ${read} by inbox`, `answered ${answered}`]);
  assert.deepEqual(format.progress(recipient({ state: 'stored' }), NOW), { steps: ['stored'], why: 'on its way to office-server', tone: 'wait' });
  assert.equal(format.progress(recipient({ state: 'stored', obstacle: 'behind', behind: 2 }), NOW).tone, 'warn');
});

test('a delivery is told in a few words', () => {
  const of = (summary) => {
    const { state, text, tone } = format.delivery({ total: 1, there: 0, read: 0, answered: 0, ...summary }, NOW, at(0));
    return [state, text, tone];
  };
  const away = { ...recipient({ state: 'stored' }), obstacle: 'behind', behind: 31 };
  assert.deepEqual(of({ least: recipient({ state: 'stored' }) }), ['stored', 'on its way to office-server', 'wait']);
  assert.deepEqual(of({ least: away }), ['stored', 'office-server is 31 behind', 'warn']);
  const unreachable = { ...away, obstacle: 'unreachable', since: at(MINUTE) };
  assert.deepEqual(of({ least: unreachable }), ['stored', 'office-server is 31 behind', 'warn']);
  assert.deepEqual(of({ least: { ...unreachable, behind: 0 } }), ['stored', 'office-server is unreachable', 'warn']);
  assert.deepEqual(of({ least: { agent: 'new\u200bone', state: 'stored', obstacle: 'unknown_name' } }), ['stored', 'new\\u{200b}one was not seen yet', 'warn']);
  assert.deepEqual(of({ there: 1, least: recipient({ obstacle: 'not_shown', live: 'idle' }) }), ['there', 'there, unread', 'wait']);
  assert.deepEqual(of({ there: 1, least: recipient({ obstacle: 'no_session' }) }), ['there', 'there, no session', 'wait']);
  assert.deepEqual(of({ there: 1, read: 1, least: recipient({ state: 'read', read_at: at(0) }) }), ['read', `read ${format.clock(at(0))}`, 'ok']);
  assert.deepEqual(of({ there: 1, read: 1, answered: 1 }), ['answered', 'answered', 'ok']);
  assert.deepEqual(of({ total: 3, there: 2, read: 1, least: away }), ['stored', 'there 2/3: office-server is 31 behind', 'warn']);
  assert.deepEqual(of({ total: 3, there: 3, read: 1 }), ['there', 'there, read 1/3', 'wait']);
  assert.deepEqual(of({ total: 3, there: 3, read: 3, answered: 1 }), ['read', 'read by all', 'ok']);
  assert.deepEqual(of({ total: 0 }), ['stored', 'stored, no recipient yet', 'wait']);
  assert.deepEqual(of({ total: 0, here_only: true }), ['unknown', 'not known here', 'none']);
});

test('a machine is told with how far it is behind, and why', () => {
  const peer = (of) => ({ state: 'in_sync', failures: 0, they_lack: 0, we_lack: 0, ...of });
  assert.deepEqual([format.peerState(peer()), format.peerWhy(peer(), NOW)], ['in sync', '']);
  const away = peer({ state: 'backing_off', they_lack: 31, failures: 3, last_error: 'timed out\u001b[2J' });
  assert.deepEqual([format.peerState(away), format.peerWhy(away, NOW)], ['31 behind', 'backing off: timed out\\u{1b}[2J']);
  assert.equal(format.peerState(peer({ state: 'catching_up', we_lack: 1204 })), '1,204 not here yet');
  assert.equal(format.peerState(peer({ state: 'of_a_later_version' })), 'unknown');
});

test('system events are sentences, and unknown ones show what is in them', () => {
  const of = (type, body) => format.event({ type, body }, 'gpu-box');
  assert.equal(of('agent.joined', { agent: 'coder', about: 'writes' }), 'coder joined on gpu-box: writes');
  assert.equal(of('agent.sessions', { agent: 'coder', sessions: [] }), 'coder on gpu-box has no session any more');
  assert.equal(of('agent.sessions', { agent: 'coder', sessions: [{ state: 'needs_you' }] }), 'coder on gpu-box: 1 session (needs you)');
  assert.equal(of('message.receipts', { read: [{ agent: 'coder', event_ids: ['1', '2'] }] }), 'gpu-box: coder read 2 messages');
  assert.equal(of('group.changed', { group: 'reviewers', add: [`coder@d_01K${'0'.repeat(50)}`] }), 'group @reviewers: coder@d_01K..00 added');
  assert.equal(of('x.y', { a: '\u202e' }), 'gpu-box: {"a":"\\u{202e}"}');
  assert.ok(of('x.y', { a: 'x'.repeat(1000) }).length < 230);
  assert.equal(of('agent.joined', undefined), ' joined on gpu-box');
});

test('an event of an odd form is shown as it is, whoever wrote it', () => {
  const odd = [['agent.sessions', { sessions: 'x' }], ['agent.sessions', { sessions: [null] }], ['message.receipts', { read: [null] }],
    ['message.receipts', { read: {} }], ['message.receipts', { read: [{ event_ids: {} }] }], ['message.receipts', { there: 'x' }],
    ['group.changed', { add: 'x' }], ['group.changed', { remove: 5 }], ['agent.joined', { agent: { toString: null } }]];
  for (const [type, body] of odd) assert.equal(format.event({ type, body }, 'gpu-box'), `gpu-box: ${JSON.stringify(body)}`);
  for (const body of [null, 'x', 5, [], { agent: [] }]) assert.equal(typeof format.event({ type: 'agent.joined', body }, 'gpu-box'), 'string');
});
