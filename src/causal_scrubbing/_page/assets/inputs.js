// Samples as a table that sorts and filters at once, however many; and the metric against a field.
"use strict";
Page.views.inputs = (root, data) => {
  const main = data.metrics[0], N = data.place.length, ROW = 30;
  if (!main.model) { root.append(Page.el("p", { class: "soft" }, "The behaviour is a vector: result.samples has its numbers.")); return; }
  const change = new Float32Array(N), bad = new Float32Array(N);
  for (let i = 0; i < N; i++) {
    change[i] = main.scrubbed[i] - main.model[i];
    bad[i] = main.lower_is_better === null ? Math.abs(change[i]) : main.lower_is_better ? change[i] : -change[i];
  }
  const columns = [
    { name: "sample", width: 90, at: (i) => i, text: (i) => String(i) },
    { name: "row", width: 90, at: (i) => data.rows[data.place[i]], text: (i) => String(data.rows[data.place[i]]) },
    { name: "model", width: 110, at: (i) => main.model[i], text: (i) => Page.number(main.model[i]) },
    { name: "scrubbed", width: 110, at: (i) => main.scrubbed[i], text: (i) => Page.number(main.scrubbed[i]) },
    { name: "change", width: 110, at: (i) => change[i], text: (i) => Page.number(change[i]) },
    { name: "worse by", width: 110, at: (i) => bad[i], text: (i) => Page.number(bad[i]) },
    ...data.metrics.slice(1).filter((m) => m.model).map((m) => ({ name: `${m.name}, scrubbed`, width: 140, at: (i) => m.scrubbed[i], text: (i) => Page.number(m.scrubbed[i]) })),
    ...data.fields.map((f) => ({ name: f.name, width: 120, at: (i) => (f.codes || f.numbers)[data.place[i]], text: (i) => (f.codes ? f.levels[f.codes[data.place[i]]] : Page.number(f.numbers[data.place[i]])) })),
    ...(data.texts.length ? [{ name: "input", width: 420, at: null, text: (i) => data.texts[data.place[i]] }] : []),
  ];
  let order = Uint32Array.from({ length: N }, (_, i) => i), sorted = 5, down = true, want = "", only = 0;
  const keep = [["all", () => true], ["worse", (i) => bad[i] > 1e-6 * (1 + Math.abs(main.model[i]))], ["better", (i) => bad[i] < -1e-6 * (1 + Math.abs(main.model[i]))], ["the same", (i) => Math.abs(bad[i]) <= 1e-6 * (1 + Math.abs(main.model[i]))]];
  const template = columns.map((c) => `${c.width}px`).join(" ");
  const head = Page.el("div", { class: "head", role: "row" }), fill = Page.el("div", { class: "fill", role: "rowgroup" });
  const grid = Page.el("div", { class: "grid", role: "grid", tabindex: 0, "aria-label": "Samples", "aria-rowcount": N + 1 }, Page.el("div", { role: "rowgroup" }, head), fill);
  const count = Page.el("span", { class: "soft", role: "status" });
  head.style.setProperty("grid-template-columns", template);
  columns.forEach((c, i) => head.append(Page.el("span", { role: "columnheader" }, c.at ? Page.button(c.name, () => { down = sorted === i ? !down : true; sorted = i; refresh(); }) : Page.el("span", { class: "soft" }, c.name))));
  const paint = () => {
    const top = grid.scrollTop, first = Math.max(0, Math.floor(top / ROW) - 4), last = Math.min(order.length, first + Math.ceil(grid.clientHeight / ROW) + 10);
    const lines = [];
    for (let k = first; k < last; k++) {
      const i = order[k];
      const line = Page.el("div", { class: "line", role: "row", tabindex: -1, "aria-rowindex": k + 2, on: { click: () => Page.tell("sample", i) }, css: { top: `${k * ROW}px`, "grid-template-columns": template } },
        columns.map((c) => { const text = c.text(i); return Page.el("span", { role: "gridcell", title: text }, text); }));
      lines.push(line);
    }
    fill.replaceChildren(...lines);
  };
  const refresh = () => {
    const test = keep[only][1], textual = want.toLowerCase();
    let kept = new Uint32Array(N), n = 0;
    // Each row is searched once, however many samples it has.
    const hit = textual ? data.texts.map((t) => t.toLowerCase().includes(textual)) : null;
    for (let i = 0; i < N; i++) {
      if (!test(i)) continue;
      if (textual && !((hit.length && hit[data.place[i]]) || columns.some((c, j) => j !== 0 && j !== 5 && c.at && c.text(i).toLowerCase() === textual))) continue;
      kept[n++] = i;
    }
    kept = kept.subarray(0, n);
    const values = new Float64Array(N), at = columns[sorted].at;
    for (const i of kept) values[i] = at(i);
    kept.sort(down ? (a, b) => values[b] - values[a] || a - b : (a, b) => values[a] - values[b] || a - b);
    order = kept;
    fill.style.setProperty("height", `${n * ROW}px`);
    fill.style.setProperty("width", `${columns.reduce((sum, c) => sum + c.width, 0)}px`);
    [...head.children].forEach((cell, i) => cell.setAttribute("aria-sort", i === sorted ? (down ? "descending" : "ascending") : "none"));
    count.textContent = `${n.toLocaleString("en")} of ${N.toLocaleString("en")} samples`;
    grid.scrollTop = 0;
    paint();
  };
  let asked = false;
  grid.addEventListener("scroll", () => { if (!asked) { asked = true; requestAnimationFrame(() => { asked = false; paint(); }); } });
  const search = Page.el("input", { type: "search", placeholder: data.texts.length ? "text of the input, or a value" : "a value", on: { input: () => { want = search.value.trim(); refresh(); } } });
  root.append(Page.el("div", { class: "bar" }, Page.choice("Show", keep.map((k) => k[0]), (i) => { only = i; refresh(); }), Page.el("label", {}, "Search", search), count),
    Page.el("p", { class: "soft" }, "A heading sorts; a line opens its sample, if it is one of those on this page."), grid);
  refresh();
};

