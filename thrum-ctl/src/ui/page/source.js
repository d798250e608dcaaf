/** Pages of the feed from thrumd: messages, and with system events all that is in the log. */
import { rpc } from './api.js';
import { asMe, inProject, model } from './model.js';
import { merge } from './rows.js';

const PAGE = 60;
const MESSAGES_MAX = 200;

const asRow = (message) => ({ sequence: message.sequence, message });

/**
 * A page: the one `before` a position, the one `after` it, or the newest.
 * @returns {Promise<{found: object[], before: number|null, after: number, isMore: boolean, epoch: string}>}
 * `isMore`: whether there is more in this direction.
 */
export async function page({ before, after } = {}) {
  const isAfter = after !== undefined;
  if (model.events) return eventsPage({ before, after });
  const answer = await rpc('message.list', { ...asMe(), ...inProject(), limit: PAGE, before, after });
  const { messages, next, read_seq: read, epoch } = answer;
  const isMore = next !== undefined;
  return { found: merge([], messages.map(asRow)), before: isAfter || !isMore ? null : next, after: isAfter && isMore ? next : read, isMore, epoch };
}

async function eventsPage({ before, after }) {
  const isAfter = after !== undefined;
  const where = isAfter ? { after } : { newest: true, before };
  const { events, next, more_available: isLater } = await rpc('event.list', { ...where, ...inProject(), limit: PAGE });
  // A page is short also because its events are long: only one without any, or with the first one of the log, is the last.
  const isMore = isAfter ? isLater : events.length > 0 && events[0].sequence > 1;
  const low = isAfter ? 0 : events[0]?.sequence ?? Infinity;
  const high = isMore && isAfter ? next : Infinity;
  let found = events.filter(({ event }) => event.type !== 'message.sent').map(({ sequence, event }) => ({ sequence, event }));
  // The messages of the same part of the log: no more than there are events, if it did not grow meanwhile.
  for (let from = { before, after }, rounds = 1; ; rounds++) {
    const answer = await rpc('message.list', { ...asMe(), ...inProject(), limit: MESSAGES_MAX, ...from });
    const inside = answer.messages.filter(({ sequence }) => sequence >= low && sequence <= high);
    found = merge(found, inside.map(asRow));
    if (answer.next === undefined || inside.length < answer.messages.length || rounds > events.length) {
      const known = isAfter && isMore ? high : Math.max(events.at(-1)?.sequence ?? 0, next, after ?? 0);
      return { found, before: isMore && !isAfter ? low : null, after: Math.min(known, answer.read_seq), isMore, epoch: answer.epoch };
    }
    from = isAfter ? { after: answer.next } : { before: answer.next };
  }
}
