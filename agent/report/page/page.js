// The page of a fleet. Data comes from the element 'data' (a report) or from the server that gave the page. All of it
// was said by hosts, and is hostile: it reaches the document as text alone.
'use strict';
(() => {
  const minute = 60e3, hour = 60 * minute, day = 24 * hour;
  const refreshEvery = 30e3;

  // Worst first. The sign tells what the colour tells.
  const states = {
    out: {sign: '≠', label: 'out of sync'},
    unreachable: {sign: '⊘', label: 'not reached'},
    unknown: {sign: '?', label: 'unknown'},
    stale: {sign: '…', label: 'not looked at lately'},
    sync: {sign: '✓', label: 'in sync'},
  };
  const ranks = Object.keys(states);

  // ---- elements -----------------------------------------------------------------------------------------------------

  const byId = (id) => document.getElementById(id);

  /// What a terminal would obey, and what would reorder a line, is shown as its number.
  function shown(text) {
    return String(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g,
        (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
  }

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === undefined || value === null || value === false) continue;
      if (name === 'on') for (const [type, listener] of Object.entries(value)) element.addEventListener(type, listener);
      else element.setAttribute(name, value === true ? '' : shown(value));
    }
    for (const child of children.flat(Infinity)) {
      if (child === undefined || child === null || child === false) continue;
      element.append(child instanceof Node ? child : document.createTextNode(shown(child)));
    }
    return element;
  }
  const el = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);
  const svg = (name, attributes, ...children) =>
      fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);

  function mark(state, count, more) {
    const {sign, label} = states[state];
    return el('span', {class: `mark ${state} ${more || ''}`, title: count > 1 ? `${count} ${label}` : label},
        el('span', {'aria-hidden': 'true'}, count > 1 ? `${sign}${count}` : sign), el('span', {class: 'sr'}, label));
  }

  // ---- words --------------------------------------------------------------------------------------------------------

  const plural = (n, word) => `${n.toLocaleString('en')} ${word}${n === 1 ? '' : 's'}`;
  const date = (ms) => new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
  function span(ms) {
    if (ms < minute) return `${Math.max(Math.round(ms / 1e3), 0)} s`;
    if (ms < hour) return `${Math.round(ms / minute)} min`;
    if (ms < 2 * day) return `${Math.round(ms / hour)} h`;
    return `${Math.round(ms / day)} days`;
  }
  const took = (ms) => ms < 1e3 ? `${Math.round(ms)} ms` : ms < 100e3 ? `${(ms / 1e3).toFixed(1)} s` : span(ms);
  const ago = (ms) => `${span(fleet.now - ms)} ago`;
  const endings = {healed: 'in sync again by itself', converged: 'put right by a run', altered: 'became another value',
    undeclared: 'declared no more'};

  // ---- the fleet ----------------------------------------------------------------------------------------------------

  let fleet = null;  // what readFleet() made of the newest data

  function readFleet(raw, live) {
    const text = (i) => raw.strings[i];
    const out = {version: raw.version, made: raw.made, since: raw.since, every: raw.every, cut: raw.cut, live,
      now: live ? Math.max(Date.now(), raw.made) : raw.made, stale: raw.stale, items: raw.items.map(text), runs: raw.runs};
    const runs = new Map(raw.runs.map((run) => [run.id, run]));
    out.hosts = raw.hosts.map((host) => ({...host, open: [], past: [],
      items: new Map(host.items.map(([item, resources, wrong, unknown, looked]) =>
        [text(item), {resources, out: wrong, unknown, looked}])),
      looks: pairs(host.looks).filter(([run]) => runs.has(run)).map(([run, ms]) => ({at: runs.get(run).began, run, ms})).reverse()}));
    const details = new Map(raw.details.map((d) => [[d.host, d.item, d.id].join(' '), d]));
    out.open = [];
    for (const [host, item, id, at, property, unknown, expected, actual, detail, until, since, began, ended, how, suspects] of
        raw.findings) {
      const finding = {host: out.hosts[host], item: text(item), id: text(id), at: text(at), property: text(property),
        unknown: unknown === 1, expected: text(expected), actual: text(actual), detail: text(detail), until, since, began, ended,
        how, suspects, more: ended === null ? details.get([host, item, id].join(' ')) : undefined};
      finding.host[ended === null ? 'open' : 'past'].push(finding);
      if (ended === null) out.open.push(finding);
    }
    for (const host of out.hosts) {
      host.state = stateOf(host, out);
      host.text = [host.name, states[host.state].label, ...host.open.flatMap((f) => [f.item, f.id, f.property])].join('\n')
          .toLowerCase();
    }
    return out;
  }
  function pairs(flat) {
    const out = [];
    for (let i = 0; i + 1 < flat.length; i += 2) out.push([flat[i], flat[i + 1]]);
    return out;
  }
  function stateOf(host, of) {
    if (host.status !== 'done') return 'unreachable';
    if (host.open.some((f) => !f.unknown)) return 'out';
    if (host.open.length > 0 || host.unknown > 0) return 'unknown';
    return of.now - host.ended > of.stale ? 'stale' : 'sync';
  }
  function stateOfItem(host, item) {
    if (item.out > 0) return 'out';
    if (host.status !== 'done') return 'unreachable';
    if (item.unknown > 0) return 'unknown';
    return fleet.now - item.looked > fleet.stale ? 'stale' : 'sync';
  }
  const worst = (a, b) => ranks.indexOf(a.state) - ranks.indexOf(b.state) || b.open.length - a.open.length || byName(a, b);
  const byName = (a, b) => a.name.localeCompare(b.name, 'en', {numeric: true});
  const orders = {worst, name: byName, looked: (a, b) => a.ended - b.ended || byName(a, b),
    took: (a, b) => b.took - a.took || byName(a, b)};

  // ---- what the reader chose, kept in the address -------------------------------------------------------------------

  const view = {filter: '', states: new Set(), sort: 'worst', host: '', item: '', run: '', since: '30d'};

  function readAddress() {
    const words = new URLSearchParams(location.hash.slice(1));
    view.filter = words.get('filter') || '';
    view.states = new Set((words.get('state') || '').split(',').filter((s) => s in states));
    view.sort = words.get('sort') in orders ? words.get('sort') : 'worst';
    view.host = words.get('host') || '';
    view.item = words.get('item') || '';
    view.since = words.get('since') || '30d';
    view.run = (location.pathname.match(/^\/runs\/([0-9a-f]+|last)$/) || [])[1] || '';
    if (location.protocol === 'file:') view.run = '';
  }
  function writeAddress() {
    const words = new URLSearchParams();
    if (view.filter) words.set('filter', view.filter);
    if (view.states.size > 0) words.set('state', [...view.states].join(','));
    if (view.sort !== 'worst') words.set('sort', view.sort);
    if (view.host) words.set('host', view.host);
    if (view.item) words.set('item', view.item);
    if (view.since !== '30d') words.set('since', view.since);
    const hash = words.toString() ? '#' + words : '';
    if (location.protocol === 'file:') history.replaceState(null, '', hash || '#');
    else history.replaceState(null, '', (view.run ? `/runs/${view.run}` : '/') + hash);
  }
  const matches = (host) => (view.states.size === 0 || view.states.has(host.state)) &&
      view.filter.toLowerCase().split(/\s+/).every((word) => host.text.includes(word));

  // ---- charts -------------------------------------------------------------------------------------------------------

  const place = (ms, from, until) => Math.min(Math.max((ms - from) / (until - from || 1) * 1000, 0), 1000);

  /// Moments to name on an axis of time, at most so many.
  function moments(from, until, most) {
    const steps = [10 * minute, 30 * minute, hour, 3 * hour, 6 * hour, 12 * hour, day, 2 * day, 5 * day, 10 * day, 20 * day, 50 * day];
    const step = steps.find((s) => (until - from) / s <= most) || 200 * day;
    const out = [];
    for (let t = Math.ceil(from / step) * step; t <= until; t += step)
      out.push({at: t, label: step < day ? date(t).slice(11) : `${+date(t).slice(8, 10)} ${new Date(t).toLocaleString('en', {month: 'short', timeZone: 'UTC'})}`});
    return out;
  }
  function axis(from, until, most) {
    const out = el('div', {class: 'axis', 'aria-hidden': 'true'});
    for (const {at, label} of moments(from, until, most)) {
      const x = place(at, from, until) / 10;
      if (x < 3 || x > 97) continue;
      const tick = el('span', {}, label);
      tick.style.left = `${x}%`;
      out.append(tick);
    }
    return out;
  }

  /// A frame with axes for `draw(y)`: y maps a value to the height. `top`: the largest value; `say`: a value as a word.
  function plot(from, until, top, say, draw, small) {
    const out = el('div', {class: small ? 'plot small' : 'plot'});
    const y = (value) => 100 - value / (top || 1) * 100;
    const rules = [0, top / 2, top].filter((v, i) => top > 0 || i === 0);
    out.append(svg('svg', {viewBox: '0 0 1000 100', preserveAspectRatio: 'none', 'aria-hidden': 'true'},
        ...rules.map((v) => svg('path', {class: 'rule', d: `M0 ${y(v)}H1000`})), ...draw(y)));
    for (const value of rules) {
      const tick = el('span', {class: 'tick y'}, say(value));
      tick.style.bottom = `${100 - y(value)}%`;
      out.append(tick);
    }
    for (const {at, label} of moments(from, until, 6)) {
      const x = place(at, from, until) / 10;
      if (x > 97) continue;
      const tick = el('span', {class: 'tick x'}, label);
      tick.style.left = `${x}%`;
      out.append(tick);
    }
    return out;
  }
  const dots = (points, x, y) => points.map((p) => `M${x(p).toFixed(1)} ${y(p).toFixed(1)}h.01`).join('');
  /// The next of 1, 2, 5, 10, ...; a count's is even, so that its half is one too.
  function roundUp(value, count) {
    if (count && value <= 2) return 2;
    const unit = 10 ** Math.floor(Math.log10(value || 1));
    return unit * ([1, 2, 4, 5, 10].find((n) => n * unit >= value && (!count || n * unit % 2 === 0)) || 10);
  }

  /// How many hosts had something out of sync, or unknown, at each time.
  function driftChart() {
    const {since, now} = fleet;
    const counts = {out: [], unknown: []};
    for (const kind of ['out', 'unknown']) {
      const changes = [];
      for (const host of fleet.hosts)
        for (const [from, until] of union([...host.open, ...host.past].filter((f) => f.unknown === (kind === 'unknown')), now))
          changes.push([Math.max(from, since), 1], [until, -1]);
      changes.sort((a, b) => a[0] - b[0]);
      let n = 0;
      for (const [at, by] of changes) counts[kind].push([at, n += by]);
    }
    const most = Math.max(...counts.out.map((c) => c[1]), ...counts.unknown.map((c) => c[1]), 0);
    const top = roundUp(most, true);
    const area = (steps, y) => 'M0 100' + steps.map(([at, n]) => `H${place(at, since, now).toFixed(1)}V${y(n).toFixed(1)}`).join('') + 'H1000V100Z';
    const open = new Set(fleet.open.map((f) => f.host)).size;
    const chart = plot(since, now, top, (v) => v.toLocaleString('en'), (y) =>
      [svg('path', {class: 'area out', d: area(counts.out, y)}), svg('path', {class: 'area unknown', d: area(counts.unknown, y)})]);
    describe(chart, `At most ${plural(most, 'host')} at a time; ${open} now.`);
    return chart;
  }
  /// Spans of findings without overlaps, sorted.
  function union(findings, now) {
    const out = [];
    for (const [from, until] of findings.map((f) => [f.since, f.ended === null ? now : f.ended]).sort((a, b) => a[0] - b[0])) {
      const last = out[out.length - 1];
      if (last && from <= last[1]) last[1] = Math.max(last[1], until);
      else out.push([from, until]);
    }
    return out;
  }
  function describe(chart, words) {
    chart.setAttribute('role', 'img');
    chart.setAttribute('aria-label', words);
    chart.title = words;
  }
  function timesChart(points, what, small) {
    const {since, now} = fleet;
    const longest = Math.max(...points.map((p) => p.ms), 0);
    const top = roundUp(longest);
    const x = (p) => place(p.at, since, now);
    const chart = plot(since, now, top, took, (y) => [
      svg('path', {class: points.length > 400 ? 'dots thin' : 'dots', d: dots(points.filter((p) => !p.bad), x, (p) => y(p.ms))}),
      svg('path', {class: 'dots bad', d: dots(points.filter((p) => p.bad), x, (p) => y(p.ms))})], small);
    const sorted = points.map((p) => p.ms).sort((a, b) => a - b);
    describe(chart, points.length === 0 ? `No ${what}.` :
      `${plural(points.length, what)}: half of them took at most ${took(sorted[Math.floor(sorted.length / 2)])}, the longest ${took(longest)}.`);
    return chart;
  }
  /// When findings were, as a bar from `since` to now.
  function lane(findings, words) {
    const {since, now} = fleet;
    const narrowest = 4;  // so that what is short is seen
    const of = (unknown) => union(findings.filter((f) => f.unknown === unknown), now).map(([from, until]) => {
      const x = Math.min(place(from, since, now), 1000 - narrowest);
      return `M${x.toFixed(1)} 0H${Math.max(place(until, since, now), x + narrowest).toFixed(1)}V10H${x.toFixed(1)}Z`;
    }).join('');
    const paths = [['out', of(false)], ['unknown', of(true)]].filter(([, d]) => d);
    return el('div', {class: 'lane', role: 'img', 'aria-label': words, title: words},
        svg('svg', {viewBox: '0 0 1000 10', preserveAspectRatio: 'none', 'aria-hidden': 'true'},
            ...paths.map(([kind, d]) => svg('path', {class: kind, d}))));
  }
  function laneWords(host) {
    const times = host.open.length + host.past.length;
    if (times === 0) return `no drift since ${date(fleet.since)}`;
    return `${plural(times, 'finding')} since ${date(fleet.since)}, ${host.open.length} of them now`;
  }

  // ---- overview -----------------------------------------------------------------------------------------------------

  function drawOverview() {
    const count = (state) => fleet.hosts.filter((host) => host.state === state).length;
    byId('chips').replaceChildren(...ranks.map((state) => {
      const n = count(state);
      return el('button', {type: 'button', class: n === 0 ? 'chip none' : 'chip', 'data-state': state, 'aria-pressed': String(view.states.has(state)),
        on: {click: () => { toggle(view.states, state); drawOverview(); filterRows(); byId('chips').querySelector(`[data-state=${state}]`).focus(); }}},
      mark(state), el('b', {}, n.toLocaleString('en')), el('span', {}, states[state].label));
    }));
    byId('drift-chart').replaceChildren(driftChart());
    const runs = fleet.runs.filter((run) => run.ended !== null)
        .map((run) => ({at: run.began, ms: run.ended - run.began, bad: run.failed > 0 || run.state === 'interrupted'}));
    byId('runs-chart').replaceChildren(timesChart(runs, 'run'));
    const about = [plural(fleet.hosts.length, 'host'),
      fleet.live ? `live · looked at ${date(fleet.now)}` : `as of ${date(fleet.made)}`, `since ${date(fleet.since).slice(0, 10)}`, `version ${fleet.version}`];
    byId('about').replaceChildren(shown(about.join(' · ')));
    document.title = `${fleet.hosts.length - count('sync')} of ${plural(fleet.hosts.length, 'host')} not in sync · converge`;
  }
  function toggle(set, value) {
    if (!set.delete(value)) set.add(value);
  }

  // ---- the grid -----------------------------------------------------------------------------------------------------

  let rows = [];  // {host, row}, all of them
  const at = {row: 0, column: 0};  // the cell that has the focus, among rows that are shown

  function drawGrid() {
    const grid = byId('grid');
    const focused = grid.contains(document.activeElement);
    const letters = fleet.items.reduce((sum, item) => sum + item.length + 2, 0);
    grid.className = letters > 70 ? 'narrow' : '';
    const head = el('thead', {}, el('tr', {role: 'row', 'aria-rowindex': 1},
        el('th', {class: 'name', scope: 'col', role: 'columnheader'}, 'Host'),
        fleet.items.map((item) => el('th', {class: 'col', scope: 'col', role: 'columnheader', title: item}, el('span', {class: 'item'}, item))),
        el('th', {class: 'time', scope: 'col', role: 'columnheader'}, 'Drift', axis(fleet.since, fleet.now, 6)),
        el('th', {class: 'age', scope: 'col', role: 'columnheader'}, 'Took'),
        el('th', {class: 'age', scope: 'col', role: 'columnheader'}, 'Looked at')));
    rows = fleet.hosts.map((host) => ({host, row: rowOf(host)}));
    const body = el('tbody', {});
    grid.replaceChildren(head, body);
    grid.setAttribute('aria-rowcount', fleet.hosts.length + 1);
    grid.setAttribute('aria-colcount', fleet.items.length + 4);
    sortRows();
    filterRows();
    if (focused) focusCell(at.row, at.column);
  }

  function rowOf(host) {
    const cell = (attributes, ...children) => el('td', {role: 'gridcell', tabindex: -1, ...attributes}, ...children);
    return el('tr', {role: 'row', 'aria-selected': String(host.name === view.host)},
        el('th', {class: 'name', scope: 'row', role: 'rowheader', tabindex: -1}, mark(host.state),
            el('bdi', {class: 'host', title: host.name}, host.name)),
        fleet.items.map((name) => {
          const item = host.items.get(name);
          if (!item) return cell({class: 'col none', 'aria-label': `${name}: not declared`}, '·');
          const state = stateOfItem(host, item);
          const wrong = state === 'out' ? item.out : state === 'unknown' ? item.unknown : 0;
          const words = `${name}: ${wrong > 0 ? wrong + ' of ' : ''}${plural(item.resources, 'resource')} ${states[state].label}`;
          return cell({class: 'col', 'aria-label': words, title: words},
              mark(state, wrong, host.status === 'done' ? '' : 'was'));
        }),
        cell({class: 'time'}, lane([...host.open, ...host.past], laneWords(host))),
        cell({class: 'age'}, host.status === 'done' ? took(host.took) : '–'),
        cell({class: 'age', title: date(host.ended)}, ago(host.ended)));
  }

  function sortRows() {
    rows.sort((a, b) => orders[view.sort](a.host, b.host));
    byId('grid').tBodies[0].append(...rows.map(({row}) => row));
  }
  function filterRows() {
    let n = 0;
    for (const {host, row} of rows) {
      row.hidden = !matches(host);
      if (!row.hidden) row.setAttribute('aria-rowindex', ++n + 1);
    }
    byId('hosts-count').textContent = n === rows.length ? String(n) : `${n} of ${rows.length}`;
    byId('grid').parentElement.hidden = n === 0;
    byId('legend').hidden = n === 0;
    const none = byId('no-hosts');
    none.hidden = n > 0;
    if (n === 0) none.replaceChildren(rows.length === 0 ? 'No run is remembered yet: hosts appear with the first one.' : 'No host is like that. Esc clears the filter.');
    moveFocus(at.row, at.column);
    drawFindings();
    writeAddress();
  }

  const shownRows = () => rows.filter(({row}) => !row.hidden).map(({row}) => row);
  /// One cell is in the order of Tab: the one that has, or had, the focus.
  function moveFocus(row, column) {
    const list = shownRows();
    for (const old of byId('grid').querySelectorAll('[tabindex="0"]')) old.tabIndex = -1;
    if (list.length === 0) return null;
    at.row = Math.min(Math.max(row, 0), list.length - 1);
    at.column = Math.min(Math.max(column, 0), list[0].cells.length - 1);
    const cell = list[at.row].cells[at.column];
    cell.tabIndex = 0;
    return cell;
  }
  function focusCell(row, column) {
    const cell = moveFocus(row, column);
    if (!cell) return;
    cell.focus({preventScroll: true});
    // What is sticky covers the edges: scroll so that the cell is clear of it.
    const frame = byId('grid').parentElement, box = cell.getBoundingClientRect(), outer = frame.getBoundingClientRect();
    const above = byId('grid').tHead.offsetHeight, left = at.column > 0 ? cell.parentElement.cells[0].offsetWidth : 0;
    if (box.top < outer.top + above) frame.scrollTop -= outer.top + above - box.top;
    if (box.bottom > outer.bottom - 4) frame.scrollTop += box.bottom - outer.bottom + 4;
    if (box.left < outer.left + left) frame.scrollLeft -= outer.left + left - box.left;
    if (box.right > outer.right) frame.scrollLeft += box.right - outer.right;
    if (outer.top < 0 || outer.bottom > innerHeight) cell.scrollIntoView({block: 'nearest'});
  }
  function positionOf(cell) {
    return [shownRows().indexOf(cell.parentElement), cell.cellIndex];
  }
  function onGridKey(event) {
    const cell = event.target.closest('td, th');
    if (!cell || !cell.closest('tbody') || event.altKey || event.metaKey) return;
    const [row, column] = positionOf(cell);
    const last = cell.parentElement.cells.length - 1;
    const end = shownRows().length - 1;
    const moves = {
      ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
      PageUp: [row - 15, column], PageDown: [row + 15, column],
      Home: [event.ctrlKey ? 0 : row, 0], End: [event.ctrlKey ? end : row, last],
    };
    if (event.key in moves) focusCell(...moves[event.key]);
    else if (event.key === 'Enter' || event.key === ' ') openCell(cell);
    else return;
    event.preventDefault();
  }
  function openCell(cell) {
    const {host} = rows.find(({row}) => row === cell.parentElement);
    const item = fleet.items[cell.cellIndex - 1];
    openHost(host.name, host.items.has(item) ? item : '', cell);
  }

  function drawLegend() {
    byId('legend').replaceChildren(...ranks.map((state) => el('span', {}, mark(state), state === 'stale' ?
      `not looked at for ${span(fleet.stale)}` : states[state].label)), el('span', {}, '· not declared for that host'));
  }

  // ---- findings -----------------------------------------------------------------------------------------------------

  let findingsShown = 40;

  const sameQuestion = (f) => JSON.stringify([f.item, f.id, f.at, f.property, f.unknown, f.expected, f.actual, f.detail]);
  function grouped(findings) {
    const groups = new Map();
    for (const finding of findings) {
      const key = sameQuestion(finding);
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(finding);
    }
    const oldest = (group) => Math.min(...group.map((f) => f.since));
    return [...groups.values()].sort((a, b) => a[0].unknown - b[0].unknown || b.length - a.length || oldest(a) - oldest(b));
  }

  function datesOf(f) {
    const out = `out since ${date(f.since)} (${ago(f.since)})`;
    if (f.ended !== null) return `was out from ${date(f.since)} to ${date(f.ended)}, ${span(f.ended - f.since)}; ${endings[f.how] || f.how}`;
    if (f.unknown) return `could not be told since ${date(f.since)} (${ago(f.since)})`;
    return f.until === null ? `never seen in sync; ${out}` : `in sync until ${date(f.until)}, ${out}`;
  }
  function diffOf(text) {
    const kind = (line) => /^(\+\+\+|---|@@)/.test(line) ? 'hunk' : line[0] === '+' ? 'added' : line[0] === '-' ? 'removed' : '';
    return el('pre', {class: 'diff', tabindex: 0, 'aria-label': 'diff'},
        text.replace(/\n$/, '').split('\n').map((line) => el('span', {class: kind(line)}, line || ' ')));
  }
  const hostLink = (host, item) => el('button', {type: 'button', class: 'link host',
    on: {click: (event) => openHost(host.name, item, event.currentTarget)}}, el('bdi', {}, host.name));

  /// One question that has a wrong answer, and where. `inside`: within the details of its host.
  function findingCard(group, inside) {
    const [first] = group;
    const nothing = (text) => text === '' ? 'nothing' : text;
    const one = group.length === 1;
    const more = one ? first.more : undefined;
    const diffAt = (f) => f.more ? f.more.diff : '';
    const diff = group.every((f) => diffAt(f) === diffAt(first)) ? diffAt(first) : '';
    return el('article', {class: `finding ${first.unknown ? 'unknown' : ''} ${first.ended !== null ? 'past' : ''}`},
        el('header', {}, el('span', {}, first.ended === null && mark(first.unknown ? 'unknown' : 'out'), ' ', el('span', {class: 'what item'}, first.item), ' ', el('code', {}, first.id)),
            !inside && (one ? hostLink(first.host, first.item) : el('span', {class: 'muted'}, plural(group.length, 'host')))),
        first.property === '' && first.expected === '' ? null :
          el('p', {class: 'change'}, first.property && [el('span', {class: 'item'}, first.property), ' '],
              el('span', {class: 'value'}, nothing(first.expected)), el('span', {class: 'arrow', title: 'expected, then found'}, '→'),
              el('span', {class: 'value actual'}, nothing(first.actual))),
        first.detail && el('p', {class: 'detail'}, first.detail),
        el('p', {class: 'at'}, el('code', {}, first.at)),
        one && el('p', {class: 'dates'}, datesOf(first)),
        one && suspectsOf(first),
        more && more.error && el('p', {class: 'detail'}, more.error, more.hint && ` (${more.hint})`),
        more && more.note && el('p', {class: 'detail'}, more.note),
        diff && el('details', {open: inside}, el('summary', {}, 'what converge would write'), diffOf(diff)),
        !one && hostsOf(group));
  }
  function suspectsOf(finding) {
    return finding.suspects.length > 0 && el('ul', {class: 'suspects'}, finding.suspects.map((words) => el('li', {}, words)));
  }
  function hostsOf(group) {
    const list = (part) => el('ul', {class: 'on'}, part.map((f) =>
      el('li', {}, hostLink(f.host, f.item), el('span', {class: 'dates'}, datesOf(f), suspectsOf(f)))));
    const sorted = [...group].sort((a, b) => a.since - b.since || byName(a.host, b.host));
    if (sorted.length <= 4) return list(sorted);
    return [list(sorted.slice(0, 3)), el('details', {}, el('summary', {}, `${sorted.length - 3} more`), list(sorted.slice(3)))];
  }

  function drawFindings() {
    const open = fleet.open.filter((f) => matches(f.host));
    const groups = grouped(open);
    byId('findings-count').textContent = open.length === 0 ? '' :
      `${plural(open.length, 'finding')} on ${plural(new Set(open.map((f) => f.host)).size, 'host')}`;
    const list = byId('findings');
    list.replaceChildren(...groups.slice(0, findingsShown).map((group) => findingCard(group, false)));
    if (groups.length > findingsShown)
      list.append(el('button', {type: 'button', class: 'more', on: {click: () => { findingsShown = Infinity; drawFindings(); }}},
          `Show the other ${groups.length - findingsShown}`));
    const none = byId('no-findings');
    none.hidden = groups.length > 0 || shownRows().length === 0;
    none.replaceChildren(mark('sync'), fleet.open.length === 0 ? 'Everything that was looked at is as declared.' : 'Nothing on these hosts.');
  }

  // ---- details ------------------------------------------------------------------------------------------------------

  let opener = null;  // what had the focus before the details

  function openHost(name, item, from) {
    const host = fleet.hosts.find((h) => h.name === name);
    if (!host) return false;
    if (from) opener = from;
    view.host = name;
    view.item = item;
    view.run = '';
    for (const {host: each, row} of rows) row.setAttribute('aria-selected', String(each === host));
    showPanel(el('bdi', {}, name), mark(host.state), hostDetails(host, item));
    if (fleet.live) moreOfHost(host);
    return true;
  }
  function showPanel(title, sign, children) {
    const panel = byId('panel');
    const again = !panel.hidden;
    panel.replaceChildren(el('header', {}, sign, el('h2', {id: 'panel-title'}, title),
        el('button', {type: 'button', 'aria-label': 'Close', title: 'Close (Esc)', on: {click: closePanel}}, '✕')), ...children);
    panel.hidden = false;
    if (!again) panel.scrollTop = 0;
    panel.focus({preventScroll: true});
    writeAddress();
  }
  function closePanel() {
    byId('panel').hidden = true;
    view.host = view.item = view.run = '';
    for (const {row} of rows) row.setAttribute('aria-selected', 'false');
    writeAddress();
    if (opener && opener.isConnected) opener.focus();
    else focusCell(at.row, at.column);
    opener = null;
  }
  const facts = (pairsOfWords) => el('dl', {class: 'facts'}, pairsOfWords.filter(([, value]) => value !== null && value !== '')
      .map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
  const runLink = (id, words) => fleet.live ? el('a', {href: `/runs/${id}`, on: {click: (event) => {
    event.preventDefault();
    openRun(String(id), event.currentTarget);
  }}}, words) : words;

  function hostDetails(host, item) {
    const mine = (f) => item === '' || f.item === item;
    const open = host.open.filter(mine), past = host.past.filter(mine);
    const counts = Object.entries(host.counts).filter(([, n]) => n > 0).map(([name, n]) => `${n} ${name.replaceAll('_', ' ')}`);
    const all = () => openHost(host.name, '');
    return [
      facts([['Last look', `${date(host.ended)} (${ago(host.ended)}), took ${took(host.took)}`], ['Run', [runLink(host.run, `run ${host.run}`), ` · ${host.verb}`]],
        ['Result', host.status === 'done' ? counts.join(' · ') || 'nothing was looked at' : host.status.replaceAll('_', ' ')], ['Error', host.error]]),
      item !== '' && el('p', {class: 'more'}, 'Only ', el('b', {class: 'item'}, item), '. ', el('button', {type: 'button', class: 'link', on: {click: all}}, 'Show all of this host')),
      el('h3', {}, open.length > 0 ? `Not as declared: ${open.length}` : 'Not as declared'),
      open.length > 0 ? el('div', {class: 'findings'}, open.map((f) => findingCard([f], true))) :
        el('p', {class: 'muted'}, host.status === 'done' ? 'Nothing: it is as declared.' : 'Nothing was found when it was last looked at.'),
      el('h3', {}, 'Drift over time'),
      el('div', {class: 'lanes'}, [...host.items.keys()].filter((name) => item === '' || name === item).map((name) => {
        const of = [...host.open, ...host.past].filter((f) => f.item === name);
        return [el('span', {class: 'item'}, name), lane(of, of.length === 0 ? 'no drift' : plural(of.length, 'finding'))];
      }), axis(fleet.since, fleet.now, 6)),
      el('h3', {}, 'How long looks took'),
      el('div', {id: 'host-times'}, hostTimes(host.looks, fleet.every)),
      past.length > 0 && el('details', {}, el('summary', {}, `Earlier: ${past.length}`),
          el('div', {class: 'findings more'}, past.slice(0, 100).map((f) => findingCard([f], true)))),
    ].filter(Boolean);
  }
  function hostTimes(looks, every) {
    if (looks.length === 0) return el('p', {class: 'muted'}, 'No look that came to its end in this time.');
    return [timesChart(looks, 'look', true), every > 1 && el('p', {class: 'muted'}, `one run of ${every} is shown`)].filter(Boolean);
  }

  // ---- live ---------------------------------------------------------------------------------------------------------

  let tag = '';  // of the data that is shown

  async function ask(path, headers) {
    const answer = await fetch(path, {headers: headers || {}, cache: 'no-store', credentials: 'same-origin'});
    if (answer.status === 401) location.replace('/login');
    return answer;
  }
  function trouble(words) {
    const line = byId('trouble');
    line.hidden = !words;
    line.textContent = words ? shown(words) : '';
  }
  async function refresh() {
    try {
      const answer = await ask(`/api/v1/page?since=${encodeURIComponent(view.since)}`, tag ? {'If-None-Match': tag} : {});
      if (answer.status === 304) {
        fleet.now = Date.now();
        byId('about').textContent = byId('about').textContent.replace(/looked at .{16}/, `looked at ${date(fleet.now)}`);
      } else if (answer.ok) {
        tag = answer.headers.get('ETag') || '';
        show(readFleet(await answer.json(), true));
      } else {
        const said = await answer.json().catch(() => ({}));
        trouble(`The server says: ${said.error || answer.status}`);
        return;
      }
      trouble('');
    } catch {
      trouble(fleet ? `The server does not answer; this is as of ${date(fleet.now)}.` : 'The server does not answer.');
    }
  }
  async function moreOfHost(host) {
    const answer = await ask(`/api/v1/hosts/${encodeURIComponent(host.name)}?since=${encodeURIComponent(view.since)}`).catch(() => null);
    if (!answer || !answer.ok || view.host !== host.name) return;
    const {looks} = await answer.json();
    const done = looks.filter((look) => look.status === 'done').map((look) => ({at: look.ended / 1e3, ms: look.micros / 1e3}));
    if (byId('host-times')) byId('host-times').replaceChildren(...[hostTimes(done, 1)].flat());
  }
  async function openRun(id, from) {
    const answer = await ask(`/api/v1/runs/${encodeURIComponent(id)}`).catch(() => null);
    if (!answer || !answer.ok) return trouble(`There is no run ${id}.`);
    const run = await answer.json();
    if (from) opener = from;
    view.host = view.item = '';
    view.run = String(run.run);
    showPanel(`Run ${run.run}`, null, runDetails(run));
    return undefined;
  }
  function runDetails(run) {
    const at = (micros) => micros === null ? null : date(micros / 1e3);
    const plain = new Set(['in_sync', 'skipped']);
    const counts = (all) => Object.entries(all).filter(([, n]) => n > 0).map(([name, n]) => `${n} ${name.replaceAll('_', ' ')}`).join(' · ');
    const steps = run.looks.flatMap((look) => look.steps.filter((step) => !plain.has(step.outcome)).map((step) => [look, step]));
    const missing = run.looks.filter((look) => look.status !== 'done');
    return [
      facts([['Verb', run.verb + (run.words ? ` ${run.words}` : '')], ['By', `${run.who} on ${run.from}`], ['Began', at(run.began)],
        ['Ended', run.ended === null ? run.state : `${at(run.ended)}, exit ${run.exit}, took ${took((run.ended - run.began) / 1e3)}`],
        ['Specs', [run.revision && `commit ${run.revision}`, run.sources && `sources ${run.sources}`].filter(Boolean).join(', ')],
        ['Hosts', String(run.hosts)], ['Result', counts(run.counts)]]),
      missing.length > 0 && [el('h3', {}, `Not reached: ${missing.length}`), el('ul', {class: 'on'}, missing.map((look) =>
        el('li', {}, el('bdi', {class: 'host'}, look.host), ' ', el('span', {class: 'muted'}, look.error || look.status))))],
      el('h3', {}, `Not in sync: ${steps.length}`),
      steps.length === 0 ? el('p', {class: 'muted'}, 'Everything that was looked at was as declared.') :
        el('div', {class: 'findings'}, steps.slice(0, 300).map(([look, step]) => stepCard(look, step))),
    ].flat().filter(Boolean);
  }
  function stepCard(look, step) {
    const wrong = step.checks.filter((check) => check.verdict === 'fail' || check.verdict === 'unknown');
    const kind = step.outcome === 'unknown' ? 'unknown' : step.outcome === 'changed' ? 'past' : '';
    return el('article', {class: `finding ${kind}`},
        el('header', {}, el('span', {}, el('span', {class: 'what item'}, step.item), ' ', el('code', {}, step.id)),
            el('span', {class: 'muted'}, el('bdi', {class: 'host'}, look.host), ` · ${step.outcome.replaceAll('_', ' ')}`)),
        wrong.map((check) => el('p', {class: 'change'}, check.property, ' ', el('span', {class: 'value'}, check.expected || 'nothing'),
            el('span', {class: 'arrow'}, '→'), el('span', {class: 'value actual'}, check.actual || 'nothing'))),
        el('p', {class: 'at'}, el('code', {}, step.at)), step.error && el('p', {class: 'detail'}, step.error.message),
        step.note && el('p', {class: 'detail'}, step.note), step.diff && diffOf(step.diff));
  }

  // ---- all of it ----------------------------------------------------------------------------------------------------

  let densityChosen = false;

  function show(next) {
    const first = fleet === null;
    fleet = next;
    if (!densityChosen) setDensity(fleet.hosts.length > 60);
    byId('filter').value = view.filter;
    byId('sort').value = view.sort;
    drawOverview();
    drawGrid();
    drawLegend();
    if (first) openAsAddressed();
    else if (view.host && !isInUse(byId('panel'))) openHost(view.host, view.item);
  }
  /// What the reader is in the midst of is not drawn anew under his hands.
  const isInUse = (panel) => panel.contains(document.activeElement) && document.activeElement !== panel;
  function openAsAddressed() {
    if (view.run) openRun(view.run);
    else if (view.host) openHost(view.host, view.item);
    else if (!byId('panel').hidden) closePanel();
  }
  function setDensity(compact) {
    document.body.classList.toggle('compact', compact);
    byId('density').setAttribute('aria-pressed', String(compact));
  }
  function setTheme(theme) {
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    byId('theme').textContent = `Theme: ${theme}`;
    try { localStorage.setItem('converge-theme', theme); } catch { /* a file without storage: for this time only */ }
  }
  function listen() {
    byId('filter').addEventListener('input', (event) => { view.filter = event.target.value.trim(); at.row = 0; filterRows(); });
    byId('filter').addEventListener('keydown', (event) => {
      if (event.key === 'Enter' || event.key === 'ArrowDown') { focusCell(0, 0); event.preventDefault(); }
    });
    byId('sort').addEventListener('change', (event) => { view.sort = event.target.value; sortRows(); filterRows(); });
    byId('since').addEventListener('change', (event) => { view.since = event.target.value; tag = ''; refresh(); });
    byId('density').addEventListener('click', () => { densityChosen = true; setDensity(!document.body.classList.contains('compact')); });
    byId('theme').addEventListener('click', () => {
      const now = document.documentElement.dataset.theme || 'auto';
      setTheme({auto: 'light', light: 'dark', dark: 'auto'}[now]);
    });
    const grid = byId('grid');
    grid.addEventListener('keydown', onGridKey);
    grid.addEventListener('click', (event) => {
      const cell = event.target.closest('tbody td, tbody th');
      if (!cell) return;
      moveFocus(...positionOf(cell));
      openCell(cell);
    });
    document.addEventListener('keydown', (event) => {
      const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
      if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey) {
        byId('filter').focus();
        byId('filter').select();
        event.preventDefault();
      } else if (event.key === 'Escape') {
        if (!byId('panel').hidden) return closePanel();
        if (view.filter || view.states.size > 0) {
          view.filter = byId('filter').value = '';
          view.states.clear();
          drawOverview();
          filterRows();
        } else if (typing) {
          focusCell(at.row, at.column);
        }
      }
      return undefined;
    });
    addEventListener('hashchange', () => {
      readAddress();
      if (!fleet) return;
      show(fleet);
      openAsAddressed();
    });
  }

  let theme = null;
  try { theme = localStorage.getItem('converge-theme'); } catch { /* as above */ }
  if (theme === 'light' || theme === 'dark') setTheme(theme);
  readAddress();
  listen();
  const data = JSON.parse(byId('data').textContent);
  if (data !== null) {
    show(readFleet(data, false));
  } else {
    byId('since-choice').hidden = false;
    byId('since').value = view.since;
    refresh();
    setInterval(() => { if (!document.hidden) refresh(); }, refreshEvery);
    document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh(); });
  }
})();
