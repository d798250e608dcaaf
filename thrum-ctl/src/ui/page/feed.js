/** The feed: the messages of a project or of all, and system events if they are asked for. */
import { rpc } from './api.js';
import { $, el, foreign, keyed, set, show as hideOrShow, text } from './dom.js';
import { expand, isForRow, messageElement, showMessage } from './message.js';
import { asMe, model, ref } from './model.js';
import * as rows from './rows.js';
import { page } from './source.js';
import { clock, day, event as eventWords, shortId } from './format.js';
import { visible } from './visible.js';

/** How near an edge the next page is fetched, in pixels. */
const NEAR = 600;
const feed = $('feed');
let view = rows.empty();
/** Of which project it is. */
let project;
/** Has what did not come be asked for again. */
let again;
/** Counts up when something else is shown: answers for what was shown before are dropped. */
let turn = 0;
let line = Promise.resolve();
let inLine = 0;
/** How many rows came below that were not looked at. */
let waiting = 0;
/** Up to where it is known what came, also below a window that was cut. */
let known = 0;
let scrolled;
/** What a person reads: the first row that can be seen and where, or the end. It stays there when the feed gets another size. */
let place = { toEnd: true };

const distance = () => feed.scrollHeight - feed.clientHeight - feed.scrollTop;
/** Whether the newest row can be seen, so that the feed follows. */
const isFollowing = () => view.atEnd && distance() < 48;
const isShown = () => feed.offsetParent !== null;

/** Fetches one page at a time, and hands it on unless something else is shown by then. */
function fetching(where, take) {
  inLine += 1;
  const of = turn;
  const run = async () => {
    if (of !== turn) return;
    const answer = await page(where());
    if (of === turn) take(answer);
  };
  const done = line.then(run).finally(() => {
    inLine -= 1;
    set(feed, { 'aria-busy': String(inLine > 0) });
  });
  line = done.catch(() => {});
  return done;
}

/** Begins anew at the newest row. Until that is here nothing is added to what is shown, and nothing of another project stays. */
async function begin() {
  turn += 1;
  if (model.project === project) view = { ...view, epoch: null };
  else {
    [view, project] = [rows.empty(), model.project];
    show();
  }
  await fetching(() => ({}), ({ found, before, after, epoch }) => {
    view = { rows: found, before, after, atEnd: true, epoch };
    waiting = 0;
    known = after;
    show({ toEnd: true });
  });
  fill();
}

/** The same for whoever can't repeat it. */
export const restart = () => begin().catch(again);

const loadOlder = () =>
  fetching(() => ({ before: view.before }), ({ found, before }) => {
    view = rows.older(view, found, before);
    show();
  });

const loadNewer = () =>
  fetching(() => ({ after: view.after }), ({ found, after, isMore, epoch }) => {
    if (epoch !== view.epoch) return void restart();
    view = rows.newer(view, found, { after, atEnd: !isMore });
    known = Math.max(known, after);
    show();
  });

/** Fetches pages until the feed is full, and the next one near an edge. */
async function fill() {
  try {
    while (inLine === 0 && isShown() && view.epoch !== null) {
      if (view.before !== null && feed.scrollTop < NEAR) await loadOlder();
      else if (!view.atEnd && distance() < NEAR) await loadNewer();
      else return;
    }
  } catch {
    // The next scroll tries again.
  }
}

/**
 * Takes in what is new. Nothing is missed: it goes on where the last answer ended, and begins anew with another log.
 * @returns {Promise<object[]>} the messages that came
 */
export async function catchUp({ epoch, read_seq: head } = {}) {
  if (view.epoch === null || (epoch && epoch !== view.epoch)) {
    await begin();
    return [];
  }
  const came = [], of = turn;
  let isMore = head === undefined || head > Math.max(view.after, known);
  while (isMore && of === turn && view.atEnd) {
    await fetching(() => ({ after: view.after }), (answer) => {
      isMore = answer.isMore;
      if (answer.epoch !== view.epoch) return void restart();
      known = Math.max(known, answer.after);
      const [shown, isAtEnd] = [new Set(view.rows.map((row) => row.sequence)), isFollowing()];
      const fresh = answer.found.filter((row) => !shown.has(row.sequence));
      came.push(...fresh.flatMap((row) => row.message ?? []));
      // More came than the window holds, after a long sleep: the newest page is what a person wants to see.
      if (came.length > rows.WINDOW && isAtEnd) return void restart();
      view = isAtEnd ? rows.newer(view, answer.found, { after: answer.after, atEnd: true }) : rows.arrived(view, answer.found, answer.after);
      if (!isAtEnd) waiting += fresh.length;
      show({ toEnd: isAtEnd });
    });
  }
  // Below a window that was cut it is only counted.
  while (isMore && of === turn && !view.atEnd) {
    await fetching(() => ({ after: known }), ({ found, after, epoch: its, isMore: isThere }) => {
      if (its !== view.epoch) return void restart();
      [known, isMore] = [after, isThere];
      waiting += found.length;
      came.push(...found.flatMap((row) => row.message ?? []));
      show();
    });
  }
  return came;
}

