/** The session with `thrum ui`, and requests to thrumd through it. */

const KEY = 'thrum-bearer';
/** How long an answer may take that only says that `thrum ui` is there. */
const PROBE_MAX_MS = 5000;
/** After these times it is tried whether `thrum ui` is still there: a computer that wakes up refuses connections for a moment. */
const PROBE_AFTER_MS = [0, 300, 700];
let ended = () => {};
let isOver = false;
let number = 0;

/** The session is no longer known: `thrum ui` has ended, or another one has its port. */
export class Ended extends Error {}
/** No answer came: what was asked for may have been done. */
export class Lost extends Error {}
/** The answer is an error. */
export class Refused extends Error {
  constructor({ code, message, hint, data }) {
    super(message);
    Object.assign(this, { code, hint: hint ?? data?.hint, data: data ?? {} });
  }
}

/** Whom to tell that the session has ended. */
export const onEnd = (tell) => { ended = tell; };

/** No answer is waited for longer; a check of a machine takes up to 20 s. */
const ANSWER_MAX_MS = 40_000;

/** A request with the bearer. */
export async function request(path, options = {}) {
  // Whatever listens at the address now gets nothing from this page.
  if (isOver) throw new Ended('the session has ended');
  const bearer = sessionStorage.getItem(KEY);
  let response;
  try {
    response = await fetch(path, { signal: AbortSignal.timeout(ANSWER_MAX_MS), ...options, headers: { ...options.headers, authorization: `Bearer ${bearer}` }, cache: 'no-store', redirect: 'error' });
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    throw new Lost('thrum ui does not answer; if it has ended, run it again', { cause });
  }
  if (response.status === 401) {
    sessionStorage.removeItem(KEY);
    end();
    throw new Ended('the session has ended');
  }
  return response;
}

/** Ends the session of this page: it asks for nothing more. */
export function end() {
  if (isOver) return;
  isOver = true;
  ended();
}

/**
 * Whether `thrum ui` has ended: nothing takes connections at its address. It never comes back with this session, so what listens
 * there later is something else. An answer that only does not come is no proof: a tunnel may be slow.
 */
export async function isGone() {
  for (const wait of PROBE_AFTER_MS) {
    await new Promise((wake) => setTimeout(wake, wait));
    try {
      await request('/session', { signal: AbortSignal.timeout(PROBE_MAX_MS) });
      return false;
    } catch (error) {
      if (error instanceof Ended) return true;
      if (!(error instanceof Lost && error.cause instanceof TypeError)) return false;
    }
  }
  return true;
}

async function answer(response) {
  let json;
  try {
    json = await response.json();
  } catch (cause) {
    throw new Lost('the answer of thrum ui was cut off', { cause });
  }
  if (!json.error) return json;
  if (response.status >= 500) throw Object.assign(new Lost(json.error.message), { hint: json.error.hint });
  throw new Refused(json.error);
}

const posted = (body) => ({ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

/** Calls a method of thrumd. */
export async function rpc(method, params = {}) {
  const { result } = await answer(await request('/rpc', posted({ jsonrpc: '2.0', id: ++number, method, params })));
  return result;
}

/** What doctor says of a machine; without one, of this one. */
export const doctor = async (peer) => answer(await request('/doctor', posted(peer ? { peer } : {})));

/**
 * Begins the session: with the token of the address, which works once, or with what an earlier load of this tab got.
 * @returns {Promise<{session?: object, reason?: 'no-token'|'used-token'|'ended'|'later'}>}
 */
export async function begin() {
  const token = new URLSearchParams(location.hash.slice(1)).get('t');
  if (token) {
    const response = await first({ ...posted({ token }) });
    if (!response?.ok && response?.status !== 401) return { reason: 'later' };
    // It is in the history no longer than needed. Without an answer it still works.
    history.replaceState(null, '', location.pathname);
    if (response.ok) {
      const { bearer, ...session } = await response.json();
      sessionStorage.setItem(KEY, bearer);
      return { session: await named(session) };
    }
  }
  const bearer = sessionStorage.getItem(KEY);
  if (!bearer) return { reason: token ? 'used-token' : 'no-token' };
  const response = await first({ headers: { authorization: `Bearer ${bearer}` } });
  if (response?.ok) return { session: await named(await response.json()) };
  if (response?.status !== 401) return { reason: 'later' };
  sessionStorage.removeItem(KEY);
  return { reason: 'ended' };
}

/** The first answer; none if there is none. */
const first = (options) =>
  fetch('/session', { ...options, signal: AbortSignal.timeout(ANSWER_MAX_MS), cache: 'no-store', redirect: 'error' }).catch(() => null);

/** A session with its id: all tabs of one `thrum ui` have the same one, and no tab of another has it. */
async function named(session) {
  if (session.id) return session;
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(`tabs of ${sessionStorage.getItem(KEY)}`));
  return { ...session, id: [...new Uint8Array(hash, 0, 16)].map((byte) => byte.toString(16).padStart(2, '0')).join('') };
}
