// Replaces the pictures of a page by interactive charts: drag to zoom, double-click to zoom out.
// Text from the server is never set as markup. uPlot (static/uPlot-LICENSE.txt) draws.
"use strict";

const HEIGHT = 410;
const MIN_LABEL_WIDTH = 600; // of a chart with more than numbers at the keeps
const LABEL_ANGLE = Math.PI / 6; // radians
const MARKS_HEIGHT = 28; // of what has no score, above the lower edge
const LABEL_DISTANCE = 12; // between two labels
const WHOLE_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000];
const COLOURS = {
  dot: "--dot", near: "--near", lost: "--bad", unmeasured: "--dot", keep: "--good", "running best": "--best",
  curve0: "--best", curve1: "--near", curve2: "--good", curve3: "--more", curve4: "--bad", curve5: "--dot",
};
const DOTS = { dot: 6, near: 6, lost: 6, unmeasured: 6, keep: 11 };
const RAW = "4d"; // opacity of a curve behind its means
const main = () => document.querySelector("main");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
let charts = [];

async function numbers(figure) {
  const answer = await fetch(`${main().dataset.base}/${figure.dataset.chart}.json`);
  return answer.ok ? answer.json() : { x: [], series: [] };
}

// Curves are drawn as they are, and their means over them.
function layers(found, smooth) {
  return found.series.flatMap((each) => {
    if (!each.smooth || !smooth) return [each];
    return [{ ...each, raw: true }, { ...each, y: each.smooth }];
  });
}

function series(found, shown) {
  const stairs = uPlot.paths.stepped({ align: 1 });
  return shown.map(({ name, kind, raw }) => {
    if (kind === "high" || kind === "low") return { label: name, width: 0, points: { show: false }, paths: stairs };
    const stroke = colour(COLOURS[kind]), value = (chart, y) => (y == null ? "" : y.toFixed(4));
    if (kind in DOTS) {
      const hollow = kind === "unmeasured", points = { show: true, size: DOTS[kind], fill: hollow ? colour("--paper") : stroke, width: hollow ? 1 : 0 };
      return { label: name, stroke, value, paths: () => null, points };
    }
    if (raw) return { label: name, stroke: stroke + RAW, width: 1, points: { show: false }, spanGaps: true };
    return { label: name, stroke, value, width: 2, points: { show: false }, spanGaps: true, paths: found.whole ? stairs : undefined };
  });
}

// The noise of one trial around the running best, between the adjacent series `high` and `low`.
function bands(found) {
  const high = found.series.findIndex(({ kind }) => kind === "high") + 1;
  return high ? [{ series: [high, high + 1], fill: colour("--best") + "22" }] : [];
}

function words(found, figure) {
  const line = note(" ");
  line.classList.add("told");
  figure.append(line);
  return (chart) => {
    const k = chart.cursor.idx;
    line.textContent = k == null || !found.words ? " " : found.words[found.x[k]] || " ";
  };
}

// Labels at the keeps, as in the picture that the server draws: number and whole hypothesis, else the number below or
// above, else nothing. No label overlaps with the one before.
function labels(found) {
  return (chart) => {
    const keep = found.series.findIndex(({ kind }) => kind === "keep") + 1;
    if (!found.labels || !keep) return;
    const pen = chart.ctx, ratio = devicePixelRatio;
    const { left, top, height } = chart.bbox, { min, max } = chart.scales.x;
    const sin = Math.sin(LABEL_ANGLE), cos = Math.cos(LABEL_ANGLE), distance = LABEL_DISTANCE * ratio;
    const across = ({ x, y }) => x * sin + y * cos;
    const apart = (one, other) => Math.abs(across(one) - across(other)) >= distance;
    const placed = {};
    pen.save();
    pen.fillStyle = colour("--ink");
    pen.font = `600 ${11 * ratio}px system-ui, sans-serif`;
    found.x.forEach((n, k) => {
      const score = chart.data[keep][k];
      if (score == null || n < min || n > max) return;
      const point = { x: chart.valToPos(n, "x", true), y: chart.valToPos(score, "y", true) };
      const words = found.labels[n], number = `${n}`, wide = pen.measureText(number).width + 4 * ratio;
      const room = Math.min((point.x - left) / cos, (top + height - point.y - MARKS_HEIGHT * ratio) / sin);
      const fits = words && chart.width >= MIN_LABEL_WIDTH && pen.measureText(words).width <= room;
      const free = (place) => !placed[place] || point.x - placed[place].x > wide || Math.abs(point.y - placed[place].y) >= distance;
      let place = "above";
      if (n && fits && Object.values(placed).every((other) => apart(point, other))) place = "slanted";
      else if (n && free("below") && (!placed.slanted || apart(point, placed.slanted))) place = "below";
      else if (n && !free("above")) return;
      placed[place] = point;
      pen.save();
      pen.textAlign = place === "above" ? "left" : "right";
      pen.translate(point.x + (place === "above" ? 4 : -3) * ratio, point.y + { slanted: 14, below: 16, above: -10 }[place] * ratio);
      if (place === "slanted") pen.rotate(-LABEL_ANGLE);
      pen.fillText(place === "slanted" || !n ? words : number, 0, 0);
      pen.restore();
    });
    pen.restore();
  };
}

function decimals(chart, places) {
  const step = places.length > 1 ? places[1] - places[0] : 1;
  let digits = 0;
  while (digits < 8 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6) digits++;
  return places.map((place) => place.toFixed(digits));
}

function axis(label) {
  const lines = { stroke: colour("--rule"), width: 1 };
  return { label, stroke: colour("--quiet"), grid: lines, ticks: lines, font: "12px system-ui", labelFont: "12px system-ui" };
}

