// What is known of one claim, or of unimportant parts.
"use strict";
Page.views.claim = (panel, data) => {
  const facts = (rows) => Page.el("dl", {}, rows.filter(([, text]) => text !== "" && text !== null && text !== undefined)
    .flatMap(([name, text]) => [Page.el("dt", {}, name), Page.el("dd", {}, text)]));
  Page.on("claim", ({ claim, block, names }) => {
    panel.replaceChildren();
    if (block === undefined) {
      panel.append(Page.el("h3", {}, names && names.length > 1 ? `${names.length} nodes` : "No claim"), Page.el("p", { class: "datum" }, (names || []).join(", ")));
      return;
    }
    const c = claim === undefined ? null : data.claims[claim], b = data.blocks[block];
    panel.append(Page.el("h3", {}, c ? c.path : b.label));
    panel.append(facts([
      ["carries", c ? c.feature : b.feature],
      ["node", c ? c.node : b.parts.join(", ")],
      ["also said", c ? c.extras.join("; ") : ""],
      ["drawn with", b.claims.filter((i) => i !== claim).map((i) => data.claims[i].path).join(", ")],
      ["classes", b.classes === null ? "" : `${b.classes.toLocaleString("en")}, the smallest of ${b.smallest.toLocaleString("en")} ${b.smallest === 1 ? "row" : "rows"}`],
      ["alone in its class", Page.share(b.one_row)],
      ["self-draw", Page.share(b.self_draw, 2)],
      ["another row drawn", `${Page.share(b.swapped)} of samples`],
      ["activation changed", b.changed === null ? "" : `${Page.share(b.changed)} of samples`],
      ["moved", b.moved === null ? "" : `${Page.share(b.moved)} of what another random row would (squared distance)`],
      ["cost", b.cost ? b.cost.text : ""],
    ]));
    if (b.examples.length && data.stepped) {
      panel.append(Page.el("h3", {}, "Some classes"));
      for (const one of b.examples) {
        const shown = one.rows.map((r) => data.stepped.shown[r]);
        panel.append(Page.el("p", { class: "soft" }, `${one.name || "one class"}: ${one.size.toLocaleString("en")} rows`),
          Page.el("div", { class: "pair" }, shown.map((s) => Page.el("div", {}, Page.datum(s, null)))));
      }
    }
  });
  Page.tell("claim", { claim: 0, block: data.claims[0].block });
};