Page.views.field = (root, data) => {
  const metrics = data.metrics.filter((m) => m.model);
  if (!data.fields.length || !metrics.length) return;
  let field = 0, metric = 0;
  const plot = Page.el("div", { class: "plots" });
  const draw = () => {
    const f = data.fields[field], m = metrics[metric], N = data.place.length;
    const codes = new Int32Array(N);
    let names, at;
    if (f.codes) {
      for (let i = 0; i < N; i++) codes[i] = f.codes[data.place[i]];
      names = f.levels; at = names.map((_, i) => i);
    } else {
      // Bins of about equally many samples, each shown at its mean.
      const values = Float32Array.from({ length: N }, (_, i) => f.numbers[data.place[i]]).sort(), bins = Math.min(20, Math.max(2, Math.floor(N / 25)));
      const cuts = [...new Set(Array.from({ length: bins - 1 }, (_, k) => values[Math.floor(((k + 1) * N) / bins)]))];
      const sums = new Float64Array(cuts.length + 1), counts = new Float64Array(cuts.length + 1);
      for (let i = 0; i < N; i++) {
        const v = f.numbers[data.place[i]];
        let low = 0, high = cuts.length;
        while (low < high) { const mid = (low + high) >> 1; if (v < cuts[mid]) high = mid; else low = mid + 1; }
        codes[i] = low; sums[low] += v; counts[low] += 1;
      }
      at = [...sums].map((sum, k) => sum / counts[k]);
      names = at.map((v) => `about ${Page.number(v)}`);
    }
    const found = at.map((place, k) => ({ at: place, name: names[k], count: 0, model: { mean: 0, m2: 0 }, scrubbed: { mean: 0, m2: 0 } }));
    for (let i = 0; i < N; i++) {
      const p = found[codes[i]];
      p.count += 1;
      for (const kind of ["model", "scrubbed"]) { const delta = m[kind][i] - p[kind].mean; p[kind].mean += delta / p.count; p[kind].m2 += delta * (m[kind][i] - p[kind].mean); }
    }
    const places = found.filter((p) => p.count);
    for (const p of places) for (const kind of ["model", "scrubbed"]) p[kind].se = p.count > 1 ? Math.sqrt(p[kind].m2 / (p.count - 1) / p.count) : 0;
    const every = Math.ceil(places.length / 8), most = Math.floor(52 / Math.min(8, places.length));
    plot.replaceChildren(Page.charts.means(`${m.name} by ${f.name}`, places, f.name, m.name, f.codes ? places.filter((_, k) => k % every === 0).map((p) => [p.at, Page.short(p.name, Math.max(4, most))]) : null));
  };
  root.append(Page.el("h3", {}, "A metric against a field"), Page.el("div", { class: "bar" },
    Page.choice("Field", data.fields.map((f) => f.name), (i) => { field = i; draw(); }), metrics.length > 1 ? Page.choice("Metric", metrics.map((m) => m.name), (i) => { metric = i; draw(); }) : null), Page.charts.key(), plot,
  Page.el("p", { class: "soft" }, "Means of the samples there, with two standard errors."));
  draw();
};
