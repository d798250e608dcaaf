/** The panel at the side: beside the page where there is room, else over it. */
import { $, set, text } from './dom.js';

const panel = $('details');
const isNarrow = matchMedia('(max-width: 1099px)');
let opener = null, refresh = null;

/** Whether it is open, and what it shows. */
export const kind = () => (panel.open ? panel.dataset.kind : null);

function place() {
  if (isNarrow.matches) panel.showModal();
  else panel.show();
}

/**
 * Opens the panel, or shows something else in it.
 * @param {string} of what it shows, for styles
 * @param {string} title
 * @param {(change: object) => Promise<void>|void} [onChange] told of changes while this is shown; if it fails, it is told again
 */
export function open(of, title, content, onChange = null) {
  if (!panel.open) {
    opener = document.activeElement;
    place();
  }
  refresh = onChange;
  set(panel, { 'data-kind': of });
  text($('details-title'), title);
  $('details-body').replaceChildren(...content);
  $('details-body').scrollTop = 0;
  $('details-title').focus({ preventScroll: true });
}

export function close() {
  if (!panel.open) return;
  panel.close();
  leave();
}

/** Empties the panel, and gives the focus back at once: a key may follow. */
function leave() {
  if (!opener) return;
  // From a search on to the messages, where letters are keys: / leads back to the search.
  const isBack = opener.isConnected && opener !== document.body && !opener.matches('input');
  const to = isBack ? opener : $('feed').querySelector('[tabindex="0"]');
  [opener, refresh] = [null, null];
  $('details-body').replaceChildren();
  to?.focus({ preventScroll: true });
}

/** Tells what is shown of a change. */
export async function changed(change) {
  if (panel.open) await refresh?.(change);
}

/** Does one thing after the other. */
export function inOrder() {
  let line = Promise.resolve();
  return (task) => {
    const done = line.then(task);
    line = done.catch(() => {});
    return done;
  };
}

export function start() {
  $('details-close').addEventListener('click', close);
  // Esc closes it without us where it lies over the page. When it was put at another place, it is open again.
  panel.addEventListener('close', () => panel.open || leave());
  isNarrow.addEventListener('change', () => {
    if (!panel.open) return;
    const focused = document.activeElement;
    panel.close();
    place();
    focused?.focus({ preventScroll: true });
  });
}
