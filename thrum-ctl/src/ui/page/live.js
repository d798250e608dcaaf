/**
 * The stream of changes. Tabs of one address share it: a browser opens six connections to a host, and as many streams would
 * leave none for requests. One tab holds a lock, reads the stream and tells the others; when it is closed, the next one does.
 */
import { Ended, Lost, request } from './api.js';

const NAME = 'thrum-changes';
const WAIT_MS = [500, 1000, 2000, 5000, 10_000];
/** `thrum ui` sends an empty line every 20 s. After that long without one the stream is broken, such as after sleep. */
const QUIET_MS = 45_000;
/** How long a tab that should read the stream has to show that it does. A browser may have frozen it. */
const ANSWER_MS = 5000;
const LINE_MAX = 64 * 1024;

/** @param {(line: {change?: object, away?: {since: string, why: string}}) => void} handle */
export function follow(handle) {
  const channel = new BroadcastChannel(NAME);
  /** What stops the stream of this tab; null: another tab reads it. */
  let abort = null;
  let last, lastAt = Date.now(), quiet;

  function take(line) {
    lastAt = Date.now();
    clearTimeout(quiet);
    quiet = setTimeout(renew, QUIET_MS);
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
      if (abort) renew();
    } else take(data);
  };

  async function read(signal) {
    const response = await request('/changes', { signal });
    if (!response.ok) throw new Lost(`thrum ui answers ${response.status}`);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ''; ;) {
      const { value, done } = await reader.read();
      if (done) throw new Lost('thrum ui has closed the stream');
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      if (rest.length > LINE_MAX) throw new Lost('thrum ui sends what is no change');
      for (const line of lines) tell(line ? JSON.parse(line) : { beat: true });
    }
  }

  async function lead() {
    const own = { isOver: false };
    for (let failures = 0; !own.isOver;) {
      const stop = new AbortController();
      abort = Object.assign(stop, { own });
      const began = Date.now();
      try {
        await read(stop.signal);
      } catch (error) {
        if (error instanceof Ended) return;
        if (own.isOver) return;
        failures = lastAt >= began ? 0 : failures + 1;
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
    if (!navigator.locks) return void lead();
    navigator.locks.request(NAME, options, lead).catch(() => {
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
    if (Date.now() - lastAt < QUIET_MS) return;
    if (abort) return void abort.abort();
    channel.postMessage({ renew: true });
    const asked = Date.now();
    setTimeout(() => {
      if (!document.hidden && !abort && lastAt < asked) join({ steal: true });
    }, ANSWER_MS);
  }

  document.addEventListener('visibilitychange', () => document.hidden || renew());
  addEventListener('online', renew);
  addEventListener('pageshow', ({ persisted }) => persisted && renew());
  channel.postMessage({ ask: true });
  join({});
}
