/** The conversations, that with the newest message first. */
import { rpc } from './api.js';
import { $, el, foreign, keyed, set, since, spoken, text } from './dom.js';
import { asMe, inProject, model } from './model.js';
import { asSeen, recipients, sender } from './message.js';
import { count, delivery } from './words.js';
import { beginning, readable, visible } from './visible.js';

const PAGE = 40;
/** Most conversations in the page: then the next page takes the place of the ones before. */
const MAX = 240;
const list = $('conversations');
let shown = [], next, isTop = true, turn = 0, fault = null;
const key = (it) => `${it.thread.event_id} ${it.thread.origin_daemon}`;
const isVisible = () => list.offsetParent !== null;

async function fetchPage(before, take) {
  const of = ++turn;
  try {
    const answer = await rpc('conversation.list', { ...asMe(), ...inProject(), limit: PAGE, before });
    if (of !== turn) return;
    take(answer);
    fault = null;
  } catch (error) {
    if (of === turn) fault = error;
  }
  show();
}

/** Begins anew at the newest one. */
export function restart() {
  if (!isVisible()) return Promise.resolve();
  return fetchPage(undefined, (answer) => {
    [shown, next, isTop] = [answer.conversations, answer.next, true];
  });
}

/** Takes in what has changed: a conversation with a new message comes first. */
export async function refresh() {
  if (!isVisible() || !isTop) return;
  await fetchPage(undefined, ({ conversations, next: after }) => {
    const fresh = new Set(conversations.map(key));
    const rest = after === undefined ? [] : shown.filter((it) => !fresh.has(key(it)) && it.last.sequence < after);
    if (rest.length === 0) next = after;
    shown = [...conversations, ...rest].slice(0, MAX);
  });
}

/** A page may have none that is new, although there are more: few long conversations take many messages to look through. */
async function more() {
  for (const had = shown.length; next !== undefined && !fault && shown.length === had;) {
    await fetchPage(next, (answer) => {
      next = answer.next;
      const known = new Set(shown.map(key));
      shown = [...shown, ...answer.conversations.filter((it) => !known.has(key(it)))];
    });
  }
  if (shown.length > MAX) [shown, isTop] = [shown.slice(-MAX), false];
  show();
}

function create({ first, last, thread }) {
  const message = first ?? last;
  return el('li', { 'data-thread': thread.event_id },
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
    replies > 0 && el('span', {}, replies === 1 ? '1 answer' : `${count(replies)} answers`),
    el('span.state', { 'data-tone': words.tone, 'data-delivery': words.state }, words.text),
    since(last.timestamp, true),
    !model.project && last.project && foreign(visible(last.project), '.project'),
  ].filter(Boolean));
}

function show() {
  keyed(list, shown, key, create, update);
  set($('more-conversations'), { hidden: next === undefined });
  set($('newest-conversations'), { hidden: isTop });
  set($('conversations-empty'), { hidden: !fault && (shown.length > 0 || next !== undefined) });
  text($('conversations-empty'), fault ? visible(fault.message) : 'No conversations yet.');
}

/** @param {(message: object) => void} open */
export function start(open) {
  list.addEventListener('click', ({ target }) => {
    const node = target.closest('li');
    const of = shown.find((it) => it.thread.event_id === node?.dataset.thread);
    if (of) open(of.last);
  });
  $('more-conversations').addEventListener('click', more);
  $('newest-conversations').addEventListener('click', restart);
}
