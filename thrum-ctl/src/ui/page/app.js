/** The page: begins the session, follows the changes, and shows what has changed. */
import { begin, Ended, onEnd, rpc } from './api.js';
import * as composer from './composer.js';
import * as conversations from './conversations.js';
import { openConversation, unsent } from './conversation.js';
import * as details from './details.js';
import { $, announce, refreshAges, set, show, text } from './dom.js';
import * as feed from './feed.js';
import * as keys from './keys.js';
import { follow } from './live.js';
import { indexing, isConnected, isNeedy, isOwn, machines, model, needs, ref, title } from './model.js';
import { openAgent, openDelivery, openMachine, openSearch } from './panels.js';
import * as sidebar from './sidebar.js';
import { count, when } from './format.js';
import { visible } from './visible.js';

const VIEW = 'thrum-view';
const AGE_MS = 20_000;
/** Paths are not told: after that long they are asked for again, when something else about machines has changed. */
const PATH_MS = 60_000;
const RETRY_MS = 1000;
const RETRY_MAX_MS = 30_000;
/** How often what nobody looks at is fetched. */
const HIDDEN_MS = 5000;

let away = null;
/** Whether the stream of changes has said anything yet. */
let isFollowed = false;
/** The end of the log as it was told last. */
let head = 0;
/** Why what has changed could not be fetched. */
let fault = null;
/** Why what the person wanted was not done. */
let refusal = null;
/** Whether nobody chose the project that is shown. */
let isGuess = false;
let pending = null;
/** What has changed while nobody looked. */
let missed = null;
let isRunning = false;
/** Ends the wait of a round. */
let wake = () => {};
let pathsAt = 0;

// -- What has changed is fetched, one round at a time: more changes in between make one more round.

const ALL = { status: true, agents: true, deliveries: true, messages: true };

const both = (one, other) => ({ ...one, ...Object.fromEntries(Object.entries(other).filter(([, value]) => value)) });

function want(what) {
  pending = both(pending, what);
  round();
}

/** Has what the person wanted to see, and did not come, be asked for with the next round. */
const again = () => want({ deliveries: true, messages: true });

async function round() {
  if (isRunning) return;
  isRunning = true;
  for (let retry = RETRY_MS; pending && !away;) {
    const now = pending;
    pending = null;
    try {
      if (document.hidden) {
        missed = both(missed, now);
        await badge(now);
        if (document.hidden) await pause(HIDDEN_MS);
      } else await fetchChanged(now);
      retry = RETRY_MS;
      if (fault) {
        fault = null;
        header();
      }
    } catch (error) {
      if (error instanceof Ended) break;
      fault = error;
      pending = both(now, pending ?? {});
      header();
      await pause(retry);
      retry = Math.min(2 * retry, RETRY_MAX_MS);
    }
  }
  isRunning = false;
}

/** Waits, but no longer than until somebody looks. */
const pause = (ms) => new Promise((end) => {
  const timer = setTimeout(end, ms);
  wake = () => {
    clearTimeout(timer);
    end();
  };
});

/** What the badge counts: all that a page needs that nobody looks at. */
async function badge({ agents: isOther, deliveries: isMoved }) {
  const inbox = { agent: model.me, unread_only: true, limit: 1 };
  const [listed, unread, status] = await Promise.all([
    isOther || !model.isKnown ? rpc('agent.list') : null, model.me && (isOther || isMoved) ? rpc('message.inbox', inbox) : null, model.status ?? (document.hidden ? rpc('status') : null),
  ]);
  if (status) model.status ??= status;
  if (listed) [model.agents, model.isKnown] = [listed.agents, true];
  if (unread) model.unread = unread.unread + (unread.unread_elsewhere ?? 0);
  header();
}

async function fetchChanged(now) {
  const before = new Set(model.agents.filter(isNeedy).map((it) => it.name));
  const status = now.status && rpc('status').then((it) => {
    model.status = it;
    header();
  });
  await Promise.all([status, badge(now), now.agents && groups()]);
  // Agents are told when all is indexed, and nothing may come after that.
  if (now.agents && indexing(model.status)) want({ status: true });
  sidebar.render();
  composer.refresh();
  header();
  let came = [];
  // With each new message deliveries change, too.
  if (now.messages) [came] = await Promise.all([feed.catchUp(now.change), now.deliveries && conversations.refresh()]);
  if (now.deliveries) await feed.refreshDeliveries();
  // They may be of a project that was not known.
  if (came.length > 0) sidebar.render();
  if (isGuess) guessed();
  say(came, before);
  if (now.status) paths();
  // What it shows may have been deleted.
  await details.changed({ ...now, messages: came.length > 0 || now.deliveries });
}

/** The project of the folder in which `thrum ui` was started is shown first, unless there is nothing of it. */
function guessed() {
  isGuess = false;
  const isKnown = model.agents.some((it) => it.project === model.project) || feed.hasRows();
  if (model.project && !isKnown) showProject(null);
}

