/** What the panel shows of a delivery, a machine, an agent, and of a search. */
import { doctor, Refused, rpc } from './api.js';
import { writeTo } from './composer.js';
import * as details from './details.js';
import { command, el, foreign, set, show, since, spoken, text } from './dom.js';
import { recipients } from './message.js';
import { asMe, deciding, inProject, isConnected, model, pathTo, ref } from './model.js';
import { agentState, clock, count, day, machineOf, peerState, peerWhy, progress, shortId, when } from './format.js';
import { beginning, readable, visible } from './visible.js';

const paragraph = (...children) => el('p', {}, ...children);
const reason = (error) => [error.message, error.hint].filter(Boolean).map(visible).join('; ');
const failed = (error) => el('p.error', { role: 'alert' }, reason(error));

/** Names and values; what has no value is left out. */
const facts = (...pairs) =>
  el('dl.facts', {}, ...pairs.filter(([, value]) => ![undefined, null, '', false].includes(value)).flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));

/** How far a message got, for each recipient. */
export function openDelivery(message) {
  const list = el('ul.recipients'), note = el('p.note'), queued = details.inOrder();
  const { text: start, cut } = beginning(readable(message.text), 200, 3);
  const quote = el('blockquote', { dir: 'auto' }, cut ? `${start}…` : start);
  const head = paragraph(foreign(visible(message.from)), ' → ', foreign(recipients(message)), `, sent ${when(message.timestamp, Date.now())}`);
  details.open('delivery', 'How far it got', [head, quote, note, list], ({ deliveries }) => deliveries && queued(load));
  const show = (all, words) => {
    text(note, words);
    const rows = all.map((recipient) => {
      const { steps, why, tone } = progress(recipient, Date.now());
      const place = recipient.daemon_id ? [' on ', foreign(machineOf(recipient))] : [];
      return el('li', { 'data-recipient': recipient.agent, 'data-state': recipient.state },
        el('h3', {}, foreign(visible(recipient.agent)), ...place),
        el('ol.steps', {}, ...steps.map((step) => el('li', {}, step))),
        why ? el('p.why', { 'data-tone': tone }, why) : '');
    });
    list.replaceChildren(...rows);
  };
  async function everywhere() {
    const status = await rpc('message.status', { message: ref(message) });
    const { total, recipients: all } = status;
    const some = total > all.length ? `The ${all.length} that it got to the least far, of ${count(total)}.` : '';
    const sums = total > 1 ? `There for ${count(status.there)} of ${count(total)}, read by ${count(status.read)}, answered by ${count(status.answered)}. ` : '';
    show(all, status.deleted ? 'Its sender has deleted it.' : total === 0 ? 'It is stored here, and nobody is known yet whom it is for.' : sums + some);
  }
  /** Of one that was sent on another machine, only this is known. */
  async function here(error) {
    if (!(error instanceof Refused)) throw error;
    const { deliveries: [known] } = await rpc('message.deliveries', { ...asMe(), messages: [ref(message)] });
    if (!known) return void show([], 'It was deleted, or is not here any more.');
    const { least, here_only: isHere } = known.delivery;
    if (!isHere) throw error;
    const where = machineOf({ machine: message.machine, daemon_id: message.origin_daemon });
    show(least ? [least] : [], `It was sent on ${where}: that machine is told how far it got everywhere. Here is what is known of this machine.`);
  }
  async function load() {
    try {
      await everywhere().catch(here);
    } catch (error) {
      text(note, reason(error));
      // Else it is asked for again.
      if (!(error instanceof Refused)) throw error;
    }
  }
  queued(load).catch(() => {});
}

const STATUS = { ok: 'ok', warn: 'note', fail: 'wrong', skipped: 'skipped' };

/** A machine: what is known of it, and what doctor says. Without an id: this one. */
export function openMachine(id) {
  const found = el('ul.findings'), known = el('div'), again = el('button.small', { type: 'button', on: { click: () => check() } }, 'Check again');
  const isOwn = !id || id === model.status?.daemon_id;
  const peer = () => model.status?.peers.find((it) => it.daemon_id === id);
  const name = isOwn ? model.status?.name : peer()?.name;
  const show = () => known.replaceChildren(isOwn ? ownFacts(model.status) : peer() ? peerFacts(peer()) : paragraph('It is no longer paired.'));
  details.open('machine', visible(name ?? ''), [known, el('h3', {}, 'What doctor says'), found, again], ({ status }) => status && show());
  async function check() {
    set(again, { disabled: true });
    found.replaceChildren(el('li.note', { role: 'status' }, 'Checking; this takes up to 20 s…'));
    try {
      const { findings } = await doctor(isOwn ? undefined : id);
      found.replaceChildren(...findings.map((it) => el('li', { 'data-finding': it.id, 'data-status': it.status },
        el('span.state', { 'data-tone': { ok: 'ok', warn: 'warn', fail: 'bad' }[it.status] ?? 'none' }, STATUS[it.status] ?? it.status),
        el('span.said', {}, visible(it.message), it.next ? el('span.next', {}, command(visible(it.next))) : ''))));
    } catch (error) {
      found.replaceChildren(el('li', {}, failed(error)));
    }
    set(again, { disabled: false });
  }
  show();
  check();
}

