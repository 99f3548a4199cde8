'use strict';
// The status page: asks the API once a second and shows what it says. Text goes in as text, never as markup.

const byId = (id) => document.getElementById(id);
let token = sessionStorage.getItem('ebb-token') || '';
let failedSince = 0;
let decisionsSeen = -1;
let next = 0;

class Refused extends Error {}

async function get(path) {
  const headers = token === '' ? {} : { Authorization: `Bearer ${token}` };
  const answer = await fetch(path, { headers, cache: 'no-store', signal: AbortSignal.timeout(5000) });
  if (answer.status === 401 || answer.status === 403) throw new Refused((await answer.json()).detail);
  if (!answer.ok) throw new Error(`${path} answers ${answer.status}`);
  return answer.json();
}

function make(tag, className, ...content) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...content.map((c) => (c instanceof Node ? c : String(c))));
  return node;
}

function fillTable(table, columns, rows, empty) {
  const head = make('tr', '', ...columns.map(([name, number]) => make('th', number ? 'n' : '', name)));
  const body = rows.map((cells) => make('tr', '', ...cells.map((cell, i) => make('td', columns[i][1] ? 'n' : '', cell))));
  if (body.length === 0) {
    const cell = make('td', 'quiet', empty);
    cell.colSpan = columns.length;
    body.push(make('tr', '', cell));
  }
  table.replaceChildren(make('thead', '', head), make('tbody', '', ...body));
}

