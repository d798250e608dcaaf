/** States in words: the same ones as in `thrum-ctl/src/render`. Names of others are made visible here. */
import { visible } from './visible.js';

const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;

/** A number with thousands separators. */
export const count = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ',');
/** A list counts no further. */
const REPLIES_MAX = 1000;
export const answers = (replies) => replies === 1 ? '1 answer' : `${count(replies)}${replies === REPLIES_MAX ? '+' : ''} answers`;
export const counted = (number, thing) => `${count(number)} ${thing}${number === 1 ? '' : 's'}`;

/** An age without a word after it: `4 min`, `yesterday`. */
export function age(then, now) {
  const ms = Math.max(0, now - Date.parse(then));
  // Ages are shown anew only now and then.
  if (ms < MINUTE) return '<1 min';
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h`;
  return ms < 2 * DAY ? 'yesterday' : `${Math.floor(ms / DAY)} d`;
}
/** An age in a sentence. */
export const ago = (then, now) => {
  const text = age(then, now);
  return text === 'yesterday' ? text : `${text} ago`;
};

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const SECONDS = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const DATE = new Intl.DateTimeFormat('en-GB', { weekday: 'long', day: 'numeric', month: 'long' });
const DATE_YEAR = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'long', year: 'numeric' });
export const clock = (then) => CLOCK.format(new Date(then));
/** The local day of a time, for separators. */
export function day(then, now) {
  const date = new Date(then), today = new Date(now);
  if (date.toDateString() === today.toDateString()) return 'Today';
  if (date.toDateString() === new Date(now - DAY).toDateString()) return 'Yesterday';
  return (date.getFullYear() === today.getFullYear() ? DATE : DATE_YEAR).format(date);
}
/** The time of a day, with the day unless it is today. */
export function when(then, now, format = CLOCK) {
  const of = day(then, now), time = format.format(new Date(then));
  return of === 'Today' ? time : `${of === 'Yesterday' ? 'yesterday' : of} ${time}`;
}

/** An abbreviated id: `d_01K..7G`. */
export function shortId(id) {
  const keep = id.startsWith('d_') ? 5 : 3;
  return id.length <= keep + 4 ? id : `${id.slice(0, keep)}..${id.slice(-2)}`;
}

const AGENT = { needs_you: 'needs you', working: 'working', waiting: 'waiting', idle: 'idle', unreachable: 'unreachable', gone: 'gone' };
export const agentState = (agent) => (agent.removed ? 'removed' : AGENT[agent.state] ?? 'unknown');

const PEER = {
  in_sync: 'in sync', catching_up: 'catching up', backing_off: 'backing off', never_reached: 'not reached yet',
  removed_us: 'removed us', log_changed: 'log changed', off: 'off',
};
/** The state of a machine in words, or how far it is behind. */
export function peerState(peer) {
  const word = PEER[peer.state] ?? 'unknown';
  const lacks = [];
  if (peer.they_lack > 0) lacks.push(`${count(peer.they_lack)} behind`);
  if (peer.we_lack > 0) lacks.push(`${count(peer.we_lack)} not here yet`);
  return lacks.length === 0 ? word : lacks.join(', ');
}
/** Why a machine is not in sync; empty if it is. */
export function peerWhy(peer, now) {
  if (peer.state === 'in_sync' || peer.state === 'catching_up') return '';
  const parts = [];
  const word = PEER[peer.state] ?? 'unknown';
  const error = peer.last_error && peer.failures > 0 ? visible(peer.last_error) : '';
  if (word !== peerState(peer)) parts.push(error ? `${word}: ${error}` : word);
  else if (error) parts.push(error);
  if (peer.state === 'removed_us') parts.push('this machine was removed there');
  if (peer.state === 'log_changed') parts.push('its log is another one, and is read from the beginning');
  if (peer.next_try_at) parts.push(`next try at ${when(peer.next_try_at, now, SECONDS)}`);
  return parts.join('; ');
}

const ROUTES = { wait: 'by wait', inbox: 'by inbox', hook: 'by hook', mcp: 'by MCP', wake: '(woken)', page: 'on the page' };

export const machineOf = (it) => (it.machine ? visible(it.machine) : it.daemon_id ? shortId(it.daemon_id) : '?');

/** Why a message did not get further to a recipient; undefined if nothing keeps it. */
export function obstacle(recipient, now) {
  const machine = machineOf(recipient);
  const behind = recipient.behind > 0 ? `${machine} is ${count(recipient.behind)} behind` : undefined;
  switch (recipient.obstacle) {
    case 'unknown_name': return 'nobody has seen an agent of this name: it waits for one';
    case 'unreachable': {
      const for_ = recipient.since ? age(recipient.since, now) : '';
      const since = for_ === 'yesterday' ? ' since yesterday' : for_ && ` for ${for_}`;
      return behind ? `${behind}, unreachable${since}` : `${machine} is unreachable${since}`;
    }
    case 'behind': return behind ?? `on its way to ${machine}`;
    case 'relayed': return `${machine} is no peer of this machine, and has not said yet that it is there`;
    case 'no_session': return 'no session: it waits in the inbox';
    case 'not_shown': return notShown(recipient);
    default: return undefined;
  }
}

/** The same in so few words that it fits beside a message; undefined for what is only not done yet. */
function hindrance(recipient) {
  const machine = machineOf(recipient);
  switch (recipient.obstacle) {
    case 'unknown_name': return `${visible(recipient.agent)} was not seen yet`;
    case 'unreachable':
    case 'behind':
      if (recipient.behind > 0) return `${machine} is ${count(recipient.behind)} behind`;
      return recipient.obstacle === 'unreachable' ? `${machine} is unreachable` : undefined;
    case 'relayed': return `${machine} has not confirmed it`;
    default: return undefined;
  }
}

function notShown({ live, reach }) {
  switch (live) {
    case 'waiting': return 'a session is waiting for it';
    case 'working':
      return reach === 'wake' || reach === 'hooks'
        ? 'a session is working: it sees it at its next step' : 'a session is working, and has not shown it yet';
    case 'needs_you': return 'its session waits for a person, and has not shown it yet';
    case 'idle':
      if (reach === 'wake') return 'a session is idle: it is woken';
      return reach === 'hooks' ? 'a session is idle: it sees it at its next prompt' : 'a session is idle, and has not shown it yet';
    default: return 'not shown yet';
  }
}

const ORDER = ['stored', 'there', 'read', 'answered'];
const reached = (recipient, state) => ORDER.indexOf(recipient.state) >= ORDER.indexOf(state);

/** Whether something is wrong on the way, and not only not done yet. */
const isWrong = (recipient) => ['unreachable', 'behind', 'unknown_name', 'relayed'].includes(recipient?.obstacle);

/** The steps of a message to one recipient that are done, and what keeps it from the next one. */
export function progress(recipient, now) {
  const steps = ['stored'];
  if (reached(recipient, 'there')) steps.push(`there on ${machineOf(recipient)}`);
  if (recipient.read_at) {
    steps.push(['read', when(recipient.read_at, now), ROUTES[recipient.route]].filter(Boolean).join(' '));
  } else if (reached(recipient, 'read')) steps.push('read');
  if (recipient.state === 'answered') {
    steps.push(recipient.answered_at ? `answered ${when(recipient.answered_at, now)}` : 'answered');
  }
  const why = obstacle(recipient, now) ?? (steps.length === 1 ? `on its way to ${machineOf(recipient)}` : undefined);
  return { steps, why, tone: isWrong(recipient) ? 'warn' : 'wait' };
}

/**
 * How far a message got that was `sent` then, in a few words.
 * @returns {{state: string, text: string, tone: 'ok'|'wait'|'warn'|'none'}} `state` is that of the last recipient.
 */
export function delivery(summary, now, sent) {
  const { total, there, read, answered, least } = summary;
  if (!total) {
    return summary.here_only
      ? { state: 'unknown', text: 'not known here', tone: 'none' }
      : { state: 'stored', text: 'stored, no recipient yet', tone: 'wait' };
  }
  const of = (number, word) => (number === total ? (total === 1 ? word : `${word} by all`) : `${word} ${number}/${total}`);
  if (answered === total) return { state: 'answered', text: of(answered, 'answered'), tone: 'ok' };
  if (read === total) {
    // The day is told if it is not the one of the message.
    const isSameDay = (at) => new Date(at).toDateString() === new Date(sent).toDateString();
    const at = total === 1 && least?.read_at ? ` ${(isSameDay(least.read_at) ? clock : when)(least.read_at, now)}` : '';
    return { state: 'read', text: of(read, 'read') + at, tone: 'ok' };
  }
  const state = there === total ? 'there' : 'stored';
  const why = least && hindrance(least);
  const tone = isWrong(least) ? 'warn' : 'wait';
  if (total === 1) {
    if (state === 'there') return { state, text: least?.obstacle === 'no_session' ? 'there, no session' : 'there, unread', tone };
    return { state, text: why ?? `on its way${least ? ` to ${machineOf(least)}` : ''}`, tone };
  }
  if (state === 'there') return { state, text: read ? `there, read ${read}/${total}` : 'there, unread', tone };
  return { state, text: `there ${there}/${total}${why ? `: ${why}` : ''}`, tone };
}

/** A system event as a sentence. `machine` is the name of its origin. What has another form than it should is shown as it is. */
export function event(event, machine) {
  try {
    return sentence(event.type, event.body ?? {}, machine) ?? plain(event.body, machine);
  } catch {
    return plain(event.body, machine);
  }
}

function plain(body, machine) {
  const text = visible(JSON.stringify(body ?? {}));
  return `${machine}: ${text.length > 200 ? `${text.slice(0, 200)}…` : text}`;
}

function sentence(type, body, machine) {
  const list = (value = []) => {
    if (!Array.isArray(value)) throw new TypeError('no list');
    return value;
  };
  const name = visible(body.agent ?? body.from ?? '');
  const short = (address) => visible(address).replace(/@(d_\w+)$/, (_, id) => `@${shortId(id)}`);
  const names = (all) => all.map(short).join(', ');
  switch (type) {
    case 'agent.joined': return `${name} joined on ${machine}${body.about ? `: ${visible(body.about)}` : ''}`;
    case 'agent.removed': return `${name} was removed on ${machine}`;
    case 'agent.sessions': {
      const sessions = list(body.sessions);
      if (sessions.length === 0) return `${name} on ${machine} has no session any more`;
      const states = sessions.map((it) => AGENT[it.state] ?? 'idle').join(', ');
      return `${name} on ${machine}: ${counted(sessions.length, 'session')} (${states})`;
    }
    case 'message.deleted': return `${name} deleted a message`;
    case 'message.receipts': {
      const read = list(body.read).map((it) => `${visible(it.agent)} read ${counted(list(it.event_ids).length, 'message')}`);
      if (list(body.there).length > 0) read.push('it has what was sent to it');
      return `${machine}: ${read.join(', ')}`;
    }
    case 'group.changed': {
      const [add, remove] = [list(body.add), list(body.remove)];
      const parts = [add.length > 0 && `${names(add)} added`, remove.length > 0 && `${names(remove)} removed`].filter(Boolean);
      return `group @${visible(body.group ?? '')}: ${parts.join(', ')}`;
    }
    default: return undefined;
  }
}
