/** Sends messages as the person: new ones, and answers in a conversation. */
import { Lost, Refused, rpc } from './api.js';
import { $, el, set, text } from './dom.js';
import { model, projects } from './model.js';
import { visible } from './visible.js';

const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const OPTIONS_MAX = 50;

/** A new ULID: 48 bits of time, 80 random ones. */
export function ulid(now = Date.now(), random = crypto.getRandomValues(new Uint8Array(16))) {
  let head = '';
  for (let rest = now, at = 0; at < 10; at++, rest = Math.floor(rest / 32)) head = DIGITS[rest % 32] + head;
  return head + [...random].map((byte) => DIGITS[byte % 32]).join('');
}

/**
 * Ids of what is sent: the same content keeps its id until it was sent, so that a second try after a lost answer sends
 * nothing twice. Other content is another message.
 */
export function drafts(make = ulid) {
  let last = {};
  return {
    id({ anyway, ...params }) {
      // A second try need not ask for that again.
      const content = JSON.stringify(params);
      if (last.content !== content) last = { content, id: make() };
      return last.id;
    },
    sent() { last = {}; },
  };
}

/** The recipients that were typed: separated by commas or spaces. */
export const typed = (value) => [...new Set(value.split(/[\s,]+/).filter(Boolean))];

/**
 * Makes a form send.
 * @param {HTMLFormElement} form with a textarea, `.send-error` and `.send-note`
 * @param {(extra: object) => object} params of `message.send`; throws a sentence for the person if something lacks
 * @param {(name: string, instead: string) => void} replace puts a suggested name in place of another
 * @param {object} draft what has the id of what was not sent yet, for a form that comes again
 */
export function sending(form, params, { replace, sent = () => {}, draft = drafts() } = {}) {
  const area = form.querySelector('textarea'), error = form.querySelector('.send-error'), note = form.querySelector('.send-note');
  let isBusy = false;
  const fail = (...children) => {
    if (error.contains(document.activeElement)) area.focus();
    error.replaceChildren(...children);
    set(error, { hidden: children.length === 0 });
  };
  const suggestions = (refused) => {
    const similar = refused.data.similar ?? [];
    const buttons = similar.map((name) => el('button.small', { type: 'button', 'data-suggest': name, on: { click: () => {
      replace?.(name, similar);
      fail();
      area.focus();
    } } }, visible(name)));
    const anyway = el('button.small', { type: 'button', 'data-action': 'send-anyway', on: { click: () => send({ anyway: true }) } }, 'Send anyway');
    return similar.length ? [el('span', {}, 'Did you mean:'), ...buttons, anyway] : [];
  };
  async function send(extra = {}) {
    if (isBusy) return;
    let wanted;
    try {
      wanted = { from: model.me, text: area.value, ...params(), ...extra };
    } catch (missing) {
      fail(missing.message);
      return;
    }
    isBusy = true;
    fail();
    text(note, 'Sending…');
    set(form, { 'aria-busy': 'true' });
    try {
      const result = await rpc('message.send', { ...wanted, event_id: draft.id(wanted) });
      draft.sent();
      // What was typed while it was sent is another message.
      if (area.value === wanted.text) area.value = '';
      const unknown = (result.unknown ?? []).map(visible).join(', ');
      text(note, unknown ? `Sent. ${unknown} was not seen in this project yet: it waits there.` : 'Sent.');
      sent(result);
    } catch (failed) {
      text(note, '');
      if (failed instanceof Refused && failed.data.similar) fail(el('span', {}, `${visible(failed.message)}.`), ...suggestions(failed));
      else if (failed instanceof Refused) fail([failed.message, failed.hint].filter(Boolean).map(visible).join('; '));
      else if (failed instanceof Lost) fail(`${visible(failed.message)}. Your text is still here: Send tries again, and it is sent only once.`);
      else fail('The session has ended. Your text is still here.');
    } finally {
      isBusy = false;
      set(form, { 'aria-busy': 'false' });
    }
  }
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    send();
  });
  area.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      send();
    }
  });
  area.addEventListener('input', () => text(note, ''));
}

/** What is typed for the machine of an agent: its name if that is one plain word, else the id. As in `thrum-api/src/label.rs`. */
export const toType = ({ machine, daemon_id: id }) => (/^(?!d_)[\w.-]+$/i.test(machine ?? '') ? machine : id);

/** Names that can be written to in a project; with the machine where several have an agent of that name. */
export function names(agents, groups, project) {
  const here = agents.filter((agent) => !agent.removed && !agent.former && (!project || agent.project === project));
  const places = new Map();
  for (const agent of here) places.set(agent.name, (places.get(agent.name) ?? new Set()).add(toType(agent)));
  const of = ([name, on]) => [name, ...(on.size > 1 ? [...on].map((machine) => `${name}@${machine}`) : [])];
  return [...[...places].flatMap(of), ...groups.map((group) => `@${group.name}`)].sort();
}

const project = () => model.project ?? $('to-project').value.trim();

/** Shows the project and the names that can be chosen now. */
export function refresh() {
  set($('composer'), { hidden: !model.me });
  set($('read-only'), { hidden: Boolean(model.me) });
  set($('to-project-field'), { hidden: Boolean(model.project) });
  text($('to-all-label'), model.project ? `everyone in ${visible(model.project)}` : 'everyone');
  if (!$('to-project').value) $('to-project').value = model.home ?? projects(model.agents, model.seen)[0] ?? '';
  options($('project-names'), projects(model.agents, model.seen, model.home));
  offer();
}

function options(list, values) {
  if (list.dataset.key === values.join('\n')) return;
  list.dataset.key = values.join('\n');
  list.replaceChildren(...values.slice(0, OPTIONS_MAX).map((value) => el('option', { value })));
}

function offer() {
  const before = $('to').value.replace(/[^\s,]*$/, '');
  options($('names'), names(model.agents, model.groups, project()).map((name) => before + name));
}

/** Begins a message to an agent. */
export function writeTo(agent) {
  $('to').value = agent.machine ? `${agent.name}@${toType(agent)}` : agent.name;
  if (agent.project) $('to-project').value = agent.project;
  $('to-all').checked = false;
  $('to').disabled = false;
  $('text').focus();
}

export function start() {
  $('to').addEventListener('input', offer);
  $('to-project').addEventListener('change', offer);
  $('to-all').addEventListener('change', () => { $('to').disabled = $('to-all').checked; });
  sending($('composer'), () => {
    const all = $('to-all').checked, to = all ? [] : typed($('to').value);
    if (!all && to.length === 0) throw new Error('Name whom it is for, or tick everyone.');
    if (!project()) throw new Error('Name the project.');
    if (!$('text').value.trim()) throw new Error('Write a text first.');
    return { to, all, project: project() };
  }, {
    replace: (name, similar) => {
      const isKnown = (it) => names(model.agents, model.groups, project()).includes(it);
      const others = typed($('to').value).filter((it) => isKnown(it) && !similar.includes(it));
      $('to').value = [...others, name].join(', ');
    },
  });
}
