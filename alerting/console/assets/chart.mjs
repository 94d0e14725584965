// Draws each chart from the rows of the table beneath it, in place of the still picture.
const css = (name) => {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const c = getComputedStyle(probe).color;
  probe.remove();
  return c;
};

function draw(figure) {
  const plot = figure.querySelector(".plot");
  const rows = [...figure.querySelectorAll("tr[data-x]")];
  if (!rows.length || !globalThis.uPlot) return;
  const x = rows.map((r) => Number(r.dataset.x));
  const v = rows.map((r) => Number(r.dataset.v));
  const u = rows.map((r) => (r.dataset.u === undefined ? null : Number(r.dataset.u)));
  const accent = css("--accent"), warn = css("--warn"), muted = css("--muted"), line = css("--line"), bad = css("--bad");
  const from = Number(figure.dataset.from), to = Number(figure.dataset.to);
  const stepSize = x.length > 1 ? x[1] - x[0] : 3600;
  const shade = (p) => {
    if (!from) return;
    const l = Math.max(p.valToPos(from, "x", true), p.bbox.left);
    const r = Math.min(Math.max(p.valToPos(to, "x", true), l + 3 * devicePixelRatio), p.bbox.left + p.bbox.width);
    if (r <= l) return;
    p.ctx.save();
    p.ctx.globalAlpha = 0.18;
    p.ctx.fillStyle = bad;
    p.ctx.fillRect(l, p.bbox.top, r - l, p.bbox.height);
    p.ctx.restore();
  };
  const axis = { stroke: muted, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "11px system-ui, sans-serif" };
  const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
  const tick = (s, incr) => {
    const d = new Date(s * 1000);
    if (incr >= 86400 || d.getUTCHours() + d.getUTCMinutes() === 0) return d.getUTCDate() + " " + months[d.getUTCMonth()];
    return d.toISOString().slice(11, 16);
  };
  const when = (s) => new Date(s * 1000).toISOString().slice(0, 16).replace("T", " ");
  const opts = {
    width: plot.clientWidth, height: 190, tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
    scales: { x: { range: (_, a, b) => [a - stepSize / 2, b + stepSize / 2] }, y: { range: (_, a, b) => [0, Math.max(b * 1.05, 1)] } },
    axes: [{ ...axis, values: (_, t, __, ___, incr) => t.map((s) => tick(s, incr)) }, { ...axis, size: 56, values: (_, t) => t.map((n) => n.toLocaleString("en")) }],
    series: [
      { label: figure.dataset.labelTime, value: (_, s) => (s == null ? "–" : when(s)) },
      { label: figure.dataset.labelValue, stroke: accent, fill: accent, width: 0, paths: uPlot.paths.bars({ size: [0.82, 40] }), points: { show: false } },
      { label: figure.dataset.labelUsual, stroke: warn, width: 1.5, points: { show: false }, value: (_, n) => (n == null ? "–" : String(Math.round(n))) },
    ],
    hooks: { drawClear: [shade] },
    cursor: { drag: { x: true, y: false } },
  };
  const has = rows.some((r) => Number(r.dataset.u) > 0);
  const data = has ? [x, v, u] : [x, v];
  if (!has) opts.series.length = 2;
  plot.replaceChildren();
  const chart = new uPlot(opts, data, plot);
  new ResizeObserver(() => chart.setSize({ width: plot.clientWidth, height: 190 })).observe(plot);
}

let drawn = false;
const all = () => { for (const f of document.querySelectorAll("[data-chart]")) draw(f); drawn = true; };
all();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn && all());
