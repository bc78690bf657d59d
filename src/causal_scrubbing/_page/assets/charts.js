// Charts as SVG: axes, lines with error bars, bars, histograms, points.
"use strict";
Page.charts = (() => {
  const W = 460, H = 250, L = 56, R = 12, T = 12, B = 42;
  const ticks = (low, high, count = 5) => {
    const raw = (high - low) / count, size = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((k) => k * size).find((k) => k >= raw) || raw;
    const found = [];
    for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-9; v += step) found.push(Math.abs(v) < step * 1e-9 ? 0 : Number(v.toPrecision(10)));
    return found;
  };
  const range = (...arrays) => {
    let low = Infinity, high = -Infinity;
    for (const array of arrays) for (const v of array) if (Number.isFinite(v)) { if (v < low) low = v; if (v > high) high = v; }
    if (!(low <= high)) return [0, 1];
    return low === high ? [low - 0.5, high + 0.5] : [low, high];
  };
  const frame = (label, xs, ys, xName, yName, xTicks) => {
    const svg = Page.el("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": label });
    const x = (v) => L + ((W - L - R) * (v - xs[0])) / (xs[1] - xs[0]);
    const y = (v) => H - B - ((H - B - T) * (v - ys[0])) / (ys[1] - ys[0]);
    for (const v of ticks(...ys)) svg.append(
      Page.el("line", { class: "gridline", x1: L, x2: W - R, y1: y(v), y2: y(v) }),
      Page.el("text", { class: "soft", x: L - 6, y: y(v) + 4, "text-anchor": "end" }, Page.number(v)));
    for (const [v, text] of xTicks || ticks(...xs).map((v) => [v, Page.number(v)])) svg.append(
      Page.el("text", { class: "soft", x: x(v), y: H - B + 16, "text-anchor": "middle" }, text));
    svg.append(Page.el("text", { x: (L + W - R) / 2, y: H - 6, "text-anchor": "middle" }, Page.short(xName, 52)));
    const name = Page.el("text", { x: 0, y: 0, transform: `translate(12 ${(H - B) / 2 + T}) rotate(-90)`, "text-anchor": "middle" }, Page.short(yName, 30));
    svg.append(name);
    return { svg, x, y };
  };
  const pad = ([low, high], share = 0.06) => [low - share * (high - low), high + share * (high - low)];
  const path = (points) => points.map(([px, py], i) => `${i ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`).join("");

  // Means of both with two standard errors, at each of few places.
  const means = (label, places, xName, yName, xTicks) => {
    const ends = places.flatMap((p) => ["model", "scrubbed"].flatMap((k) => [p[k].mean - 2 * p[k].se, p[k].mean + 2 * p[k].se]));
    const { svg, x, y } = frame(label, pad(range(places.map((p) => p.at))), pad(range(ends)), xName, yName, xTicks);
    for (const [k, shift] of [["model", -2], ["scrubbed", 2]]) {
      if (!xTicks) svg.append(Page.el("path", { class: `l-${k}`, d: path(places.map((p) => [x(p.at) + shift, y(p[k].mean)])) }));
      for (const p of places) svg.append(
        Page.el("line", { class: `l-${k}`, x1: x(p.at) + shift, x2: x(p.at) + shift, y1: y(p[k].mean - 2 * p[k].se), y2: y(p[k].mean + 2 * p[k].se) }),
        Page.el("circle", { class: `f-${k}`, cx: x(p.at) + shift, cy: y(p[k].mean), r: 3.5 },
          Page.el("title", {}, `${p.name}: ${k} ${Page.number(p[k].mean)} ± ${Page.number(p[k].se, 2)}, ${p.count} samples`)));
    }
    return svg;
  };

  const histogram = (label, sets, xName) => {
    const xs = range(...sets.map((s) => s.values)), count = 40, step = (xs[1] - xs[0]) / count;
    const heights = sets.map(({ values }) => {
      const found = new Float64Array(count);
      for (const v of values) if (Number.isFinite(v)) found[Math.min(count - 1, Math.floor((v - xs[0]) / step))] += 1;
      return found.map((n) => n / values.length);
    });
    const { svg, x, y } = frame(label, xs, [0, Math.max(...heights.map((h) => Math.max(...h))) * 1.05], xName, "share of samples");
    sets.forEach((set, i) => {
      if (set.signed) heights[i].forEach((h, b) => h && svg.append(Page.el("rect", {
        class: (xs[0] + (b + 0.5) * step > 0) === set.signed.upIsWorse ? "f-worse" : "f-better",
        x: x(xs[0] + b * step), width: Math.max(1, x(xs[0] + (b + 1) * step) - x(xs[0] + b * step) - 0.5), y: y(h), height: Math.max(0, y(0) - y(h)) })));
      else {
        const points = [[x(xs[0]), y(0)]];
        heights[i].forEach((h, b) => points.push([x(xs[0] + b * step), y(h)], [x(xs[0] + (b + 1) * step), y(h)]));
        svg.append(Page.el("path", { class: `l-${set.name}`, d: path([...points, [x(xs[1]), y(0)]]) }));
      }
    });
    return svg;
  };

  const points = (label, xv, yv, xName, yName) => {
    const all = range(xv, yv), { svg, x, y } = frame(label, pad(all), pad(all), xName, yName);
    svg.append(Page.el("line", { class: "gridline", x1: x(all[0]), x2: x(all[1]), y1: y(all[0]), y2: y(all[1]) }));
    const seen = new Map(), every = Math.max(1, Math.floor(xv.length / 20000));
    for (let i = 0; i < xv.length; i += every) {
      const key = `${Math.round(x(xv[i]) / 3)},${Math.round(y(yv[i]) / 3)}`;
      seen.set(key, (seen.get(key) || 0) + 1);
    }
    const most = Math.max(...seen.values());
    for (const [key, count] of seen) {
      const [px, py] = key.split(",").map(Number);
      svg.append(Page.el("circle", { class: "dotp", cx: px * 3, cy: py * 3, r: (1.5 + 5 * Math.sqrt(count / most)).toFixed(1) }));
    }
    return svg;
  };
  const key = () => Page.el("p", { class: "legend" }, ["model", "scrubbed"].map((name) =>
    Page.el("span", {}, Page.el("svg", { width: 30, height: 10, "aria-hidden": "true" }, Page.el("line", { class: `l-${name}`, x1: 0, x2: 28, y1: 5, y2: 5 })), ` ${name}`)));
  return { means, histogram, points, key };
})();
