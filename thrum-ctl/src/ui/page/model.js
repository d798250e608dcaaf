/** What the page knows, and what is derived from it. */
import { counted } from './format.js';

export const model = {
  /** The person; null: the page is for reading. */
  me: null,
  /** The project that is shown; null: all. */
  project: null,
  /** Whether system events are shown. */
  events: false,
  status: null,
  agents: [],
  /** Whether the agents were told: before that, none is no statement. */
  isKnown: false,
  groups: [],
  unread: 0,
  /** Projects that were seen in messages. */
  seen: new Set(),
  /** Paths to machines, by daemon id. */
  paths: new Map(),
};

/** The person, for params; absent if there is none. */
export const asMe = () => (model.me ? { agent: model.me } : {});
export const inProject = () => (model.project ? { project: model.project } : {});
/** The path to a machine; none if it can't be reached: what was measured before says nothing of now. */
export const pathTo = (peer) => (isConnected(peer) ? model.paths.get(peer.daemon_id) : undefined);
export const isConnected = (peer) => ['in_sync', 'catching_up'].includes(peer.state);
/** Params that name a message. */
export const ref = (message) => ({ event_id: message.event_id, origin_daemon: message.origin_daemon });

/** Whether the person sent it. Somebody of the same name on another machine is somebody else. */
export const isOwn = (message) => model.me !== null && message.from === model.me && message.origin_daemon === model.status?.daemon_id;

const ORDER = ['needs_you', 'working', 'waiting', 'idle', 'unreachable', 'gone'];
const compare = (one, other) => (one < other ? -1 : one > other ? 1 : 0);
/** The order for people: whoever needs them comes first. */
export const sorted = (agents) =>
  [...agents].sort((one, other) =>
    Number(one.removed ?? false) - Number(other.removed ?? false)
    || ORDER.indexOf(one.state) - ORDER.indexOf(other.state)
    || compare(one.name, other.name) || compare(one.machine ?? '', other.machine ?? '') || compare(one.project ?? '', other.project ?? ''));

export const isNeedy = (agent) => agent.state === 'needs_you' && !agent.removed;

/** The session that decides an agent's state: it has the question, or the task. */
export const deciding = (agent) => agent.sessions?.find((session) => session.state === agent.state) ?? agent.sessions?.[0];

/** All projects, by name. */
export function projects(agents, seen, ...more) {
  const all = new Set([...agents.map((agent) => agent.project), ...seen, ...more]);
  return [...all].filter(Boolean).sort(compare);
}

const isUnreachable = (peer) => ['backing_off', 'never_reached', 'removed_us'].includes(peer.state);
const isBehind = (peer) => peer.they_lack > 0 || peer.we_lack > 0 || peer.state === 'log_changed';

/** The machines in a line. */
export function machines(status) {
  if (!status) return '';
  const { peers } = status;
  const behind = peers.filter(isBehind).length, away = peers.filter((it) => isUnreachable(it) && !isBehind(it)).length;
  return [counted(peers.length + 1, 'machine'), behind && `${behind} behind`, away && `${away} not reached`].filter(Boolean).join(', ');
}

/** Who needs a person, in a line. */
export function needs(agents) {
  const needy = agents.filter(isNeedy).length;
  return needy === 0 ? 'nobody needs you' : needy === 1 ? '1 agent needs you' : `${needy} agents need you`;
}

/** The tab's title: how much waits for the person comes first. */
export function title(waiting, machine) {
  const name = machine ? `thrum · ${machine}` : 'thrum';
  return waiting > 0 ? `(${waiting}) ${name}` : name;
}

/** Up to where the views are, if they are behind the log by more than a moment. */
export function indexing(status) {
  const read = status?.views?.read_seq, head = status?.log?.head_seq;
  return read !== undefined && head - read > 10_000 ? { read, head } : null;
}
