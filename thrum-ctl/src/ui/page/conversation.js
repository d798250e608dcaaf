/** A conversation in the panel, with a box for an answer. */
import { Ended, Refused, rpc } from './api.js';
import { drafts, sending } from './composer.js';
import * as details from './details.js';
import { $, el, focusable, foreign, keyed, set, show, text } from './dom.js';
import { expand, messageElement, showMessage } from './message.js';
import { asMe, isOwn, model, ref } from './model.js';
import { ASKED_MAX, delivered } from './rows.js';
import { count } from './format.js';
import { beginning, visible } from './visible.js';

const PAGE = 100;
/** Most messages of a conversation that are in the page. */
const MAX = 400;

/** Answers that were begun and not sent, by conversation: the panel may show something else at any time. */
const begun = new Map();
/** The first message of a conversation, by which it is named. */
const rootOf = (message) => ref(message.thread ?? message);
const threadOf = (message) => {
  const { event_id: id, origin_daemon: origin } = rootOf(message);
  return `${id} ${origin}`;
};
/** The texts of answers that were not sent. */
export const unsent = () => [...begun.values()].map((it) => it.text);

/**
 * Opens the conversation of a message.
 * @param {{reply?: boolean, act: (message: object, action: string) => void}} how
 */
export async function openConversation(of, { reply = false, act }) {
  const kept = begun.get(threadOf(of));
  let messages = [], left = 0, hasEarlier = false, target = of, isTarget = false;
  // Each goes on from what the one before has loaded.
  const queued = details.inOrder();
  const draft = kept?.draft ?? drafts();
  const list = el('div.thread');
  const button = (label, click) => el('button.more', { type: 'button', hidden: true, on: { click } }, label);
  const earlier = button('From the first message', () => queued(() => load(0)).catch(fail));
  const later = button('', () => queued(goOn).catch(fail));
  const fault = el('p.error', { role: 'alert', hidden: true });
  const form = model.me && replyForm();
  const content = [earlier, list, later, fault, form].filter(Boolean);
  details.open('conversation', 'Conversation', content, (change) => queued(() => refresh(change)));
  list.addEventListener('click', ({ target: clicked }) => {
    const node = clicked.closest('article');
    const message = messages.find((it) => it.sequence === Number(node?.dataset.sequence));
    const at = clicked.closest('button');
    if (!message || !at) return;
    if (at.dataset.action === 'show-all') expand(node, message, 'conversation');
    else if (at.dataset.action === 'reply') answer(message);
    else act(message, at.dataset.action ?? 'delivery');
  });

  const isOpen = () => list.isConnected;

  function fail(error) {
    if (error instanceof Ended) return;
    set(fault, { hidden: false });
    text(fault, [error.message, error.hint].filter(Boolean).map(visible).join('; '));
  }

  /** The message that was opened may be deleted: its conversation goes on. */
  const fetchPage = (after, limit) => rpc('message.thread', { ...asMe(), message: rootOf(of), after: after || undefined, limit });

  async function load(after) {
    const page = await fetchPage(after, PAGE);
    if (!isOpen()) return;
    const known = after > 0 && messages.at(-1)?.sequence === after ? messages : [];
    messages = [...known, ...page.messages];
    left = page.left;
    hasEarlier = (after > 0 && known.length === 0) || (hasEarlier && after > 0);
    if (messages.length > MAX) [messages, hasEarlier] = [messages.slice(-MAX), true];
    await deliveries();
  }

  async function begin() {
    await load(0);
    // It may be in a later part of a long conversation.
    if (left > 0 && !messages.some((it) => it.sequence === of.sequence)) await load(of.sequence - 1);
  }

  const goOn = () => load(messages.at(-1)?.sequence ?? 0);

  /** There is more below, of which only the number is shown. */
  async function countLeft() {
    const page = await fetchPage(messages.at(-1).sequence, 1);
    left = page.messages.length + page.left;
    await deliveries();
  }

  async function deliveries() {
    for (let from = 0, all = messages.map(ref); from < all.length; from += ASKED_MAX) {
      const asked = all.slice(from, from + ASKED_MAX);
      const answer = await rpc('message.deliveries', { ...asMe(), messages: asked });
      // How many answers there are stands above.
      const told = answer.deliveries.map((it) => ({ ...it, replies: undefined }));
      messages = delivered({ rows: messages.map((message) => ({ message })) }, asked, told).rows.map((row) => row.message);
    }
    set(fault, { hidden: true });
    if (isOpen()) showAll();
  }

  function showAll() {
    const body = $('details-body');
    const isAtEnd = body.scrollHeight - body.clientHeight - body.scrollTop < 60;
    const hadNone = list.childElementCount === 0;
    keyed(list, messages, (it) => `${it.event_id} ${it.origin_daemon}`, (it) => messageElement(it, 'conversation'), showMessage);
    for (const node of list.children) set(node, { 'aria-current': Number(node.dataset.sequence) === of.sequence && 'true' });
    show(earlier, hasEarlier, () => focusable(list.firstElementChild ?? list));
    show(later, left > 0, () => focusable(list.lastElementChild ?? list));
    text(later, `Show later messages (${count(left)})`);
    text($('details-title'), messages.length > 1 || left ? `Conversation of ${count(messages.length + left)}${hasEarlier ? ' more' : ''} messages` : 'Message');
    if (hadNone) list.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest' });
    else if (isAtEnd) body.scrollTop = body.scrollHeight;
    if (!isTarget && model.me) answer((!reply && kept?.target) || of, false);
  }

  async function refresh({ deliveries: isDelivered, messages: isNew }) {
    try {
      if (messages.length === 0) await begin();
      else if (isNew) await (left === 0 ? goOn() : countLeft());
      else if (isDelivered) await deliveries();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      // It is no longer there: what was deleted of it goes.
      await deliveries();
      fail(error);
    }
  }

  function answer(message, isFocused = true) {
    [target, isTarget] = [message, true];
    keep();
    const { text: start } = beginning(message.text.trim(), 60, 1);
    const isMine = isOwn(message);
    form.querySelector('.target').replaceChildren(isMine ? 'Goes on after your message' : 'Answers ', isMine ? '' : foreign(visible(message.from)), ': ', foreign(visible(start)));
    if (isFocused) form.querySelector('textarea').focus();
  }

  /** Keeps what was written, with what it answers. */
  function keep() {
    const { value } = form.querySelector('textarea');
    if (value.trim()) begun.set(threadOf(of), { text: value, target, draft });
    else begun.delete(threadOf(of));
  }

  function replyForm() {
    const node = el('form', { id: 'reply', 'aria-label': 'Answer' },
      el('p.target', { id: 'reply-target' }),
      el('label.spoken', { for: 'reply-text' }, 'Your answer'),
      el('textarea', { id: 'reply-text', rows: 2, placeholder: 'Write an answer', 'aria-describedby': 'reply-target', dir: 'auto' }),
      el('div.send-row', {}, el('span.send-note', { role: 'status' }), el('button.primary', { id: 'reply-send', type: 'submit' }, 'Send')),
      el('div.send-error', { role: 'alert', hidden: true }));
    const area = node.querySelector('textarea');
    area.value = kept?.text ?? '';
    area.addEventListener('input', keep);
    sending(node, () => {
      if (!node.querySelector('textarea').value.trim()) throw new Error('Write a text first.');
      // One's own message is answered for those that it was for.
      const to = isOwn(target) ? { to: target.to ?? [], all: target.all ?? false } : { to: [] };
      return { ...to, reply_to: ref(target), project: target.project ?? model.project ?? model.home };
    }, { draft, sent: () => {
      keep();
      // Who answers has read it.
      const answered = messages.find((it) => it.sequence === target.sequence);
      if (answered && !answered.read) act(answered, 'mark-read');
      queued(goOn).catch(() => {});
    } });
    return node;
  }

  await queued(begin).catch(fail);
  if (reply && form && isOpen()) form.querySelector('textarea').focus();
}