async function groups() {
  const project = model.project ?? model.home;
  model.groups = project ? (await rpc('group.list', { project })).groups : [];
}

/** Asks for the ways to the machines, one after the other; nothing waits for that. */
async function paths() {
  if (Date.now() - pathsAt < PATH_MS || model.status.tailnet.kind === 'loopback') return;
  pathsAt = Date.now();
  for (const { daemon_id: peer } of model.status.peers.filter(isConnected)) {
    const path = await rpc('peer.path', { peer }).then((it) => it.path, () => undefined);
    if (path) model.paths.set(peer, path);
    else model.paths.delete(peer);
  }
  sidebar.render();
}

/** Tells screen readers what came, in one sentence. */
function say(came, needyBefore) {
  const others = came.filter((message) => !isOwn(message));
  const needy = model.agents.filter(isNeedy).filter((it) => !needyBefore.has(it.name));
  const parts = [];
  if (needy.length > 0) parts.push(needy.length === 1 ? `${visible(needy[0].name)} needs you` : `${needy.length} more agents need you`);
  if (others.length > 0) parts.push(others.length === 1 ? `new message from ${visible(others[0].from)}` : `${count(others.length)} new messages`);
  if (parts.length > 0) announce(`${parts.join(', ')}.`);
}

// -- Header, banner, title, favicon.

const reason = ({ message, hint }) => [message, hint].filter(Boolean).map(visible).join('; ');

function header() {
  const { status } = model;
  text($('machine-name'), status ? visible(status.name) : '');
  text($('summary-machines'), machines(status));
  // Nothing is said of what is not known yet.
  text($('summary-needs'), model.isKnown ? needs(model.agents) : '');
  set($('summary'), { hidden: !status || !model.isKnown });
  const waiting = model.agents.filter(isNeedy).length + model.unread;
  set($('summary-needs'), { 'data-tone': model.agents.some(isNeedy) ? 'bad' : 'none' });
  document.title = title(waiting, status && visible(status.name));
  set($('favicon'), { href: waiting > 0 ? '/assets/favicon-badge.svg' : '/assets/favicon.svg' });
  show($('mark-all-read'), model.unread > 0, () => $('feed').querySelector('[tabindex="0"]') ?? $('main'));
  text($('mark-all-read'), `Mark ${count(model.unread)} read${model.project ? ', in all projects' : ''}`);
  set($('live'), { 'data-live': away || !isFollowed ? 'no' : 'yes' });
  text($('live'), away ? 'not live' : isFollowed ? 'live' : 'connecting');
  const behind = indexing(status);
  const why = away
    ? `Not live since ${when(away.since, Date.now())}: ${reason({ message: away.why, hint: away.hint })}`
    : behind ? `Messages can be read when all events are indexed: ${count(behind.read)} of ${count(behind.head)} so far.`
      : fault ? `This may be old: ${reason(fault)}` : refusal ? reason(refusal) : '';
  set($('banner'), { hidden: why === '' });
  text($('banner'), why);
}

function changed(line) {
  if (line.away) {
    if (away?.since !== line.away.since || away.why !== line.away.why) {
      away = line.away;
      header();
    }
    return;
  }
  const { change } = line;
  const wasLive = isFollowed && away === null;
  [isFollowed, away] = [true, null];
  head = change.head_seq;
  // That the views come nearer to the end of the log is not told.
  const status = change.status || indexing(model.status) !== null;
  want({ status, agents: change.agents, deliveries: change.deliveries, messages: true, change });
  if (wasLive) return;
  header();
  // What failed meanwhile is not waited for any longer.
  wake();
}

// -- What a person does.

function act(message, action) {
  failed(null);
  if (action === 'delivery') openDelivery(message);
  else if (action === 'mark-read') markRead([message]).catch(failed);
  else openConversation(message, { reply: action === 'reply', act }).catch(failed);
}

/** Tells why something was not done. What the panel shows stays there: it may have a text that was not sent. */
const failed = (error) => {
  if (error instanceof Ended || error === refusal) return;
  refusal = error;
  header();
};

async function markRead(messages) {
  await rpc('message.mark_read', { agent: model.me, messages: messages.map(ref), route: 'page' });
  want({ deliveries: true });
}

/** Marks all of the person's messages in all projects, up to what was there at the click. */
async function markAllRead() {
  const upTo = Math.max(head, model.status?.log?.head_seq ?? 0);
  for (let first; ;) {
    const { messages } = await rpc('message.inbox', { agent: model.me, unread_only: true, limit: 1000 });
    const found = messages.filter((it) => it.sequence <= upTo);
    // The oldest come first: if the first one is the same, marking did nothing.
    if (found.length === 0 || found[0].event_id === first) return;
    first = found[0].event_id;
    await markRead(found);
  }
}

function showProject(name) {
  model.project = name;
  remember();
  sidebar.render();
  composer.refresh();
  groups().then(composer.refresh).catch(() => want({ agents: true }));
  feed.restart();
  conversations.restart();
}

