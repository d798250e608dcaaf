/** The session with `thrum ui`, and requests to thrumd through it. */

const KEY = 'thrum-bearer';
let ended = () => {};
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
    ended();
    throw new Ended('the session has ended');
  }
  return response;
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
 * @returns {Promise<{session?: object, reason?: 'no-token'|'used-token'|'ended'}>}
 */
export async function begin() {
  const token = new URLSearchParams(location.hash.slice(1)).get('t');
  if (token) {
    // It is in the history no longer than needed.
    history.replaceState(null, '', location.pathname);
    try {
      const response = await fetch('/session', { ...posted({ token }), cache: 'no-store' });
      if (response.ok) {
        const { bearer, ...session } = await response.json();
        sessionStorage.setItem(KEY, bearer);
        return { session };
      }
    } catch {
      return { reason: 'ended' };
    }
  }
  if (!sessionStorage.getItem(KEY)) return { reason: token ? 'used-token' : 'no-token' };
  try {
    return { session: await answer(await request('/session')) };
  } catch {
    return { reason: 'ended' };
  }
}
