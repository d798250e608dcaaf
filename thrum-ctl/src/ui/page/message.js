/** A message in the page: in the feed, and in a conversation. */
import { el, foreign, set, show, spoken, text } from './dom.js';
import { isOwn, model } from './model.js';
import { answers, clock, count, delivery, machineOf } from './format.js';
import { beginning, readable, visible } from './visible.js';

/** Longer texts are cut until a person asks for all. */
const CUT = { feed: [700, 8], conversation: [8000, 60] };
const TO_MAX = 3;
const expanded = new Set();

/** The sender. Oneself is told by brackets, which no name can have. */
export const sender = (message) => visible(message.from) + (isOwn(message) ? ' (you)' : '');

/** The name of a recipient without this machine, or the one of the sender. */
function named(name, machine) {
  const here = [model.status?.name, machine].map((it) => `@${it}`).find((it) => name.endsWith(it)) ?? '';
  const short = name.slice(0, name.length - here.length);
  const isMe = short === model.me && (here === '' || here === `@${model.status?.name}`);
  return visible(short) + (isMe ? ' (you)' : '');
}

export function recipients(message) {
  if (message.all) return 'everyone';
  const to = message.to ?? [];
  const rest = to.length - TO_MAX;
  return to.slice(0, TO_MAX).map((name) => named(name, message.machine)).join(', ') + (rest > 0 ? ` and ${count(rest)} more` : '');
}

const button = (action, label, attributes = {}) => el('button.action', { type: 'button', 'data-action': action, ...attributes }, label);

/** Makes the element of a message; `showMessage` fills it. `kind`: `feed` or `conversation`. */
export function messageElement(message, kind) {
  const id = `${kind[0]}-${message.event_id}-${message.origin_daemon.slice(-6)}`;
  const node = el(`article.message.${kind}`, {
    tabindex: kind === 'feed' ? '-1' : undefined, 'data-message': message.event_id, 'data-sequence': message.sequence,
    'aria-labelledby': `${id}-at ${id}-who`, 'aria-describedby': `${id}-text`,
  });
  const at = el('time.at', { id: `${id}-at`, datetime: message.timestamp, title: `${new Date(message.timestamp).toLocaleString()}, by the sender's clock` }, clock(message.timestamp));
  const isHere = message.origin_daemon === model.status?.daemon_id;
  const who = el('span.who', { id: `${id}-who` },
    foreign(sender(message), '.from'), el('span.arrow', { 'aria-hidden': 'true' }, '→'), spoken(' to '), foreign(recipients(message), '.to'),
    message.machine && !isHere && el('span.on', {}, spoken(', from '), foreign(visible(message.machine))));
  who.title = `${visible(message.from)} on ${machineOf({ machine: message.machine, daemon_id: message.origin_daemon })} to ${message.all ? 'everyone' : (message.to ?? []).map(visible).join(', ')}`;
  const body = el('div.body', {},
    el('span.marks'),
    el('span.text', { id: `${id}-text`, dir: 'auto' }),
    button('show-all', 'Show all', { hidden: true }), button('conversation', '', { class: 'action replies', hidden: true }));
  node.append(at, who, body, el('button.state', { type: 'button', 'data-delivery': 'unknown' }));
  const actions = el('div.actions');
  if (model.me) actions.append(button('reply', 'Reply'), button('mark-read', 'Mark read', { hidden: true }));
  if (kind === 'feed') actions.append(button('conversation', 'Open'));
  node.append(actions);
  showText(node, message, kind);
  return node;
}

function showText(node, message, kind) {
  const isAll = expanded.has(message.event_id);
  const whole = readable(message.text);
  const { text: shown, cut } = isAll ? { text: whole, cut: false } : beginning(whole, ...CUT[kind]);
  text(node.querySelector('.text'), cut ? `${shown}…` : shown);
  const more = node.querySelector('[data-action=show-all]');
  set(more, { hidden: !cut });
  if (cut) text(more, `Show all (${count(whole.length)} characters)`);
}

/** Shows all of a long text. */
export function expand(node, message, kind) {
  expanded.add(message.event_id);
  showText(node, message, kind);
  const next = node.querySelector('.state:not([hidden])') ?? node;
  next.focus({ preventScroll: true });
}

/** Shows what may change of a message. */
export function showMessage(node, message) {
  const isUnread = Boolean(model.me) && !message.read;
  set(node, { 'data-unread': isUnread ? 'yes' : 'no' });
  const marks = [isUnread && 'unread', message.urgent && 'urgent', message.automatic && 'automatic', message.reply_to && 'answer'];
  const list = node.querySelector('.marks');
  const wanted = marks.filter(Boolean);
  const isTold = node.classList.contains('feed') && !model.project && message.project;
  const key = [...wanted, isTold ? message.project : ''].join('\n');
  if (list.dataset.key !== key) {
    list.dataset.key = key;
    list.replaceChildren(...wanted.map((mark) => el(`span.mark.${mark}`, {}, mark)), ...(isTold ? [foreign(visible(message.project), '.project')] : []));
  }
  const read = node.querySelector('[data-action=mark-read]');
  if (read) show(read, isUnread, () => (node.matches('[tabindex]') ? node : node.querySelector('.state:not([hidden])')));
  const replies = node.querySelector('.replies');
  set(replies, { hidden: !message.replies });
  if (message.replies) text(replies, answers(message.replies));
  const state = node.querySelector('.state');
  set(state, { hidden: !message.delivery });
  if (!message.delivery) return;
  const { state: name, text: words, tone } = delivery(asSeen(message.delivery), Date.now(), message.timestamp);
  set(state, { 'data-delivery': name, 'data-tone': tone, title: 'How far it got, for each recipient' });
  text(state, words);
}

/** How far it got, for a person who reads here and needs no session. */
export function asSeen(summary) {
  const { least } = summary;
  return least?.agent === model.me && least.obstacle === 'no_session' ? { ...summary, least: { ...least, obstacle: 'not_shown' } } : summary;
}

/** Whether a click was meant for the row and not for something in it, or to select text. */
export const isForRow = (event) => !event.target.closest('button,a,input,textarea') && String(getSelection()) === '';
