/* page.js - shows /api/v1/status, once a second.
 *
 * Everything that comes from an event is put in as a text node. Nothing is asked of any other host. */
"use strict";

const STEPS = 900;
const POLL_MS = 1000;
const ANSWER_MS = 4000;
const STALE_S = 60;
const MINUS = "\u2212";
const KINDS = [["accept", "accept"], ["reject", "reject"], ["noop", "noop"], ["other", "other"]];
const QUANTILES = [["p50_ms", "p50", "50 %"], ["p95_ms", "p95", "95 %"], ["p99_ms", "p99", "99 %"]];

const byId = (id) => document.getElementById(id);

/* ---- numbers as people read them ---- */

const whole = new Intl.NumberFormat("en-US", {maximumFractionDigits: 0});
const count = (n) => whole.format(n);
const some = (n, one) => `${count(n)} ${one}${n === 1 ? "" : "s"}`;
const rate = (n) => (n >= 100 ? count(n) : n >= 10 ? n.toFixed(1) : n === 0 ? "0" : n.toFixed(2));

function bytes(n) {
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (n < 1024 || unit === "GiB") return `${unit === "B" ? n : n.toFixed(1)} ${unit}`;
    n /= 1024;
  }
  return "";
}

function duration(s) {
  if (s < 0) return `${duration(-s)} ahead`;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 120) return `${Math.floor(s)} s`;
  if (s < 7200) return `${Math.floor(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} days`;
}

