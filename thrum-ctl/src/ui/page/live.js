/**
 * The stream of changes. Tabs of one `thrum ui` share it: a browser opens six connections to a host, and as many streams would
 * leave none for requests. One tab holds a lock, reads the stream and tells the others; when it is closed, the next one does.
 */
import { end, Ended, isGone, Lost, request } from './api.js';

const WAIT_MS = [500, 1000, 2000, 5000, 10_000];
/** `thrum ui` sends an empty line every 20 s. After that long without one the stream is broken, such as after sleep. */
const QUIET_MS = 45_000;
/** How long a stream that was asked for has for its first line. */
const FIRST_MS = 20_000;
/** How long a tab that should read the stream has to show that it does. A browser may have frozen it. */
const ANSWER_MS = 5000;
const LINE_MAX = 64 * 1024;

/**
 * @param {(line: {change?: object, away?: {since: string, why: string}}) => void} handle
 * @param {string} id of the session: another `thrum ui` may have had this address before, and its tabs are none of ours
 */
export function follow(handle, id) {
  const name = `thrum-changes ${id}`;
  const channel = new BroadcastChannel(name);
  /** What stops the stream of this tab; null: another tab reads it. */
  let abort = null;
  let last, lastAt = Date.now(), isOver = false;
  /** When the tab that reads the stream said that it does. */
  let hereAt = 0;
  /** When the next line has to be here. */
  let due, quiet;

  function expect(ms) {
    due = Date.now() + ms;
    watch();
  }
  /** There is always a timer: no state of the stream lasts unseen. */
  function watch() {
    clearTimeout(quiet);
    if (!isOver) quiet = setTimeout(renew, Math.max(due - Date.now(), 0) + 1);
  }
  function take(line) {
    lastAt = Date.now();
    expect(QUIET_MS);
    if (line.beat) return;
    last = line;
    handle(line);
  }
  function tell(line) {
    channel.postMessage(line);
    take(line);
  }
  channel.onmessage = ({ data }) => {
    if (data.ask) {
      if (abort && last) channel.postMessage(last);
    } else if (data.renew) {
      if (!abort) return;
      renew();
      channel.postMessage({ here: true });
    } else if (data.here) {
      hereAt = Date.now();
      expect(QUIET_MS);
    } else if (data.ended) over();
    else take(data);
  };

  /** The session has ended: for all tabs of it. */
  function over() {
    if (isOver) return;
    isOver = true;
    clearTimeout(quiet);
    channel.postMessage({ ended: true });
    channel.close();
    if (abort) abort.own.isOver = true;
    abort?.abort();
    abort = null;
    end();
  }

  async function read(signal, take) {
    const response = await request('/changes', { signal });
    if (!response.ok) throw new Lost(`thrum ui answers ${response.status}`);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ''; ;) {
      const { value, done } = await reader.read();
      if (done) throw new Lost('thrum ui has closed the stream');
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      if (rest.length > LINE_MAX) throw new Lost('thrum ui sends what is no change');
      for (const line of lines) take(line ? JSON.parse(line) : { beat: true });
    }
  }

  async function lead() {
    const own = { isOver: false };
    for (let failures = 0; !own.isOver && !isOver;) {
      const stop = new AbortController();
      abort = Object.assign(stop, { own });
      let isHeard = false;
      expect(FIRST_MS);
      try {
        await read(stop.signal, (line) => {
          isHeard = true;
          tell(line);
        });
      } catch (error) {
        if (own.isOver) return;
        if (error instanceof Ended || (!stop.signal.aborted && await isGone())) return over();
        if (own.isOver) return;
        failures = isHeard ? 0 : failures + 1;
        // A stream that was quiet is opened again at once, and mostly it is there in a moment.
        if (!stop.signal.aborted || failures > 0) {
          const since = last?.away?.since ?? new Date(lastAt).toISOString();
          tell({ away: { since, why: error instanceof Lost ? error.message : 'thrum ui does not answer; if it has ended, run it again' } });
        }
      }
      if (!stop.signal.aborted) await new Promise((wake) => setTimeout(wake, WAIT_MS[Math.min(failures, WAIT_MS.length - 1)]));
    }
  }

  /** Waits until this tab is the one that reads the stream. */
  function join(options) {
    if (isOver) return;
    if (!navigator.locks) return void lead();
    navigator.locks.request(name, options, lead).catch(() => {
      if (isOver) return;
      if (!abort) return void lead();
      // Another tab took it over.
      abort.own.isOver = true;
      abort.abort();
      abort = null;
      join({});
    });
  }

  /** Has a new stream opened if nothing came for too long. */
  function renew() {
    if (isOver) return;
    if (Date.now() < due) return void watch();
    expect(QUIET_MS);
    if (abort) return void abort.abort();
    channel.postMessage({ renew: true });
    const asked = Date.now();
    setTimeout(() => {
      if (!document.hidden && !abort && Math.max(lastAt, hereAt) < asked) join({ steal: true });
    }, ANSWER_MS);
  }

  document.addEventListener('visibilitychange', () => document.hidden || renew());
  addEventListener('online', renew);
  addEventListener('pageshow', ({ persisted }) => persisted && renew());
  expect(QUIET_MS);
  channel.postMessage({ ask: true });
  join({});
}
