/**
 * The window of the feed: a bounded run of rows of the log, without gaps inside. Pure functions.
 *
 * @typedef {{sequence: number, message?: object, event?: object}} Row
 * @typedef {object} View
 * @property {Row[]} rows Sorted by their positions in the log.
 * @property {number|null} before The position before which the page before begins; null: there is none.
 * @property {number} after The position after which the next page begins, or what is new.
 * @property {boolean} atEnd Whether nothing is known to be after the last row.
 * @property {string|null} epoch The epoch of the log.
 */

/** Most rows that are in the page at a time. */
export const WINDOW = 300;
/** Most messages of which the deliveries can be asked at once. */
export const ASKED_MAX = 200;

/** @returns {View} */
export const empty = () => ({ rows: [], before: null, after: 0, atEnd: true, epoch: null });

/** Two runs of rows as one. Of a row that is in both, that of `more` counts. */
export function merge(rows, more) {
  if (more.length === 0) return rows;
  const all = new Map(rows.map((row) => [row.sequence, row]));
  for (const row of more) all.set(row.sequence, row);
  return [...all.values()].sort((one, other) => one.sequence - other.sequence);
}

/** Puts the page before the window. What no longer fits at the end comes again with a later page. */
export function older(view, found, before) {
  const all = merge(found, view.rows);
  if (all.length <= WINDOW) return { ...view, rows: all, before };
  const rows = all.slice(0, WINDOW);
  return { ...view, rows, before, after: rows.at(-1).sequence, atEnd: false };
}

/** Puts the page after the window, or what is new while a person looks at the end. */
export function newer(view, found, { after, atEnd }) {
  const all = merge(view.rows, found);
  const rows = all.slice(-WINDOW);
  return { ...view, rows, after, atEnd, before: all.length > WINDOW ? rows[0].sequence : view.before };
}

/** Puts what is new while a person reads older rows. Without room it waits, so that nothing they read goes. */
export function arrived(view, found, after) {
  const all = merge(view.rows, found);
  return all.length > WINDOW ? { ...view, atEnd: false } : { ...view, rows: all, after };
}

/**
 * Takes pages of conversations, the newest first, into those that are shown: what they have counts, and what they should have and
 * have not has moved on to a newer message, above them. Of more than fit the last ones go, and come again with the page after.
 * @param {number|undefined} next the position before which the page after these begins; undefined: there is none
 * @returns {{shown: object[], next: number|undefined, rest: number}} `next`: where the page after what is shown begins; `rest`: how
 * many of those shown were not in these pages
 */
export function conversationsIn(shown, page, next, { after, max }) {
  const key = ({ thread }) => `${thread.event_id} ${thread.origin_daemon}`;
  const fresh = new Set(page.map(key));
  const rest = next === undefined ? [] : shown.filter((it) => !fresh.has(key(it)) && it.last.sequence < next);
  const all = [...page, ...rest];
  if (all.length > max) return { shown: all.slice(0, max), next: all[max - 1].last.sequence, rest: max - page.length };
  return { shown: all, next: rest.length === 0 ? next : after, rest: rest.length };
}

/** Puts new deliveries to their messages, and takes out those of `asked` that were deleted. */
export function delivered(view, asked, deliveries) {
  const key = (it) => `${it.event_id} ${it.origin_daemon}`;
  const found = new Map(deliveries.map((it) => [key(it.message), it]));
  const gone = new Set(asked.map(key).filter((it) => !found.has(it)));
  const rows = [];
  for (const row of view.rows) {
    const of = row.message && key(row.message);
    if (of && gone.has(of)) continue;
    const news = of && found.get(of);
    rows.push(news ? { ...row, message: { ...row.message, delivery: news.delivery, read: news.read, replies: news.replies } } : row);
  }
  return { ...view, rows };
}