function markers(shown) {
  const kind = (k) => shown[k - 1].kind, hollow = (k) => kind(k) === "unmeasured";
  const ink = (chart, k) => colour(COLOURS[kind(k)] || "--rule");
  return { width: (chart, k) => (hollow(k) ? 1 : 0), stroke: ink, fill: (chart, k) => (hollow(k) ? "transparent" : ink(chart, k)) };
}

function options(found, shown, figure) {
  const y = found.low == null ? {} : { range: (chart, low, high) => zoomed(chart, found) ? [low, high] : [found.low, found.high] };
  // Half an experiment of room on each side, so that no dot is cut.
  const x = found.labels ? { range: (chart, low, high) => low <= found.x[0] && high >= found.x.at(-1) ? [found.x[0] - 0.5, found.x.at(-1) + 0.5] : [low, high] } : {};
  const across = axis(found.across);
  return {
    width: figure.clientWidth, height: HEIGHT, scales: { x: { time: false, ...x }, y }, bands: bands(found),
    axes: [found.whole ? { ...across, incrs: WHOLE_STEPS } : across, { ...axis(), size: 64, values: decimals }],
    series: [{ label: found.across, value: (chart, at) => (at == null ? "" : `${at}`) }, ...series(found, shown)],
    cursor: { y: false, points: { show: false } },
    legend: { live: !found.words, markers: markers(shown) },
    hooks: { setCursor: [words(found, figure)], draw: [labels(found)] },
  };
}

function zoomed(chart, found) {
  const { min, max } = chart.scales.x;
  return min > found.x[0] || max < found.x.at(-1);
}

const table = (found, shown) => [found.x, ...shown.map(({ y }) => y)];

// The marks of the legend look like what they name; a name hides or shows a curve with its means.
function legend(chart, shown) {
  const names = [...chart.root.querySelectorAll(".u-series")].slice(-shown.length);
  shown.forEach(({ kind, raw, y }, k) => {
    names[k].hidden = raw || kind === "high" || kind === "low" || y.every((each) => each == null);
    names[k].classList.add(kind in DOTS ? "is-dot" : "is-line");
    names[k].dataset.kind = kind;
    if (shown[k - 1]?.raw) names[k].addEventListener("click", () => chart.setSeries(k, { show: chart.series[k + 1].show }));
  });
}

function note(text) {
  const line = document.createElement("p");
  line.className = "quiet";
  line.textContent = text;
  return line;
}

function smoothing(figure, found) {
  const label = document.createElement("label"), box = document.createElement("input");
  box.type = "checkbox";
  box.checked = figure.dataset.smooth !== "no";
  box.addEventListener("change", () => {
    figure.dataset.smooth = box.checked ? "yes" : "no";
    show(figure, found);
  });
  label.className = "quiet smoothing";
  label.append(box, " smoothed (thin: as reported)");
  figure.append(label);
}

async function draw(figure) {
  const found = await numbers(figure);
  if (found.x.length < 2 || !figure.isConnected) return;
  show(figure, found);
}

function show(figure, found) {
  charts.filter((each) => each.figure === figure).forEach(({ chart }) => chart.destroy());
  charts = charts.filter((each) => each.figure !== figure);
  figure.replaceChildren();
  figure.classList.add("drawn");
  const shown = layers(found, figure.dataset.smooth !== "no");
  const chart = new uPlot(options(found, shown, figure), table(found, shown), figure);
  figure.prepend(chart.root);
  if (found.up) figure.prepend(note(found.up));
  legend(chart, shown);
  if (found.series.some(({ smooth }) => smooth)) smoothing(figure, found);
  if (found.leads) {
    figure.classList.add("leads");
    chart.over.addEventListener("click", () => {
      const still = chart.select.width < 2;
      if (still && chart.cursor.idx != null) location.href = `${main().dataset.base}/${found.x[chart.cursor.idx]}`;
    });
  }
  charts.push({ chart, figure });
}

function drawAll() {
  charts.forEach(({ chart }) => chart.destroy());
  charts = [];
  document.querySelectorAll("figure[data-chart]").forEach((figure) => void draw(figure));
}

// --- updates of a running session

async function renew() {
  const text = await (await fetch(location.href)).text();
  const next = new DOMParser().parseFromString(text, "text/html").querySelector("main");
  const open = [...document.querySelectorAll("details")].map((each) => each.open);
  next.querySelectorAll("details").forEach((each, k) => { if (k in open) each.open = open[k]; });
  main().replaceWith(document.adoptNode(next));
  drawAll();
}

async function renewLive() {
  const live = charts.find(({ figure }) => figure.dataset.chart === "live");
  if (!live) return;
  const found = await numbers(live.figure), shown = layers(found, live.figure.dataset.smooth !== "no");
  if (shown.length !== live.chart.series.length - 1) {
    if (found.x.length > 1) show(live.figure, found);
    return;
  }
  shown.forEach(({ name }, k) => { live.chart.series[k + 1].label = name; });
  live.chart.setData(table(found, shown));
}

let stamp;
async function watch() {
  const address = main().dataset.state;
  if (!address) return;
  try {
    const now = (await (await fetch(address)).json()).stamp;
    if (stamp !== undefined && now !== stamp) await renew();
    else await renewLive();
    stamp = now;
  } catch {
    // The server does not answer; try again later.
  }
  setTimeout(watch, 2000);
}

addEventListener("resize", () => charts.forEach(({ chart, figure }) => chart.setSize({ width: figure.clientWidth, height: HEIGHT })));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
drawAll();
void watch();