const ownFacts = (status) => facts(
  ['state', 'this machine'], ['tailnet', visible(status.tailnet.state)], ['listening', visible((status.tailnet.listening ?? []).join(', '))],
  ['log', `${count(status.log.events)} events`], ['version', visible(status.version)], ['daemon', shortId(status.daemon_id)]);

function peerFacts(peer) {
  const path = pathTo(peer);
  const millis = (micros) => `${(micros / 1000).toFixed(micros < 10_000 ? 1 : 0)} ms`;
  return facts(
    ['state', el('span', {}, `${peerState(peer)}, since `, since(peer.since, true))],
    ['why', peerWhy(peer, Date.now())],
    ['path', path && `${path.direct ? 'direct to' : 'relayed via'} ${visible(path.via)}, ${millis(path.round_trip_us)}`],
    ['round trip', isConnected(peer) && peer.round_trip_us > 0 && millis(peer.round_trip_us)],
    ['it lacks', peer.they_lack === undefined ? '?' : `${count(peer.they_lack)} events of this machine`],
    ['we lack', peer.we_lack === undefined ? '?' : `${count(peer.we_lack)} of its events`],
    ['last news', peer.last_sync ? since(peer.last_sync, true) : 'never'],
    ['address', visible(peer.address)], ['version', peer.version && visible(peer.version)], ['daemon', shortId(peer.daemon_id)]);
}

/** An agent: its question, what it is for, and its sessions. */
export function openAgent({ name, daemon_id: daemon, project }) {
  const known = el('div'), sessions = el('div');
  let agent;
  const write = model.me && el('button.small', { type: 'button', 'data-action': 'write', on: { click: () => { details.close(); writeTo(agent); } } }, 'Write a message');
  const show = () => {
    agent = model.agents.find((it) => it.name === name && it.daemon_id === daemon && it.project === project);
    if (write) set(write, { hidden: !agent });
    sessions.replaceChildren();
    if (!agent) return void known.replaceChildren(paragraph('It is no longer in the list.'));
    const question = agent.state === 'needs_you' && deciding(agent)?.question;
    const rows = (agent.sessions ?? []).map((session) => el('li', {},
      facts(['state', agentState(session)], ['since', since(session.since, true)], ['task', session.task && visible(session.task)], ['folder', session.folder && visible(session.folder)],
        ['branch', session.branch && visible(session.branch)], ['tool', session.tool && visible(session.tool)])));
    known.replaceChildren(...[
      question && el('blockquote.question', { dir: 'auto' }, readable(question)),
      facts(['state', el('span', {}, `${agentState(agent)}, since `, since(agent.since, true))], ['for', agent.about && visible(agent.about)], ['machine', machineOf(agent)], ['project', agent.project && visible(agent.project)]),
    ].filter(Boolean));
    if (rows.length > 0) sessions.replaceChildren(el('h3', {}, rows.length === 1 ? 'Its session' : 'Its sessions'), el('ul.sessions', {}, ...rows));
  };
  show();
  details.open('agent', visible(name), [known, write, sessions].filter(Boolean), ({ agents }) => agents && show());
}

/** Searches for words, with more on demand. */
export async function openSearch(words, open) {
  const list = el('ul.hits'), note = el('p.note', { role: 'status' }, 'Searching…');
  const more = el('button.more', { id: 'more-hits', type: 'button', hidden: true, on: { click: () => load() } }, 'Show more');
  details.open('search', `Found: ${visible(words)}`, [note, list, more]);
  let before, number = 0, isLoading = false;
  async function load() {
    // It keeps the focus, so it is not disabled.
    if (isLoading) return;
    isLoading = true;
    set(more, { 'aria-disabled': 'true' });
    let answer;
    try {
      answer = await rpc('message.search', { words, ...inProject(), before, limit: 30 });
    } catch (error) {
      return void note.replaceChildren(failed(error));
    } finally {
      isLoading = false;
      set(more, { 'aria-disabled': false });
    }
    const { hits, next_before: next } = answer;
    [before, number] = [next, number + hits.length];
    const found = hits.map((hit) => row(hit, open));
    list.append(...found);
    const where = model.project ? ` in ${visible(model.project)}` : '';
    text(note, number === 0 ? `No message${where} has these words.` : `${number === 1 ? '1 message' : `${count(number)} messages`}${where}${next === undefined ? '' : ', and more'}, the newest first.`);
    show(more, next !== undefined, () => (found[0] ?? list.lastElementChild)?.querySelector('button'));
  }
  await load();
}

function row({ message, snippet }, open) {
  const now = Date.now();
  return el('li', { 'data-hit': message.event_id }, el('button', { type: 'button', on: { click: () => open(message) } },
    el('span.who', {}, foreign(visible(message.from), '.from'), el('span.arrow', { 'aria-hidden': 'true' }, '→'), spoken(' to '), foreign(recipients(message), '.to')),
    el('time', { datetime: message.timestamp }, `${day(message.timestamp, now)} ${clock(message.timestamp)}`),
    el('span.text', { dir: 'auto' }, ...marked(snippet))));
}

/** A snippet with the words marked. Its author may have written such marks, too: then other words are marked. */
export function marked(snippet) {
  return snippet.split('\u0002').flatMap((part, at) => {
    const end = at > 0 ? part.indexOf('\u0003') : -1;
    const rest = visible(part.slice(end + 1).replaceAll('\u0003', ''));
    return end > 0 ? [el('mark', {}, visible(part.slice(0, end))), rest] : [rest];
  });
}