function showTab(name) {
  for (const tab of ['messages', 'conversations']) {
    set($(`tab-${tab}`), { 'aria-selected': String(tab === name), tabindex: tab === name ? '0' : '-1' });
    set($(`panel-${tab}`), { hidden: tab !== name });
  }
  set($('system-events-label'), { hidden: name !== 'messages' });
  if (name === 'conversations') conversations.restart();
  else {
    feed.show();
    feed.refreshDeliveries().catch(again);
  }
}

const remember = () => sessionStorage.setItem(VIEW, JSON.stringify({ project: model.project, events: model.events }));
function recall() {
  const kept = sessionStorage.getItem(VIEW);
  isGuess = kept === null;
  const { project, events } = kept ? JSON.parse(kept) : { project: model.home, events: false };
  Object.assign(model, { project, events });
}

function gate(reason) {
  set($('app'), { hidden: true });
  set($('gate'), { hidden: false, 'data-reason': reason });
  for (const node of $('gate').querySelectorAll('[data-for]')) set(node, { hidden: node.dataset.for !== reason });
  // What was not sent yet is not lost.
  const texts = [$('text').value, ...unsent()].filter(Boolean).join('\n\n');
  set($('unsent'), { hidden: texts === '' });
  text($('unsent-text'), texts);
  details.close();
  document.title = 'thrum';
  set($('favicon'), { href: '/assets/favicon.svg' });
  $('gate').querySelector('h1').focus();
}

function wire() {
  feed.start(act, again);
  conversations.start((message) => act(message, 'conversation'), again);
  sidebar.start({ machine: openMachine, agent: openAgent, project: showProject });
  composer.start();
  details.start();
  $('search-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const words = $('search').value.trim();
    if (words) openSearch(words, (message) => act(message, 'conversation')).catch(failed);
  });
  for (const tab of ['messages', 'conversations']) {
    $(`tab-${tab}`).addEventListener('click', () => showTab(tab));
    $(`tab-${tab}`).addEventListener('keydown', (event) => {
      if (!['ArrowLeft', 'ArrowRight'].includes(event.key)) return;
      const other = tab === 'messages' ? 'conversations' : 'messages';
      showTab(other);
      $(`tab-${other}`).focus();
    });
  }
  $('system-events').checked = model.events;
  $('system-events').addEventListener('change', ({ target }) => {
    model.events = target.checked;
    remember();
    feed.restart();
  });
  $('mark-all-read').addEventListener('click', () => {
    failed(null);
    markAllRead().catch(failed);
  });
  $('overview').addEventListener('click', () => {
    const isOpen = $('overview').getAttribute('aria-expanded') === 'true';
    set($('overview'), { 'aria-expanded': String(!isOpen) });
    set($('sidebar'), { 'data-open': String(!isOpen) });
  });
  const help = () => $('help').showModal();
  $('help-open').addEventListener('click', help);
  $('help-close').addEventListener('click', () => $('help').close());
  const onRow = (action) => () => {
    const message = feed.current();
    if (message) act(message, action);
  };
  keys.start({
    '/': () => $('search').focus(), '?': help, j: () => feed.move(1), k: () => feed.move(-1), Enter: onRow('conversation'),
    r: model.me ? onRow('reply') : () => {}, d: onRow('delivery'), m: model.me ? onRow('mark-read') : () => {},
    c: () => (model.me ? $('to').focus() : undefined), g: () => $('agents').querySelector('button')?.focus(),
  }, (event) => {
    if (event.target.matches('textarea') && event.target.value.trim()) {
      // What was begun stays in sight; the next one closes.
      event.preventDefault();
      if (details.kind() && event.target.closest('#details')) $('details-title').focus();
      else event.target.blur();
    } else if (details.kind()) {
      event.preventDefault();
      details.close();
    } else if (event.target.matches('input,textarea')) event.target.blur();
  });
  setInterval(() => {
    if (document.hidden) return;
    refreshAges();
    feed.show();
    if (model.status) sidebar.render();
  }, AGE_MS);
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return;
    refreshAges();
    // What came since then is newer.
    const now = missed && both(missed, pending ?? {});
    missed = null;
    if (now) want(now);
    wake();
  });
}

async function run() {
  onEnd(() => gate('ended'));
  $('gate-again').addEventListener('click', () => location.reload());
  // The address of another `thrum ui` at the same port.
  addEventListener('hashchange', () => location.hash.startsWith('#t=') && location.reload());
  const { session, reason } = await begin();
  if (!session) return gate(reason);
  Object.assign(model, { me: session.me ?? null, home: session.project ?? null });
  recall();
  text($('me'), model.me ? `as ${visible(model.me)}` : 'for reading only');
  set($('app'), { hidden: false });
  wire();
  header();
  composer.refresh();
  sidebar.render();
  want(ALL);
  follow(changed, session.id);
}

run();
