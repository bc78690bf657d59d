// One sample, step by step: the datum each node saw, and what came out.
"use strict";
Page.views.sample = (root, data) => {
  const s = data.stepped;
  if (!s) return;
  const main = data.metrics[0], count = s.samples.length, width = s.rows.width;
  const place = new Map([...s.samples].map((k, i) => [k, i]));
  const badness = (k) => {
    if (!main.model) return 0;
    const change = main.scrubbed[k] - main.model[k];
    return main.lower_is_better === null ? Math.abs(change) : main.lower_is_better ? change : -change;
  };
  const ranked = [...s.samples.keys()].sort((a, b) => badness(s.samples[b]) - badness(s.samples[a]));
  let at = 0, rank = 0;
  const heading = Page.el("p", { role: "status" }), values = Page.el("div", { class: "values" }), steps = Page.el("ol", { class: "steps" });
  const show = (i) => {
    at = (i + count) % count;
    const k = s.samples[at], row = (b) => s.rows[at * width + b + 1];
    heading.textContent = `Sample ${k} (${at + 1} of ${count} on this page), reference row ${s.names[s.rows[at * width]]}`;
    values.replaceChildren(...data.metrics.filter((m) => m.model).map((m) => Page.el("span", {}, `${m.name}: model `, Page.el("b", {}, Page.number(m.model[k])), ", scrubbed ", Page.el("b", {}, Page.number(m.scrubbed[k])))));
    if (s.outputs.length) values.append(Page.el("span", {}, "output of the model: ", Page.el("b", {}, s.outputs[at][0])), Page.el("span", {}, "scrubbed: ", Page.el("b", {}, s.outputs[at][1])));
    const first = s.rows[at * width];
    steps.replaceChildren(Page.el("li", { class: "step" }, Page.el("p", {}, Page.el("b", {}, "reference row"), ` ${s.names[first]}`), Page.datum(s.shown[first], null)));
    data.blocks.forEach((b, j) => {
      const here = row(j), there = b.of === null ? first : row(b.of), same = here === there;
      const who = b.claims.length ? b.claims.map((c) => data.claims[c].path).join(", ") : `${b.label} (unimportant)`;
      const value = s.classes[s.values[here * data.blocks.length + j]];
      const above = b.of === null ? "the reference row" : data.blocks[b.of].label;
      steps.append(Page.el("li", { class: `step ${same ? "same-row" : "other-row"}`, "data-block": j },
        Page.el("p", {}, Page.el("b", {}, who), ` on row ${s.names[here]}`, same ? (b.of === null ? ", the reference row itself" : `, the row of ${above} itself`) : ""),
        Page.el("p", { class: "soft" }, value ? `agrees with ${above} on ${value}` : b.feature === "anything" ? `need not agree with ${above}` : `agrees with ${above} on ${b.feature}`),
        same ? null : Page.el("div", { class: "pair" }, Page.el("div", {}, Page.datum(s.shown[here], s.shown[there])),
          s.shown[there].image ? Page.el("div", {}, Page.el("p", { class: "soft" }, `in place of row ${s.names[there]}`), Page.datum(s.shown[there], null)) : null)));
    });
  };
  const to = (order) => { rank = (order + count) % count; show(ranked[rank]); };
  root.append(Page.el("div", { class: "bar" },
    Page.button("Previous", () => show(at - 1)), Page.button("Next", () => show(at + 1)),
    Page.button("Worst", () => to(0)), Page.button("Next worst", () => to(rank + 1)), Page.button("Best", () => to(count - 1)),
    Page.button("Random", () => show(Math.floor(Math.random() * count)))), heading, values,
  Page.el("p", { class: "soft" }, "Marked: words that stand at the same place in the datum above it. Amber edge: another row; blue edge: the same row."), steps);
  Page.on("sample", (k) => { if (place.has(k)) { show(place.get(k)); document.getElementById("sample").scrollIntoView(); } });
  Page.on("claim", ({ block }) => steps.querySelectorAll(".step").forEach((one) => one.classList.toggle("open", Number(one.dataset.block) === block)));
  to(0);
};