const milliseconds = (ms) => (ms === null ? "\u2013" : ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : ms >= 100 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(1)} ms`);
const clock = (s) => new Date(s * 1000).toLocaleTimeString("en-GB");

/* ---- the document ---- */

function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

function number(id, value, unit) {
  const node = byId(id);
  text(node, unit ? `${value} ` : value);
  if (unit) {
    const small = document.createElement("small");
    small.textContent = unit;
    node.append(small);
  }
}

/* cells: what each column shows of a row; a cell is a string, or {text, class, bar}. Rows stay where they are, so
 * that a selection in them survives. */
function table(id, list, empty, cells) {
  const body = byId(`${id}-rows`);
  const columns = body.parentElement.querySelectorAll("th").length;
  const heads = body.parentElement.querySelectorAll("th");
  while (body.rows.length > Math.max(list.rows.length, 1)) body.deleteRow(-1);
  if (list.rows.length === 0) {
    body.replaceChildren(document.createElement("tr"));
    const cell = body.rows[0].insertCell();
    cell.colSpan = columns;
    cell.className = "none";
    cell.textContent = empty;
  }
  list.rows.forEach((row, i) => {
    const line = body.rows[i] || body.insertRow();
    if (line.cells.length !== columns) {
      line.replaceChildren();
      for (let c = 0; c < columns; c++) line.insertCell();
    }
    cells(row).forEach((value, c) => fill(line.cells[c], typeof value === "string" ? {text: value} : value, heads[c]));
  });
  reach(body.closest(".scroll"));
  const more = byId(`${id}-more`);
  if (more) text(more, list.more > 0 ? `${count(list.more)} more: see /metrics` : "");
}

/* What scrolls can be reached with the keyboard; what does not is no stop on the way. */
function reach(box) {
  const scrolls = box.scrollHeight > box.clientHeight + 1 || box.scrollWidth > box.clientWidth + 1;
  if (scrolls === (box.tabIndex === 0)) return;
  if (scrolls) {
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-labelledby", box.closest("section").getAttribute("aria-labelledby"));
  } else {
    for (const name of ["tabindex", "role", "aria-labelledby"]) box.removeAttribute(name);
  }
}

function fill(cell, value, head) {
  const names = [...head.classList, value.class].filter(Boolean).join(" ");
  if (cell.className !== names) cell.className = names;
  if (value.bar === undefined) {
    text(cell, value.text);
    return;
  }
  if (!cell.firstElementChild) cell.append(document.createElement("div"));
  cell.firstElementChild.className = "bar";
  cell.firstElementChild.style.width = `${(100 * value.bar).toFixed(1)}%`;
}

/* ---- the last quarter of an hour ---- */

let past = null; /* {end, started, columns}; columns of STEPS numbers, null before the sidecar began */

function columnOf(values) {
  return new Array(Math.max(STEPS - values.length, 0)).fill(null).concat(values.slice(-STEPS));
}

/* false: the answer does not reach back to what is known; the whole is to be asked for. */
function remember(status, isWhole) {
  const history = status.history;
  const names = [...KINDS, ...QUANTILES].map(([name]) => name);
  const risen = past ? history.end_step - past.end : -1;
  if (isWhole) {
    past = {started: status.started_s, columns: {}};
    for (const name of names) past.columns[name] = columnOf(history[name]);
  } else if (past.started !== status.started_s || risen < 0 || risen >= history.steps) {
    return false;
  } else {
    for (const name of names) {
      const column = past.columns[name];
      column.splice(0, risen);
      for (let i = 0; i < risen; i++) column.push(null);
      history[name].forEach((value, i) => { column[STEPS - history.steps + i] = value; });
    }
  }
  past.end = history.end_step;
  past.endTime = history.end_s;
  return true;
}

const sumOf = (name) => past.columns[name].reduce((sum, n) => sum + n, 0);

/* ---- charts ---- */

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const charts = {};

function axes(unit) {
  const line = colour("line");
  const quiet = colour("quiet");
  return {
    x: {type: "linear", min: 1 - STEPS, max: 0, grid: {color: line, drawTicks: false, borderColor: line}, border: {display: false},
        ticks: {color: quiet, stepSize: 180, maxRotation: 0, autoSkip: true, padding: 5, font: {size: 11},
                callback: (x) => (x === 0 ? "now" : `${MINUS}${Math.round(-x / 60)} min`)},
        afterBuildTicks: (axis) => { axis.ticks = [-900, -720, -540, -360, -180, 0].map((value) => ({value: Math.max(value, 1 - STEPS)})); }},
    y: {beginAtZero: true, stacked: unit === "", suggestedMax: 1, grid: {color: line, drawTicks: false, borderColor: line},
        ticks: {color: quiet, maxTicksLimit: 5, padding: 6, font: {size: 11}, callback: (y) => `${count(y) === "0" && y > 0 ? y.toFixed(1) : count(y)}${unit}`}},
  };
}

function chart(id, series, unit) {
  const datasets = series.map(([, name, label]) => ({
    label: label || name, data: [], parsing: false, borderWidth: unit ? 1.5 : 1, pointRadius: 0, pointHitRadius: 0,
    fill: unit ? false : "stack", spanGaps: false,
  }));
  charts[id] = new Chart(byId(`${id}-chart`), {
    type: "line",
    data: {datasets},
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, normalized: true, scales: axes(unit),
      interaction: {mode: "index", intersect: false},
      plugins: {legend: {display: false},
                tooltip: {callbacks: {title: (items) => (items.length ? clock(past.endTime + items[0].parsed.x) : ""),
                                      label: (item) => ` ${item.dataset.label}  ${unit ? milliseconds(item.parsed.y) : count(item.parsed.y)}`}}},
    },
  });
  charts[id].series = series;
  charts[id].unit = unit;
  legend(id, series);
  paint(charts[id]);
}

function legend(id, series) {
  series.forEach(([, name, label], i) => {
    const button = document.createElement("button");
    const swatch = document.createElement("i");
    swatch.className = name;
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    button.append(swatch, label || name);
    button.addEventListener("click", () => {
      const shown = !charts[id].isDatasetVisible(i);
      charts[id].setDatasetVisibility(i, shown);
      button.setAttribute("aria-pressed", String(shown));
      charts[id].update("none");
    });
    byId(`${id}-legend`).append(button);
  });
}

/* Canvas knows nothing of style sheets: colours are looked up, again when light becomes dark. */
function paint(of) {
  of.options.scales = axes(of.unit);
  of.data.datasets.forEach((dataset, i) => {
    const ink = colour(of.series[i][1]);
    dataset.borderColor = ink;
    dataset.backgroundColor = of.unit ? ink : `${ink}d8`;
  });
}

function plot(of, words) {
  const canvas = of.canvas;
  of.title = of.title || canvas.getAttribute("aria-label");
  canvas.setAttribute("aria-label", `${of.title}; ${words}`);
  of.data.datasets.forEach((dataset, i) => {
    dataset.data = past.columns[of.series[i][0]].map((y, x) => ({x: x + 1 - STEPS, y}));
  });
  of.update("none");
}

/* ---- what is shown ---- */

function showHealth(status) {
  const health = status.health;
  byId("health").dataset.level = health.level;
  text(byId("health-text"), health.text);
  const list = byId("problems");
  list.replaceChildren(...health.problems.map((problem, i) => {
    const item = document.createElement("li");
    if (i > 0) {
      const what = document.createElement("b");
      what.textContent = problem.what;
      item.append(what);
    }
    item.append(problem.advice);
    return item;
  }));
}

/* Rejects by component, most first; each with its reasons, most first. Lately, if there is anything lately. */
function groupsOf(rows) {
  const key = rows.some((row) => row.recent > 0) ? "recent" : "count";
  const groups = new Map();
  for (const row of rows) {
    const group = groups.get(row.component) || {component: row.component, recent: 0, count: 0, reasons: []};
    group.recent += row.recent;
    group.count += row.count;
    group.reasons.push(row);
    groups.set(row.component, group);
  }
  const sorted = [...groups.values()].sort((a, b) => b[key] - a[key] || b.count - a.count);
  for (const group of sorted) group.reasons.sort((a, b) => b[key] - a[key] || b.count - a.count);
  return {key, groups: sorted};
}

function showTiles(status) {
  const {rates, losses, latency_ms: latency} = status;
  const kinds = Object.fromEntries(KINDS.map(([name]) => [name, sumOf(name)]));
  const all = Object.values(kinds).reduce((a, b) => a + b, 0);
  const newest = status.sources.rows[0];
  const lost = losses.records_recent + losses.lines_recent;

  number("rate", rate(rates.decisions_per_s));
  text(byId("rate-note"), `${count(status.decisions.total)} in all`);
  number("share", all > 0 ? (100 * kinds.reject / all).toFixed(1) : "\u2013", all > 0 ? "%" : "");
  text(byId("share-note"), all > 0 ? `${count(kinds.reject)} in 15 min` : "no decision in 15 min");
  number("lost", count(lost));
  byId("lost-tile").dataset.level = losses.records_recent > 0 ? "error" : lost > 0 ? "warning" : "ok";
  text(byId("lost-note"), lost > 0 ? "in the last 15 min" : losses.records_total + losses.lines_total > 0
    ? `in 15 min; ${count(losses.records_total + losses.lines_total)} before` : "nothing, ever");
  number("p95", milliseconds(latency.p95));
  text(byId("p95-note"), latency.p99 === null ? "no latency in 5 min" : `99 in 100: ${milliseconds(latency.p99)}`);
  number("newest", newest ? (newest.age_s >= 0 && newest.age_s < 1 ? "<1 s" : duration(newest.age_s)) : "\u2013", newest && newest.age_s >= 0 ? "ago" : "");
  text(byId("newest-note"), newest ? newest.source : "none with a time yet");
}

function showRejects(status) {
  const {key, groups} = groupsOf(status.rejects.rows);
  const lately = key === "recent";
  const [top] = groups;
  const most = top ? top[key] : 1;

  text(byId("top"), top ? top.component : "nobody");
  text(byId("top-note"), top ? `${count(top[key])} ${lately ? "in 15 min" : "in all"}, mostly ${top.reasons[0].reason}` : "no reject yet");
  text(byId("rejects-answer"), !top ? "Nothing has been rejected yet."
    : `${top.component} rejects most: ${count(top[key])} ${lately ? "in the last 15 minutes" : "in all, none in the last 15 minutes"}, ` +
      `${count(top.reasons[0][key])} of them for ${top.reasons[0].reason}.`);
  const rows = groups.flatMap((group) => [{name: group.component, class: "group", ...group},
    ...group.reasons.map((row) => ({name: row.reason, class: "reason", ...row}))]);
  table("rejects", {rows, more: status.rejects.more}, "no reject yet", (row) => [{text: row.name, class: row.class},
    {text: count(row.recent), class: row.class}, {bar: row[key] / most, class: row.class}, {text: count(row.count), class: row.class}]);
}

/* One table of everything that was not counted, or not whole. */
function lossRows(losses) {
  const rows = [];
  for (const row of losses.records.rows) rows.push(["SDK record", row.reason, row.count]);
  for (const row of losses.lines.rows) rows.push([`line, ${row.source}`, row.reason, row.count]);
  for (const row of losses.latency_unobserved.rows) rows.push([`latency, ${row.source}`, row.reason, row.count]);
  for (const row of losses.series_overflow.rows) rows.push(["labels (overflow)", row.family, row.count]);
  for (const [reason, n] of Object.entries(losses.ipc)) if (reason !== "total") rows.push(["IPC input", reason, n]);
  return rows;
}

function showLosses(status) {
  const {losses} = status;
  const answer = losses.records_recent > 0
    ? `Yes: ${some(losses.records_recent, "SDK record")} in the last 15 minutes.`
    : losses.lines_recent > 0
      ? `No SDK record; but ${some(losses.lines_recent, "event line")} of the last 15 minutes could not be counted.`
      : losses.records_total + losses.lines_total > 0 ? "Nothing in the last 15 minutes." : "No. Nothing has been lost.";
  text(byId("losses-answer"), answer);
  table("losses", {rows: lossRows(losses), more: losses.lines.more}, "nothing", (row) => [row[0], row[1], count(row[2])]);
  facts("waiting", [["On their way, in producers' rings", count(status.unacknowledged)],
    ["Waiting in spool files", bytes(status.spool.lag_bytes)],
    ["Waiting in event files", bytes(status.files.rows.reduce((sum, row) => sum + row.lag_bytes, 0))],
    ["Sent twice, counted once", count(status.duplicates.rows.reduce((sum, row) => sum + row.count, 0))]]);
}

function showProducers(status) {
  const {producers} = status;
  text(byId("producers-note"), `${count(status.connected)} connected`);
  table("producers", producers, "none connected", (row) => [row.component || "\u2013", row.run_id || "\u2013", row.pid > 0 ? String(row.pid) : "\u2013",
    rate(row.recorded_per_s), count(row.recorded), count(row.backlog),
    {text: count(row.dropped), class: row.dropped > 0 ? "bad" : ""}]);
}

const age = (row) => ({text: duration(row.age_s), class: row.age_s > STALE_S || row.age_s < -STALE_S ? "old" : ""});

function showRest(status) {
  const files = {more: status.files.more, rows: status.files.rows.slice()};
  if (status.spool.path) files.rows.push({path: `${status.spool.path} (spool)`, lag_bytes: status.spool.lag_bytes});
  table("files", files, "no file is followed", (row) => [row.path, bytes(row.lag_bytes)]);
  table("components", status.components, "no decision yet", (row) => [row.component, count(row.accept), count(row.reject), count(row.noop)]);
  table("runs", status.runs, "no event with a time yet", (row) => [row.run_id, row.component, row.source, age(row)]);
  table("actions", status.actions, "no action yet", (row) => [row.action, count(row.count)]);
  table("sources", status.sources, "no event with a time yet", (row) => [row.source, age(row)]);
  table("roads", status.roads, "no event yet", (row) => [row.road, count(row.count)]);
}

function facts(id, list) {
  const node = byId(id);
  list.forEach(([name, value], i) => {
    if (!node.children[2 * i]) node.append(document.createElement("dt"), document.createElement("dd"));
    text(node.children[2 * i], name);
    text(node.children[2 * i + 1], value);
  });
}

function showState(status) {
  facts("state", [["Ready", status.ready ? "yes" : "no"], ["Running for", duration(status.uptime_s)],
    ["Counting since", new Date(status.counting_since_s * 1000).toISOString().slice(0, 16).replace("T", " ") + " UTC"],
    ["Commits", count(status.state.commits)], ["Commits that failed", count(status.state.errors)],
    ["Last commit took", `${(status.state.last_commit_s * 1e6).toFixed(0)} \u00b5s`], ["State", bytes(status.state.bytes)],
    ["Dead producers taken in", count(status.salvaged_folders)], ["Version", status.version]]);
}

function span(value, name) {
  const node = document.createElement("span");
  node.textContent = value;
  if (name) node.className = name;
  return node;
}

let warned = "";

function showWarnings(status) {
  const {rows, more} = status.warnings;
  const seen = `${more} ${rows.length} ${rows.length ? rows[0].time_s : 0}`;
  if (seen === warned) return;
  warned = seen;
  byId("warnings").replaceChildren(...rows.map((row) => {
    const item = document.createElement("li");
    item.append(span(clock(row.time_s)), span(row.level, `level-${row.level === "error" ? "error" : "warning"}`), span(row.text));
    return item;
  }));
  if (rows.length === 0) {
    const item = document.createElement("li");
    item.className = "none";
    item.append("none since the start");
    byId("warnings").append(item);
  }
  text(byId("warnings-more"), more > 0 ? `${count(more)} earlier ones: see the log` : "");
}

function show(status) {
  text(byId("who"), `${status.component} \u00b7 run ${status.run_id} \u00b7 up ${duration(status.uptime_s)}`);
  document.title = `${status.health.level === "ok" ? "" : "! "}${status.component} \u2013 ailive`;
  showHealth(status);
  showTiles(status);
  showRejects(status);
  showLosses(status);
  showProducers(status);
  showRest(status);
  showState(status);
  showWarnings(status);
  plot(charts.decisions, `now ${KINDS.map(([name]) => `${name} ${rate(status.rates[`${name}_per_s`])}`).join(", ")}`);
  plot(charts.latency, `now ${QUANTILES.map(([, name, label]) => `${label} ${milliseconds(status.latency_ms[name])}`).join(", ")}`);
}

/* ---- asking ---- */

let answered = 0; /* when the last answer came */

function state(name, label) {
  byId("link").dataset.state = name;
  text(byId("link-text"), label);
  document.body.classList.toggle("stopped", name === "stopped");
}

function showStopped(why) {
  const since = answered ? ` It last answered at ${clock(answered / 1000)}; what is below is from then.` : "";
  state("stopped", why);
  byId("health").dataset.level = "error";
  text(byId("health-text"), why === "Starting" ? "The sidecar is starting." : `The sidecar is stopped or cannot be reached.${since}`);
  const item = document.createElement("li");
  item.textContent = why === "Starting" ? "It reads its state; this page goes on by itself." : "Start it with: ailive sidecar. This page goes on by itself.";
  byId("problems").replaceChildren(item);
  document.title = `${why} \u2013 ailive`;
}

async function ask(query) {
  const answer = await fetch(`/api/v1/status${query}`, {cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS)});
  if (answer.status === 503) throw new Error("Starting");
  if (!answer.ok) throw new Error("Stopped");
  return answer.json();
}

/* The status, with everything before it remembered; null: it does not answer, and that is shown. */
async function askAll() {
  try {
    const brief = past && await ask("?history=brief");
    if (brief && remember(brief, false)) return brief;
    const status = await ask("");
    remember(status, true);
    return status;
  } catch (error) {
    past = null;
    showStopped(error.message === "Starting" ? "Starting" : "Stopped");
    return null;
  }
}

async function refresh() {
  const status = await askAll();
  if (!status) return;
  answered = Date.now();
  state("live", "Live");
  show(status);
}

/* A page nobody looks at asks nothing. */
async function run() {
  if (!document.hidden) await refresh();
  setTimeout(run, POLL_MS);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const of of Object.values(charts)) {
    paint(of);
    of.update("none");
  }
});
chart("decisions", KINDS, "");
chart("latency", QUANTILES, " ms");
run();
