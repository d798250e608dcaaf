/** The conversations, that with the newest message first. */
import { rpc } from './api.js';
import { $, el, focusable, foreign, keyed, set, since, spoken, text } from './dom.js';
import { asMe, inProject, model } from './model.js';
import { asSeen, recipients, sender } from './message.js';
import { conversationsIn } from './rows.js';
import { answers, delivery } from './format.js';
import { beginning, readable, visible } from './visible.js';

const PAGE = 40;
/** What thrumd gives at most. */
const PAGE_MAX = 100;
/** Most conversations in the page: then the next page takes the place of the ones before. */
const MAX = 240;
const list = $('conversations');
let shown = [], next, isTop = true, turn = 0, fault = null, isLoading = false;
let queue = Promise.resolve();
/** Of which project they are. */
let project;
/** Has what did not come be asked for again. */
let again;
const key = (it) => `${it.thread.event_id} ${it.thread.origin_daemon}`;
const isVisible = () => list.offsetParent !== null;

/** One after the other, each from what the one before has left; none once it is begun anew. */
function queued(run) {
  const of = turn;
  const done = queue.then(() => of === turn && run());
  queue = done.catch(() => {});
  return done;
}

async function fetchPage(before, take, limit = PAGE) {
  const of = turn;
  try {
    const answer = await rpc('conversation.list', { ...asMe(), ...inProject(), limit, before });
    if (of !== turn) return;
    take(answer);
    fault = null;
  } catch (error) {
    if (of !== turn) return;
    fault = error;
    throw error;
  } finally {
    show();
  }
}

/** Nothing of another project stays meanwhile. */
function begin() {
  const of = model.project;
  turn += 1;
  if (project !== of) {
    [shown, next, isTop, fault, project] = [[], undefined, true, null, undefined];
    show();
  }
  return fetchPage(undefined, (answer) => {
    [shown, next, isTop, project] = [answer.conversations, answer.next, true, of];
  });
}

/** Begins anew at the newest one. What was asked for before is not waited for. */
export function restart() {
  if (!isVisible()) return Promise.resolve();
  queue = begin().catch(again);
  return queue;
}

/** Takes in what has changed: a conversation with a new message comes first. */
export const refresh = () => queued(async () => {
  if (!isVisible()) return;
  if (shown.length === 0) return void await begin();
  const of = turn, found = new Map();
  // Further below, what is shown is asked for from its first one on.
  let before = isTop ? undefined : shown[0].last.sequence + 1, rest = Math.max(shown.length, PAGE);
  for (let pages = MAX / PAGE; of === turn && rest > 0 && pages > 0; pages--) {
    await fetchPage(before, (answer) => {
      for (const it of answer.conversations) found.set(key(it), it);
      before = answer.next;
      ({ shown, next, rest } = conversationsIn(shown, [...found.values()], before, { after: next, max: MAX }));
    }, Math.min(rest, PAGE_MAX));
  }
});

async function more() {
  if (isLoading) return;
  isLoading = true;
  await queued(addPage).catch(() => {});
  isLoading = false;
}

/** A page may have none that is new, although there are more: few long conversations take many messages to look through. */
async function addPage() {
  fault = null;
  const of = turn, button = $('more-conversations'), last = shown.at(-1);
  for (const had = shown.length; of === turn && next !== undefined && shown.length === had;) {
    await fetchPage(next, (answer) => {
      next = answer.next;
      const known = new Set(shown.map(key));
      shown = [...shown, ...answer.conversations.filter((it) => !known.has(key(it)))];
    });
  }
  if (of !== turn) return;
  if (shown.length > MAX) [shown, isTop] = [shown.slice(-MAX), false];
  const isFocused = document.activeElement === button;
  show();
  // The button goes with the last page.
  if (isFocused && button.hidden) list.children[shown.indexOf(last) + 1]?.querySelector('button').focus();
}

function create({ first, last, thread }) {
  const message = first ?? last;
  return el('li', { 'data-thread': thread.event_id, 'data-origin': thread.origin_daemon },
    el('button.conversation', { type: 'button' },
      el('span.who', {}, foreign(sender(message), '.from'), el('span.arrow', { 'aria-hidden': 'true' }, '→'), spoken(' to '), foreign(recipients(message), '.to')),
      el('span.first', { dir: 'auto' }), el('span.last', {}, foreign('', '.from'), el('span', {}, ':\u00a0'), foreign('', '.said')),
      el('span.meta')));
}

const line = (value) => {
  const { text: start, cut } = beginning(readable(value).replace(/\s+/g, ' '), 300, 1);
  return cut ? `${start}…` : start;
};

function update(node, { first, last, replies }) {
  text(node.querySelector('.first'), first ? line(first.text) : 'The first message is not here.');
  const isSame = first && replies === 0;
  set(node.querySelector('.last'), { hidden: isSame });
  text(node.querySelector('.last .from'), sender(last));
  text(node.querySelector('.last .said'), line(last.text));
  const meta = node.querySelector('.meta');
  const words = delivery(asSeen(last.delivery), Date.now(), last.timestamp);
  const mark = `${last.event_id} ${replies} ${last.read} ${words.text}`;
  if (meta.dataset.mark === mark) return;
  meta.dataset.mark = mark;
  meta.replaceChildren(...[
    model.me && !last.read && el('span.mark.unread', {}, 'unread'),
    replies > 0 && el('span', {}, answers(replies)),
    el('span.state', { 'data-tone': words.tone, 'data-delivery': words.state }, words.text),
    since(last.timestamp, true),
    !model.project && last.project && foreign(visible(last.project), '.project'),
  ].filter(Boolean));
}

function show() {
  keyed(list, shown, key, create, update);
  set($('more-conversations'), { hidden: next === undefined });
  set($('newest-conversations'), { hidden: isTop });
  set($('conversations-empty'), { hidden: !fault && (project === undefined || shown.length > 0 || next !== undefined) });
  text($('conversations-empty'), fault ? visible(fault.message) : 'No conversations yet.');
}

/**
 * @param {(message: object) => void} open
 * @param {() => void} repeat has what did not come be asked for again
 */
export function start(open, repeat) {
  again = repeat;
  list.addEventListener('click', ({ target }) => {
    const node = target.closest('li');
    const of = shown.find(({ thread }) => thread.event_id === node?.dataset.thread && thread.origin_daemon === node.dataset.origin);
    if (of) open(of.last);
  });
  $('more-conversations').addEventListener('click', more);
  $('newest-conversations').addEventListener('click', async () => {
    await restart();
    focusable(list)?.focus();
  });
}
