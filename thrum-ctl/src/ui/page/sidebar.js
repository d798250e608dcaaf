/** The left side: problems, machines, agents and projects. */
import { $, command, el, foreign, keyed, set, since, text } from './dom.js';
import { deciding, isConnected, isNeedy, model, pathTo, projects, sorted } from './model.js';
import { agentState, count, machineOf, peerState, peerWhy } from './format.js';
import { beginning, readable, visible } from './visible.js';

/** Most agents that are listed until a person asks for all. */
const AGENTS_MAX = 60;
let isAll = false;
let picked = () => {};

const millis = (micros) => `${(micros / 1000).toFixed(micros < 1000 ? 1 : 0)} ms`;

/** The way to a machine in short. */
function path(peer) {
  const found = pathTo(peer);
  if (found) return `${found.direct ? 'direct' : 'relay'}, ${millis(found.round_trip_us)}`;
  return peer.round_trip_us && isConnected(peer) ? millis(peer.round_trip_us) : '';
}

const TONES = { in_sync: 'ok', catching_up: 'warn', log_changed: 'warn', never_reached: 'warn', backing_off: 'bad', removed_us: 'bad', this: 'none' };

function machines() {
  const { status } = model;
  const own = { daemon_id: status.daemon_id, name: status.name, state: 'this' };
  keyed($('machines'), [own, ...status.peers], (it) => it.daemon_id,
    (it) => el('li', { 'data-machine': it.daemon_id },
      el('button.row', { type: 'button' }, foreign('', '.name'), el('span.path'), el('span.state'), el('span.why', { hidden: true }))),
    (node, it) => {
      const isOwn = it.state === 'this';
      set(node, { 'data-state': it.state });
      text(node.querySelector('.name'), visible(it.name));
      text(node.querySelector('.path'), isOwn ? '' : path(it));
      const state = node.querySelector('.state');
      set(state, { 'data-tone': it.they_lack > 0 && it.state === 'in_sync' ? 'warn' : TONES[it.state] ?? 'warn' });
      text(state, isOwn ? 'this machine' : peerState(it));
      const why = isOwn ? '' : peerWhy(it, Date.now());
      set(node.querySelector('.why'), { hidden: why === '' });
      text(node.querySelector('.why'), why);
    });
  // What keeps a single machine from syncing stands beside it.
  const others = status.problems.filter((problem) => !['peer_sync', 'peer_token'].includes(problem.id));
  set($('problems-section'), { hidden: others.length === 0 });
  keyed($('problems'), others, (it) => `${it.id} ${it.message} ${it.next}`,
    (it) => el('li', { 'data-problem': it.id }, visible(it.message), it.next ? el('span.next', {}, command(visible(it.next))) : ''), () => {});
}

function agents() {
  // The person is here, and not in the list; a tool that works under their name is.
  const isPerson = (it) => it.name === model.me && it.daemon_id === model.status?.daemon_id && !it.sessions?.length;
  const all = sorted(model.agents.filter((it) => !isPerson(it) && (!model.project || it.project === model.project)));
  const shown = isAll ? all : all.slice(0, AGENTS_MAX);
  keyed($('agents'), shown, (it) => `${it.name}\n${it.daemon_id}\n${it.project}`,
    (it) => el('li', { 'data-agent': it.name, 'data-on': it.daemon_id, 'data-project': it.project },
      el('button.row', { type: 'button' }, foreign(visible(it.name), '.name'), el('span.path'), el('span.state'), el('span.age'), el('span.question', { dir: 'auto', hidden: true }))),
    (node, it) => {
      set(node, { 'data-state': it.state });
      const place = [machineOf(it), !model.project && it.project && visible(it.project)].filter(Boolean).join(' · ');
      set(text(node.querySelector('.path'), place), { title: place });
      const state = node.querySelector('.state');
      set(state, { 'data-tone': { needs_you: 'needy', working: 'ok', waiting: 'wait', unreachable: 'warn' }[it.state] ?? 'none' });
      text(state, agentState(it));
      const old = node.querySelector('.age');
      if (old.dataset.since !== it.since) {
        old.dataset.since = it.since;
        old.replaceChildren(since(it.since));
      }
      const session = deciding(it);
      const told = (isNeedy(it) ? session?.question : session?.task) ?? '';
      const question = node.querySelector('.question');
      set(question, { hidden: told === '' });
      text(question, beginning(readable(told).replace(/\s+/g, ' '), 300, 1).text);
    });
  set($('agents-empty'), { hidden: !model.isKnown || all.length > 0 });
  text($('agents-empty'), model.project ? `No agent was seen in ${visible(model.project)} yet.` : 'No agent was seen yet. One that sends or reads a message appears here.');
  set($('more-agents'), { hidden: shown.length === all.length });
  text($('more-agents'), `Show all ${count(all.length)}`);
}

function projectFilter() {
  const all = ['', ...projects(model.agents, model.seen, model.project)];
  keyed($('projects'), all, (it) => it,
    (it) => el('button.chip', { type: 'button', 'data-project': it }, it === '' ? 'all' : foreign(visible(it))),
    (node, it) => set(node, { 'aria-pressed': String((model.project ?? '') === it) }));
}

export function render() {
  if (model.status) machines();
  agents();
  projectFilter();

}

/** @param {{machine: (id: string) => void, agent: (agent: object) => void, project: (name: string|null) => void}} to */
export function start(to) {
  picked = to;
  $('machines').addEventListener('click', ({ target }) => {
    const node = target.closest('li');
    if (node) picked.machine(node.dataset.machine);
  });
  $('agents').addEventListener('click', ({ target }) => {
    const node = target.closest('li');
    const of = node && model.agents.find((it) => it.name === node.dataset.agent && it.daemon_id === node.dataset.on && (it.project ?? undefined) === node.dataset.project);
    if (of) picked.agent(of);
  });
  $('projects').addEventListener('click', ({ target }) => {
    const node = target.closest('button');
    if (node) picked.project(node.dataset.project || null);
  });
  $('more-agents').addEventListener('click', () => {
    isAll = true;
    agents();
    $('agents').children[AGENTS_MAX]?.querySelector('button').focus();
  });
}