function ago(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.floor(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

const clock = (iso) => new Date(iso).toLocaleTimeString([], { hourCycle: 'h23' });
const quiet = (text) => make('span', 'quiet', text);

function badge(node, text, kind) {
  node.textContent = text;
  node.className = `badge ${kind}`;
  node.hidden = false;
}

function showStatus(status) {
  badge(byId('mode'), status.mode, status.mode === 'act' ? 'good' : 'warn');
  byId('advise').hidden = status.mode === 'act';
  const alarms = status.alarms.length;
  if (!status.ready) badge(byId('health'), 'not ready', 'bad');
  else if (alarms > 0) badge(byId('health'), `${alarms} alarm${alarms > 1 ? 's' : ''}`, 'bad');
  else badge(byId('health'), 'healthy', 'good');
  byId('facts').replaceChildren(
    make('span', '', 'tick ', make('b', '', status.tick)),
    make('span', '', 'decided ', make('b', '', status.decided_at === null ? 'never' : clock(status.decided_at))),
    make('span', '', 'up ', make('b', '', ago(status.uptime_s))));
  byId('build').textContent = `Ebb ${status.version}, configuration ${status.config_hash}`;
  const problems = status.alarms.map((a) => `Alarm: ${a.rule}${a.subject === '' ? '' : ` (${a.subject})`}`);
  if (!status.ready) problems.push(`Not ready: ${status.not_ready_why}`);
  if (!status.ledger.ok) problems.push(`The ledger fails, so RL can only shrink: ${status.ledger.problem}`);
  if (!status.reload.ok) problems.push(`The changed configuration was refused, the old one stays: ${status.reload.problems}`);
  byId('problems').replaceChildren(...problems.map((p) => make('div', 'banner bad', p)));
}

// Rectangles as SVG: style attributes would need a weaker content security policy.
function bar(pool) {
  const ns = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(ns, 'svg');
  const part = (className, from, count) => {
    const rect = document.createElementNS(ns, 'rect');
    for (const [name, value] of [['class', className], ['x', from], ['width', Math.max(0, count)], ['height', 1]]) {
      rect.setAttribute(name, value);
    }
    svg.append(rect);
    return from + count;
  };
  svg.setAttribute('class', 'bar');
  svg.setAttribute('viewBox', `0 0 ${Math.max(1, pool.gpus)} 1`);
  svg.setAttribute('preserveAspectRatio', 'none');
  part('free', 0, pool.gpus);
  part('unusable', part('rl', part('production', 0, pool.production), pool.rl), pool.unusable);
  const mark = document.createElementNS(ns, 'line');
  const at = Math.min(pool.reserve, pool.gpus);
  for (const [name, value] of [['class', 'reserve'], ['x1', at], ['x2', at], ['y1', 0], ['y2', 1]]) {
    mark.setAttribute(name, value);
  }
  mark.setAttribute('vector-effect', 'non-scaling-stroke');
  svg.append(mark);
  return svg;
}

function showPools(pools) {
  byId('pools').replaceChildren(...pools.map((pool) => {
    const number = (name, value) => make('span', '', `${name} `, make('b', '', value));
    const what = make('div', 'what', make('b', '', pool.name), number('GPUs', pool.gpus),
      number('production', pool.production), number('RL', pool.rl), number('reserve', pool.reserve),
      number('slack', pool.slack));
    if (pool.unusable > 0) what.append(make('span', 'phase bad', `${pool.unusable} unusable`));
    if (pool.blind) what.append(make('span', 'phase warn', 'blind: RL does not grow here'));
    return make('div', 'pool', what, bar(pool));
  }));
}

function signal(deployment) {
  const s = deployment.signals.in_flight;
  if (s === undefined) return quiet('-');
  if (s.value !== undefined) return Math.round(s.value * 10) / 10;
  const unknown = make('span', 'phase warn', 'unknown');
  unknown.title = s.missing;
  return unknown;
}

function showServices(services) {
  const rows = services.flatMap((s) => s.deployments.map((d) => [
    d.id, signal(d), d.known ? d.need : make('span', 'phase warn', `${d.need}?`), d.ready, d.starting, d.draining,
  ]));
  fillTable(byId('services'), [['deployment'], ['in flight', 1], ['need', 1], ['ready', 1], ['starting', 1],
    ['draining', 1]], rows, 'none configured');
}

function showJobs(jobs) {
  const rows = jobs.flatMap((j) => j.deployments.map((d) => [
    d.id, d.target, d.ready, d.starting, d.draining, j.admission === null ? quiet('-') : j.admission,
  ]));
  fillTable(byId('jobs'), [['deployment'], ['target', 1], ['ready', 1], ['starting', 1], ['draining', 1],
    ['rollouts allowed', 1]], rows, 'none configured');
}

const KINDS = { ready: 'good', serving: 'good', starting: 'note', draining: 'warn', unhealthy: 'bad', lost: 'bad' };

function showReplicas(replicas) {
  const counts = {};
  for (const r of replicas) counts[`${r.role} ${r.phase}`] = (counts[`${r.role} ${r.phase}`] || 0) + 1;
  byId('replica-counts').textContent = Object.entries(counts).map(([k, n]) => `${n} ${k}`).join(', ');
  const rows = replicas.slice(0, 500).map((r) => [
    make('span', 'mono', r.id), r.deployment, make('span', `phase ${KINDS[r.phase] || 'warn'}`, r.phase),
    r.lease === null ? quiet('-') : r.lease, ago(r.age_s), r.slots === '' ? r.gpus : r.slots,
    make('span', 'mono', r.address), r.detail,
  ]);
  if (replicas.length > rows.length) rows.push([quiet(`and ${replicas.length - rows.length} more`), '', '', '', '', '', '', '']);
  fillTable(byId('replicas'), [['replica'], ['deployment'], ['phase'], ['lease'], ['age', 1], ['GPUs'], ['address'],
    ['']], rows, 'none');
}

function showOverrides(overrides) {
  byId('overrides-section').hidden = overrides.length === 0;
  fillTable(byId('overrides'), [['kind'], ['target'], ['until'], ['owner'], ['reason']], overrides.map((o) => [
    make('span', 'phase warn', o.kind === 'pin' ? `pin at ${o.replicas}` : o.kind),
    o.target === '' ? 'everything' : o.target, `${clock(o.expires_at)} (${ago(o.expires_in_s)})`, o.owner, o.reason,
  ]), '');
}

function headline(decision) {
  if (decision.plan.length === 0) return 'nothing to do';
  return decision.plan.map((a) => `${a.kind} ${a.replicas.length} of ${a.deployment}`).join(', ');
}

function showDecisions(decisions) {
  const newest = decisions.length === 0 ? -1 : decisions[0].tick;
  if (newest === decisionsSeen) return; // what somebody has unfolded stays so
  const open = new Set([...document.querySelectorAll('#decisions details[open]')].map((d) => d.dataset.tick));
  decisionsSeen = newest;
  byId('decisions').replaceChildren(...decisions.map((decision, i) => {
    const details = make('details');
    details.dataset.tick = decision.tick;
    details.open = open.has(String(decision.tick)) || (open.size === 0 && i === 0);
    details.append(make('summary', '', make('span', 'when', `${clock(decision.at)}  tick ${decision.tick}`),
      headline(decision)));
    let stage = '';
    for (const step of decision.why) {
      if (step.stage !== stage) details.append(make('div', 'stage', step.stage));
      stage = step.stage;
      details.append(make('p', '', step.text));
    }
    return make('li', '', details);
  }));
}

// The newest decision, and those before it that changed something.
async function decisions() {
  const [newest, changed] = await Promise.all([get('v1/decisions?limit=1'), get('v1/decisions?limit=8&changed=1')]);
  return [...newest.decisions, ...changed.decisions.filter((d) => d.tick !== (newest.decisions[0] || {}).tick)];
}

async function refresh() {
  const status = await get('v1/status');
  const since = Chart.newest();
  const [pools, services, jobs, replicas, overrides, history] = await Promise.all([
    get('v1/pools'), get('v1/services'), get('v1/jobs'), get('v1/replicas'), get('v1/overrides'),
    get(since === '' ? 'v1/history?max=3600' : `v1/history?max=3600&since=${encodeURIComponent(since)}`),
  ]);
  showStatus(status);
  showPools(pools.pools);
  showServices(services.services);
  showJobs(jobs.jobs);
  showReplicas(replicas.replicas);
  showOverrides(overrides.overrides);
  const ids = (list) => list.flatMap((owner) => owner.deployments.map((d) => d.id));
  Chart.add(history, ids(services.services), ids(jobs.jobs));
  Chart.draw();
  if (status.tick !== decisionsSeen && status.ledger.ok) showDecisions(await decisions());
}

function showLost(error) {
  if (failedSince === 0) failedSince = Date.now();
  byId('lost').textContent = `No connection for ${ago((Date.now() - failedSince) / 1000)} (${error.message}). ` +
    'What you see is old. RL replicas drain themselves if the daemon does not come back.';
  byId('lost').hidden = false;
  badge(byId('health'), 'connection lost', 'bad');
}

function askForToken(problem) {
  byId('login').hidden = false;
  byId('login-problem').textContent = token === '' ? '' : problem;
}

async function turn() {
  let pause = 1000;
  try {
    await refresh();
    failedSince = 0;
    byId('lost').hidden = true;
    byId('login').hidden = true;
    document.body.dataset.state = 'shown';
  } catch (error) {
    if (error instanceof Refused) askForToken(error.message);
    else showLost(error);
    document.body.dataset.state = 'failed';
    pause = 2000;
  }
  clearTimeout(next);
  next = setTimeout(turn, pause);
}

byId('login').addEventListener('submit', (event) => {
  event.preventDefault();
  token = byId('token').value.trim();
  sessionStorage.setItem('ebb-token', token);
  byId('token').value = '';
  turn();
});
turn();
