/** Small helpers for the DOM. Text of others gets into the page through `textContent` alone. */
import { age, ago } from './format.js';

export const $ = (id) => document.getElementById(id);

/**
 * Makes an element. Attributes that are `undefined` or `false` are left out; `on` has listeners.
 * @param {string} tag with classes, such as `span.name.dim`
 */
export function el(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split('.');
  const node = document.createElement(name);
  if (classes.length) node.className = classes.join(' ');
  set(node, attributes);
  node.append(...children.filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

/** Sets attributes, and removes those that are `undefined` or `false`. */
export function set(node, { on = {}, ...attributes }) {
  for (const [event, listener] of Object.entries(on)) node.addEventListener(event, listener);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false || value === null) node.removeAttribute(name);
    else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? '' : value);
  }
  return node;
}

/** Shows or hides a node. If it has the focus and goes, `next` gets it. */
export function show(node, isShown, next) {
  const isLeft = !isShown && node.contains(document.activeElement);
  set(node, { hidden: !isShown });
  if (isLeft) next()?.focus({ preventScroll: true });
}

/** Sets a text if it is another one: screen readers and selections notice every change. */
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
  return node;
}

/** Text of others: its direction does not change what stands beside it. */
export const foreign = (value, classes = '') => el(`bdi${classes}`, { dir: 'auto' }, value);

/** For screen readers alone. */
export const spoken = (value) => el('span.spoken', {}, value);

/** A time of which the age is shown, kept right by `refreshAges`. */
export function since(then, isSentence = false) {
  const node = el('time', { datetime: then, title: new Date(then).toLocaleString(), 'data-age': isSentence ? 'ago' : 'age' });
  return text(node, (isSentence ? ago : age)(then, Date.now()));
}
export function refreshAges() {
  for (const node of document.querySelectorAll('time[data-age]')) {
    text(node, (node.dataset.age === 'ago' ? ago : age)(node.dateTime, Date.now()));
  }
}

const known = new WeakMap();
/**
 * Makes the children of a list those of `items`: what is there already is changed in place, so that focus and
 * selection stay. If the child with the focus goes, its neighbour gets it.
 * @param {Element} list
 * @param {(item: any) => string} key
 * @param {(item: any) => Element} create
 * @param {(node: Element, item: any, before: any) => void} update
 */
export function keyed(list, items, key, create, update) {
  const old = known.get(list) ?? new Map(), now = new Map();
  const focused = document.activeElement;
  for (const [at, item] of items.entries()) {
    const id = key(item);
    const node = old.get(id) ?? create(item);
    now.set(id, node);
    update(node, item, items[at - 1]);
  }
  const holder = [...old.values()].find((node) => node.contains(focused));
  const next = holder && ![...now.values()].includes(holder) ? holder.nextElementSibling ?? holder.previousElementSibling : undefined;
  for (const [id, node] of old) if (!now.has(id)) node.remove();
  let at = list.firstElementChild;
  for (const node of now.values()) {
    if (node === at) at = at.nextElementSibling;
    else if (node.isConnected && list.moveBefore) list.moveBefore(node, at);
    else list.insertBefore(node, at);
  }
  known.set(list, now);
  if (holder && document.activeElement !== focused) {
    if (holder.isConnected) focused.focus({ preventScroll: true });
    else ((next?.isConnected && focusable(next)) || focusable(list) || list).focus({ preventScroll: true });
  }
}
/** What in a node, or the node itself, can have the focus. */
export const focusable = (node) => (node.matches('[tabindex],button') ? node : node.querySelector('[tabindex],button'));

/** Says a sentence to screen readers. */
export function announce(sentence) {
  $('announce').textContent = '';
  // Another text in the same moment is not read.
  setTimeout(() => text($('announce'), sentence), 50);
}

/** A command that can be typed. */
export const command = (value) => el('code', {}, value);
