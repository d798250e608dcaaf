import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as rows from '../../thrum-ctl/src/ui/page/rows.js';

const run = (first, last) => Array.from({ length: last - first + 1 }, (_, at) => ({ sequence: first + at }));
const ends = ({ rows: all }) => [all[0].sequence, all.at(-1).sequence, all.length];
const view = (first, last, of = {}) => ({ ...rows.empty(), rows: run(first, last), before: first, after: last, epoch: 'e', ...of });

test('runs are merged in order, each row once, and the later answer counts', () => {
  const merged = rows.merge([{ sequence: 1 }, { sequence: 3, text: 'old' }], [{ sequence: 2 }, { sequence: 3, text: 'new' }]);
  assert.deepEqual(merged, [{ sequence: 1 }, { sequence: 2 }, { sequence: 3, text: 'new' }]);
});

test('the window stays bounded, and a page that was dropped comes again without a gap', () => {
  let it = rows.older(view(701, 1000), run(641, 700), 641);
  assert.deepEqual([...ends(it), it.before, it.after, it.atEnd], [641, 940, rows.WINDOW, 641, 940, false]);
  it = rows.newer(it, run(941, 1000), { after: 1000, atEnd: true });
  assert.deepEqual([...ends(it), it.before, it.after, it.atEnd], [701, 1000, rows.WINDOW, 701, 1000, true]);
});

test('the first page is the first only until rows before it were dropped', () => {
  let it = rows.older(view(11, 20), run(1, 10), null);
  assert.equal(it.before, null);
  it = rows.newer(it, run(21, 400), { after: 400, atEnd: true });
  assert.equal(it.before, it.rows[0].sequence);
});

test('what arrives while a person reads older rows does not push those out', () => {
  const reading = view(1, 290);
  const fits = rows.arrived(reading, run(291, 295), 296);
  assert.deepEqual([...ends(fits), fits.after, fits.atEnd], [1, 295, 295, 296, true]);
  const full = rows.arrived(fits, run(297, 320), 320);
  assert.deepEqual([...ends(full), full.after, full.atEnd], [1, 295, 295, 296, false], 'they come with the next page');
});

test('deliveries get to their messages, and deleted ones go', () => {
  const message = (id) => ({ event_id: id, origin_daemon: 'd', read: false, delivery: { total: 1, there: 0 } });
  const asked = ['a', 'b'].map((id) => ({ event_id: id, origin_daemon: 'd' }));
  const before = { ...rows.empty(), rows: [{ sequence: 1, message: message('a') }, { sequence: 2, message: message('b') }, { sequence: 3, message: message('c') }, { sequence: 4, event: {} }] };
  const news = [{ message: asked[0], delivery: { total: 1, there: 1 }, read: true, replies: 2 }];
  const after = rows.delivered(before, asked, news).rows;
  assert.deepEqual(after.map((row) => row.sequence), [1, 3, 4]);
  assert.deepEqual([after[0].message.delivery.there, after[0].message.read, after[0].message.replies], [1, true, 2]);
  assert.equal(after[1], before.rows[2], 'what was not asked for is left alone');
  const answered = { total: 1, there: 1, read: 1, answered: 1 };
  const all = rows.delivered({ rows: [{ message: { ...message('a'), read: true, delivery: answered, replies: 1 } }] }, asked.slice(0, 1), [{ message: asked[0], delivery: answered, read: true, replies: 2 }]);
  assert.equal(all.rows[0].message.replies, 2, 'more answers come to one that was answered by all');
});

test('conversations with a new message go up, and none is lost between what is shown and the page after', () => {
  const of = (id, sequence) => ({ thread: { event_id: id, origin_daemon: 'd' }, last: { sequence } });
  const shown = [of('a', 90), of('b', 80), of('c', 70), of('d', 60), of('e', 50)];
  const ids = ({ shown: all, next }) => [all.map((it) => it.thread.event_id).join(''), next];
  const into = (page, next, max = 9) => ids(rows.conversationsIn(shown, page, next, { after: 40, max }));
  assert.deepEqual(into([of('d', 99), of('a', 90), of('b', 80)], 75), ['dabce', 40], 'the older ones stay');
  assert.deepEqual(into([of('x', 99), of('a', 90)], 85, 4), ['xabc', 70], 'those that do not fit come with the next page');
  assert.deepEqual(into([of('a', 90), of('c', 70)], 65), ['acde', 40], 'one that moved above what is shown is gone from here');
  assert.deepEqual(into([of('a', 90)], undefined), ['a', undefined], 'those after the last page were deleted');
  assert.deepEqual(into([of('f', 99), of('g', 98)], 30), ['fg', 30]);
  const left = (page, next, max = 9) => rows.conversationsIn(shown, page, next, { after: 40, max }).rest;
  assert.deepEqual([left([of('d', 99), of('a', 90)], 85), left([of('x', 99)], 95, 4), left([of('a', 90)], undefined)], [3, 3, 0]);
  const namesake = { ...of('a', 95), thread: { event_id: 'a', origin_daemon: 'other' } };
  assert.deepEqual(into([namesake], 93), ['aabcde', 40]);
});