/** Asks again how far the messages got that can be seen. */
export async function refreshDeliveries() {
  if (!isShown()) return;
  const { top, bottom } = feed.getBoundingClientRect();
  const isNear = (node) => {
    const box = node.getBoundingClientRect();
    return box.bottom > top - NEAR && box.top < bottom + NEAR;
  };
  const near = new Set([...feed.children].filter(isNear).map((node) => Number(node.dataset.sequence)));
  // Of none is ever all known: it may get more answers, or be deleted.
  const asked = view.rows.filter((row) => row.message && near.has(row.sequence)).map((row) => ref(row.message)).slice(0, rows.ASKED_MAX);
  if (asked.length === 0) return;
  const of = turn;
  const { deliveries } = await rpc('message.deliveries', { ...asMe(), messages: asked });
  if (of !== turn) return;
  view = rows.delivered(view, asked, deliveries);
  show();
}

const rowOf = (node) => view.rows.find((row) => row.sequence === Number(node?.dataset.sequence));
export const hasRows = () => view.rows.length > 0;
/** The message of the row with the focus. */
export const current = () => rowOf(document.activeElement?.closest('#feed > article'))?.message;

function create(row) {
  if (row.message) return messageElement(row.message, 'feed');
  const { event, sequence } = row;
  const machines = [model.status, ...(model.status?.peers ?? [])];
  const name = machines.find((it) => it?.daemon_id === event.origin_daemon)?.name;
  return el('article.event', { tabindex: '-1', 'data-event': sequence, 'data-sequence': sequence, 'data-type': visible(event.type), 'aria-labelledby': `e-${sequence}` },
    el('time.at', { datetime: event.timestamp }, clock(event.timestamp)),
    el('span.type', {}, visible(event.type)),
    el('span.body', { id: `e-${sequence}`, dir: 'auto' }, eventWords(event, name ? visible(name) : shortId(event.origin_daemon))),
    event.project ? foreign(visible(event.project), '.project') : '');
}

function update(node, row, before) {
  const dayOf = (it) => day((it.message ?? it.event).timestamp, Date.now());
  const today = dayOf(row);
  let separator = node.querySelector('.day');
  if (before && dayOf(before) === today) separator?.remove();
  else {
    if (!separator) node.prepend(separator = el('span.day'));
    text(separator, today);
  }
  if (row.message) showMessage(node, row.message);
}

/** What a row is of: another log has other events at the same positions. */
const keyOf = ({ message, event }) => {
  const { event_id: id, origin_daemon: origin } = message ?? event;
  return `${id} ${origin}`;
};

/** The first row that can be seen. */
function firstShown() {
  const { top } = feed.getBoundingClientRect();
  return [...feed.children].find((node) => node.getBoundingClientRect().bottom > top + 8);
}

function look() {
  const anchor = firstShown();
  return { toEnd: isFollowing(), anchor, top: anchor?.getBoundingClientRect().top };
}
function restore({ toEnd, anchor, top }) {
  if (toEnd) feed.scrollTop = feed.scrollHeight;
  else if (anchor?.isConnected) feed.scrollTop += anchor.getBoundingClientRect().top - top;
  place = look();
}

/** Shows the window. What a person reads stays where it is, whatever comes or goes above it. */
export function show({ toEnd = isFollowing() } = {}) {
  for (const { message } of view.rows) if (message?.project) model.seen.add(message.project);
  const { anchor, top } = toEnd ? {} : look();
  keyed(feed, view.rows, keyOf, create, update);
  if (!feed.querySelector('article[tabindex="0"]')) feed.lastElementChild?.setAttribute('tabindex', '0');
  restore({ toEnd, anchor, top });
  if (isFollowing()) waiting = 0;
  set($('feed-empty'), { hidden: view.epoch === null || view.rows.length > 0 });
  hideOrShow($('new-messages'), !view.atEnd || waiting > 0, () => feed.lastElementChild);
  text($('new-messages'), view.atEnd ? `${waiting} new below` : waiting ? 'New messages below' : 'To the newest');
}

/** Moves the focus by rows. */
export function move(by) {
  const all = [...feed.children];
  const at = all.indexOf(document.activeElement?.closest('#feed > article'));
  const next = at < 0 ? (by > 0 ? firstShown() : all.at(-1)) : all[at + by];
  next?.focus({ preventScroll: true });
  next?.scrollIntoView({ block: 'nearest' });
}

/**
 * @param {(message: object, action: 'conversation'|'reply'|'delivery'|'mark-read') => void} act
 * @param {() => void} repeat has what did not come be asked for again
 */
export function start(act, repeat) {
  again = repeat;
  let frame = 0;
  feed.addEventListener('scroll', () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      place = look();
      if (waiting && isFollowing()) show();
      fill();
      clearTimeout(scrolled);
      scrolled = setTimeout(() => refreshDeliveries().catch(again), 200);
    });
  }, { passive: true });
  feed.addEventListener('click', (event) => {
    const node = event.target.closest('article');
    const message = rowOf(node)?.message;
    const button = event.target.closest('button');
    if (!message) return;
    if (button?.dataset.action === 'show-all') expand(node, message, 'feed');
    else if (button) act(message, button.dataset.action ?? 'delivery');
    else if (isForRow(event)) act(message, 'conversation');
  });
  // One row can be reached with Tab; j and k go on from it.
  feed.addEventListener('focusin', ({ target }) => {
    feed.querySelector('article[tabindex="0"]')?.setAttribute('tabindex', '-1');
    target.closest('article')?.setAttribute('tabindex', '0');
  });
  $('new-messages').addEventListener('click', () => {
    if (!view.atEnd) return void restart();
    waiting = 0;
    show({ toEnd: true });
  });
  new ResizeObserver(() => {
    if (!isShown()) return;
    restore(place);
    fill();
  }).observe(feed);
}
