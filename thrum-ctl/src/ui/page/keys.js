/** Keys for all of the page. Letters can be switched off, for people who speak to their computer. */
import { $ } from './dom.js';

const OFF = 'thrum-keys-off';

/** @param {Record<string, () => void>} actions by key */
export function start(actions, escape) {
  const toggle = $('keys-on');
  toggle.checked = sessionStorage.getItem(OFF) === null;
  toggle.addEventListener('change', () => (toggle.checked ? sessionStorage.removeItem(OFF) : sessionStorage.setItem(OFF, 'yes')));
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const { target } = event;
    if (event.key === 'Escape') return void escape(event);
    const isWriting = target.matches('input:not([type=checkbox]),textarea,select') || target.isContentEditable;
    // Enter is for the row itself: a button in it does what it says.
    if (isWriting || (event.key === 'Enter' && !target.matches('#feed > article'))) return;
    const isLetter = event.key !== 'Enter';
    const action = actions[event.key];
    if (!action || (isLetter && !toggle.checked) || document.querySelector('dialog:modal#help')) return;
    event.preventDefault();
    action();
  });
}
