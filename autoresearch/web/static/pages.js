// Replaces the pictures of a page by interactive charts: drag to zoom, double-click to zoom out.
// Text from the server is never set as markup. uPlot (static/uPlot-LICENSE.txt) draws.
"use strict";

const HEIGHT = 410;
const MIN_LABEL_WIDTH = 600; // of a chart that has labels at the keeps
const LABEL_ANGLE = Math.PI / 6; // radians
const MIN_LABEL_CHARS = 9; // shorter labels are only the number of the experiment
const COLOURS = {
  dot: "--dot", near: "--near", lost: "--bad", keep: "--good", "running best": "--best",
  curve0: "--best", curve1: "--near", curve2: "--p1", curve3: "--dot",
};
const DOTS = { dot: 6, near: 6, lost: 6, keep: 11 };
const main = () => document.querySelector("main");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
let charts = [];

async function numbers(figure) {
  const answer = await fetch(`${main().dataset.base}/${figure.dataset.chart}.json`);
  return answer.ok ? answer.json() : { x: [], series: [] };
}

function series(found) {
  const stairs = uPlot.paths.stepped({ align: 1 });
  return found.series.map(({ name, kind }) => {
    if (kind === "high" || kind === "low") return { label: name, width: 0, points: { show: false }, paths: stairs };
    const stroke = colour(COLOURS[kind]);
    if (kind in DOTS) {
      return { label: name, stroke, paths: () => null, points: { show: true, size: DOTS[kind], fill: stroke, width: 0 } };
    }
    const steps = kind === "running best" || found.across === "experiment";
    return { label: name, stroke, width: 2, points: { show: false }, spanGaps: true, paths: steps ? stairs : undefined };
  });
}

// The noise of one trial around the running best, between the adjacent series `high` and `low`.
function bands(found) {
  const high = found.series.findIndex(({ kind }) => kind === "high") + 1;
  return high ? [{ series: [high, high + 1], fill: colour("--best") + "22" }] : [];
}

function words(found, figure) {
  const line = document.createElement("p");
  line.className = "quiet told";
  figure.append(line);
  return (chart) => {
    const k = chart.cursor.idx;
    line.textContent = k == null || !found.words ? " " : found.words[found.x[k]] || " ";
  };
}

// Cut a label to the room that it has; if that is too little, show the number of the experiment.
function fitted(pen, label, room) {
  if (pen.measureText(label).width <= room) return label;
  let cut = label.length;
  while (cut > 0 && pen.measureText(`${label.slice(0, cut)}...`).width > room) cut--;
  return cut < MIN_LABEL_CHARS ? label.split(":")[0] : `${label.slice(0, cut).trimEnd()}...`;
}

// Labels at the keeps are slanted, as in the picture that the server draws.
function labels(found) {
  return (chart) => {
    const keep = found.series.findIndex(({ kind }) => kind === "keep") + 1;
    if (!found.labels || !keep || chart.width < MIN_LABEL_WIDTH) return;
    const pen = chart.ctx, ratio = devicePixelRatio;
    pen.save();
    pen.fillStyle = colour("--ink");
    pen.font = `600 ${11 * ratio}px system-ui, sans-serif`;
    pen.textAlign = "right";
    found.x.forEach((n, k) => {
      const score = chart.data[keep][k];
      const { min, max } = chart.scales.x;
      if (score == null || !found.labels[n] || n < min || n > max) return;
      const x = chart.valToPos(n, "x", true) - 3 * ratio, y = chart.valToPos(score, "y", true) + 14 * ratio;
      const { left, top, height } = chart.bbox;
      const room = n > 0 ? Math.min((x - left) / Math.cos(LABEL_ANGLE), (top + height - y) / Math.sin(LABEL_ANGLE)) : Infinity;
      pen.save();
      pen.translate(x, y);
      if (n > 0) pen.rotate(-LABEL_ANGLE);
      else { pen.textAlign = "left"; pen.translate(7 * ratio, -24 * ratio); }
      pen.fillText(fitted(pen, found.labels[n], room), 0, 0);
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

function options(found, figure) {
  const y = found.low == null ? {} : { range: (chart, low, high) => zoomed(chart, found) ? [low, high] : [found.low, found.high] };
  return {
    width: figure.clientWidth, height: HEIGHT, scales: { x: { time: false }, y }, bands: bands(found),
    axes: [axis(found.across), { ...axis(), size: 64, values: decimals }],
    series: [{ label: found.across }, ...series(found)],
    cursor: { y: false, points: { show: false } },
    legend: { live: !found.words },
    hooks: { setCursor: [words(found, figure)], draw: [labels(found)] },
  };
}

function zoomed(chart, found) {
  const { min, max } = chart.scales.x;
  return min > found.x[0] || max < found.x[found.x.length - 1];
}

async function draw(figure) {
  const found = await numbers(figure);
  if (found.x.length < 2 || !figure.isConnected) return;
  figure.replaceChildren();
  figure.classList.add("drawn");
  const data = [found.x, ...found.series.map(({ y }) => y)];
  const chart = new uPlot(options(found, figure), data, figure);
  figure.prepend(chart.root);
  const names = [...chart.root.querySelectorAll(".u-series")].slice(-found.series.length);
  found.series.forEach(({ kind }, k) => { names[k].hidden = kind === "high" || kind === "low"; });
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
  const found = await numbers(live.figure);
  if (found.series.length !== live.chart.series.length - 1) return;
  found.series.forEach(({ name }, k) => { live.chart.series[k + 1].label = name; });
  live.chart.setData([found.x, ...found.series.map(({ y }) => y)]);
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
