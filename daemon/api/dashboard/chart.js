'use strict';
// The chart: production in flight on the left axis; RL's serving replicas and the reserve on the right one.

const Chart = (() => {
  // Its legend writes style attributes, which our content security policy forbids; we have one of our own.
  Dygraph.PLUGINS = Dygraph.PLUGINS.filter((plugin) => plugin !== Dygraph.Plugins.Legend);
  const RANGES = [['5 min', 300], ['15 min', 900], ['1 h', 3600]];
  const NAMES = [
    ['production', 'production in flight'], ['rl', 'RL serving replicas'], ['reserve', 'reserve, GPUs'],
  ];
  let rows = [];   // [Date, in flight, RL serving, reserve]; null where unknown
  let newest = ''; // of the points, as the API wrote it
  let graph = null;
  let range = RANGES[1][1];

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function sum(columns, ids, i) {
    let total = null;
    for (const id of ids) {
      const value = columns[id] === undefined ? null : columns[id][i];
      if (value !== null) total = (total === null ? 0 : total) + value;
    }
    return total;
  }

  // A sum over services is known only when each of them is: half of the traffic is not the traffic.
  function sumOfAll(columns, ids, i) {
    return ids.every((id) => columns[id] !== undefined && columns[id][i] !== null) ? sum(columns, ids, i) : null;
  }

  function add(history, services, jobs) {
    history.at.forEach((at, i) => {
      rows.push([new Date(at), sumOfAll(history.in_flight, services, i), sum(history.ready, jobs, i),
        sum(history.reserve, Object.keys(history.reserve), i)]);
    });
    if (history.at.length > 0) newest = history.at[history.at.length - 1];
    rows = rows.slice(-7200);
  }

  function options() {
    return {
      labels: ['time', ...NAMES.map((n) => n[1])],
      colors: [colour('--production'), colour('--rl'), colour('--reserve')],
      axisLineColor: colour('--line'), gridLineColor: colour('--grid'),
    };
  }

  function draw() {
    if (rows.length < 2) return;
    const end = rows[rows.length - 1][0].getTime();
    const shown = rows.filter((row) => row[0].getTime() >= end - range * 1000);
    const reserve = { axis: 'y2', strokePattern: [4, 4], strokeWidth: 1.25, stepPlot: true };
    if (graph === null) {
      graph = new Dygraph(document.getElementById('chart'), shown, {
        ...options(),
        series: {
          [NAMES[0][1]]: { axis: 'y', fillGraph: true, strokeWidth: 2 },
          [NAMES[1][1]]: { axis: 'y2', stepPlot: true, strokeWidth: 2.5 },
          [NAMES[2][1]]: reserve,
        },
        axes: {
          x: { drawGrid: false },
          y: { axisLabelWidth: 44, includeZero: true },
          y2: { axisLabelWidth: 34, includeZero: true, independentTicks: true, drawGrid: false },
        },
        ylabel: 'requests in flight', y2label: 'replicas, GPUs', includeZero: true, fillAlpha: 0.13,
        connectSeparatedPoints: false, rightGap: 8, xRangePad: 2, yRangePad: 8,
        highlightCircleSize: 3, animatedZooms: false,
        highlightCallback: (_event, x, points) => legend(x, points),
        unhighlightCallback: () => legend(),
      });
    } else {
      graph.updateOptions({ file: shown, dateWindow: null, ...options() });
    }
    document.getElementById('chart').dataset.points = String(shown.length);
    legend();
  }

  function legend(x, points) {
    const box = document.getElementById('legend');
    const last = rows[rows.length - 1] || [];
    box.replaceChildren(...NAMES.map(([key, name], i) => {
      const point = points && points.find((p) => p.name === name);
      const value = points ? (point ? point.yval : null) : last[i + 1];
      const item = document.createElement('span');
      const line = document.createElement('i');
      line.className = `line-${key}`;
      const number = document.createElement('b');
      number.textContent = value === null || value === undefined ? 'unknown' : String(Math.round(value * 10) / 10);
      item.append(line, name, number);
      return item;
    }));
    if (x !== undefined) box.append(new Date(x).toLocaleTimeString([], { hourCycle: 'h23' }));
  }

  function buttons() {
    const box = document.getElementById('ranges');
    box.replaceChildren(...RANGES.map(([text, seconds]) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = text;
      button.setAttribute('aria-pressed', String(seconds === range));
      button.addEventListener('click', () => { range = seconds; buttons(); draw(); });
      return button;
    }));
  }

  buttons();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  return { add, draw, newest: () => newest };
})();
