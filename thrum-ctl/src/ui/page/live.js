/**
 * The stream of changes. Tabs of one address share it: a browser opens six connections to a host, and as many streams would
 * leave none for requests. One tab holds a lock and reads the stream; when it is closed, the next one does.
 */
import { Ended, Lost, request } from './api.js';

const NAME = 'thrum-changes';
const WAIT_MS = [500, 1000, 2000, 5000, 10_000];
/** `thrum ui` sends an empty line every 20 s. After that long without one the stream is broken, such as after sleep. */
const QUIET_MS = 45_000;
const LINE_MAX = 64 * 1024;

/** @param {(line: {change?: object, away?: {since: string, why: string}}) => void} handle */
export function follow(handle) {
  const channel = new BroadcastChannel(NAME);
  let last, lastAt = 0, abort = null, isCut = false;
  const take = (line) => {
    lastAt = Date.now();
    if (line.beat) return;
    last = line;
    handle(line);
  };
  const tell = (line) => {
    channel.postMessage(line);
    take(line);
  };
  channel.onmessage = ({ data }) => {
    if (data.ask) {
      if (abort && last) channel.postMessage(last);
    } else if (data.renew) renew();
    else take(data);
  };

  async function read(signal) {
    const response = await request('/changes', { signal });
    if (!response.ok) throw new Lost(`thrum ui answers ${response.status}`);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let quiet;
    for (let rest = ''; ;) {
      clearTimeout(quiet);
      quiet = setTimeout(renew, QUIET_MS);
      const { value, done } = await reader.read();
      if (done) throw new Lost('thrum ui has closed the stream');
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      if (rest.length > LINE_MAX) throw new Lost('thrum ui sends what is no change');
      for (const line of lines) tell(line ? JSON.parse(line) : { beat: true });
    }
  }

  async function lead() {
    for (let failures = 0; ;) {
      [abort, isCut] = [new AbortController(), false];
      const began = Date.now();
      try {
        await read(abort.signal);
      } catch (error) {
        if (error instanceof Ended) return;
        failures = lastAt >= began ? 0 : failures + 1;
        // After sleep it is not told at once that it is not live: a new stream is there in a moment.
        if (!isCut || failures > 0) {
          const since = last?.away?.since ?? new Date(lastAt || began).toISOString();
          tell({ away: { since, why: error instanceof Lost ? error.message : 'thrum ui does not answer; if it has ended, run it again' } });
        }
      }
      if (!isCut) await new Promise((wake) => setTimeout(wake, WAIT_MS[Math.min(failures, WAIT_MS.length - 1)]));
    }
  }

  /** Opens a new stream if nothing came for too long. */
  function renew() {
    if (Date.now() - lastAt < QUIET_MS) return;
    if (!abort) return void channel.postMessage({ renew: true });
    isCut = true;
    abort.abort();
  }

  document.addEventListener('visibilitychange', () => document.hidden || renew());
  addEventListener('online', renew);
  addEventListener('pageshow', ({ persisted }) => persisted && renew());
  channel.postMessage({ ask: true });
  if (navigator.locks) navigator.locks.request(NAME, lead);
  else lead();
}
