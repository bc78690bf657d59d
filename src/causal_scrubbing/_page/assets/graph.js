// The hypothesis as a layered graph: claims with the nodes they are about, unimportant parts folded.
"use strict";
Page.views.graph = (root, data) => {
  const main = data.metrics[0], W = 200, H = 46;
  const worst = Math.max(1e-12, ...data.blocks.map((b) => (b.cost && b.cost.mean !== null ? Math.abs(b.cost.mean) : 0)));
  const colour = (block) => {
    const cost = block && block.cost;
    if (!cost || cost.low === null || (cost.low <= 0 && cost.high >= 0)) return "c-none";
    const level = Math.min(3, 1 + Math.floor((3 * Math.abs(cost.mean)) / worst));
    const bad = main.lower_is_better === false ? cost.mean < 0 : cost.mean > 0;
    return `c-${bad ? "b" : "g"}${level}`;
  };
  Page.colour = colour;

  // Claims that differ only by a number are one box with a strip, until it is opened.
  const unfolded = new Set();
  const claimBoxes = () => {
    const boxes = [], edges = [], box = new Map(), groups = new Map();
    data.claims.forEach((c, i) => {
      const id = c.fold ? `${c.parent}|${c.fold}` : "";
      if (id) groups.set(id, [...(groups.get(id) || []), i]);
    });
    data.claims.forEach((c, i) => {
      const id = c.fold ? `${c.parent}|${c.fold}` : "", group = groups.get(id) || [i];
      if (group.length >= 4 && !unfolded.has(id)) {
        if (group[0] === i) {
          group.forEach((j) => box.set(j, boxes.length));
          boxes.push({ what: c.feature.replace(/\d+/g, "#"), where: `${group.length} × ${c.label.replace(/\d+/g, "#")}`, strip: group, fold: id, block: c.block });
          edges.push([boxes.length - 1, c.parent]);
        }
        return;
      }
      box.set(i, boxes.length);
      boxes.push({ what: c.feature, where: c.label, claim: i, block: c.block });
      if (c.parent !== null) edges.push([boxes.length - 1, c.parent]);
    });
    const joined = edges.map(([from, parent]) => ({ from, to: box.get(parent) }));
    data.blocks.forEach((b, j) => {
      if (b.owner === null) return;
      const n = b.parts.length;
      boxes.push({ what: b.feature === "anything" ? "unimportant" : b.feature, where: n === 1 ? b.parts[0] : n ? `${n} nodes` : "other nodes", other: true, block: j });
      joined.push({ from: boxes.length - 1, to: box.get(b.owner), other: true });
    });
    return { boxes, edges: joined };
  };
  const modelBoxes = () => ({
    boxes: data.nodes.map((n) => {
      const claims = n.claims.map((i) => data.claims[i]);
      const where = n.names.length === 1 ? n.names[0] : `${n.names.length} nodes: ${n.names[0]} …`;
      return { what: claims.length ? [...new Set(claims.map((c) => c.feature))].join("; ") : n.kind === "input" ? "input" : "not claimed",
        where, other: !claims.length, claim: n.claims.length ? n.claims[0] : undefined, block: claims.length ? claims[0].block : undefined, names: n.names };
    }),
    edges: data.nodes.flatMap((n, i) => n.parents.map((p) => ({ from: p, to: i, other: !n.claims.length || !data.nodes[p].claims.length }))),
  });

  const svg = Page.el("svg", { class: "canvas", tabindex: 0, role: "group", "aria-label": "Graph of the hypothesis; arrow keys move it, plus and minus zoom" });
  const layer = Page.el("g", {});
  svg.append(layer);
  let view = { x: 0, y: 0, k: 1 }, size = { width: 1, height: 1 }, drawn = [], model = false, chosen = null;
  const place = () => layer.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.k})`);
  const fit = () => {
    const room = svg.getBoundingClientRect();
    const k = Math.min(1.3, (room.width - 24) / size.width, (room.height - 24) / size.height);
    view = { k: Math.max(k, 0.05), x: (room.width - size.width * k) / 2, y: (room.height - size.height * k) / 2 };
    const end = drawn.reduce((a, d) => (d.at.x > a.x ? d.at : a), { x: -1, y: 0 });
    // A graph too large to read is shown from its output on.
    if (k < 0.55) view = { k: 0.7, x: room.width - size.width * 0.7 - 16, y: room.height / 2 - end.y * 0.7 };
    place();
  };
  const zoom = (factor, cx, cy) => {
    const room = svg.getBoundingClientRect(), px = cx ?? room.width / 2, py = cy ?? room.height / 2;
    const k = Math.min(4, Math.max(0.05, view.k * factor)), r = k / view.k;
    view = { k, x: px - (px - view.x) * r, y: py - (py - view.y) * r };
    place();
  };
  const open = (b) => {
    if (b.fold && !b.picked) { unfolded.add(b.fold); draw(); return; }
    chosen = b.where;
    drawn.forEach((d) => d.g.classList.toggle("open", d.b === b));
    Page.tell("claim", { claim: b.claim, block: b.block, names: b.names });
  };
  function draw() {
    layer.replaceChildren();
    const { boxes, edges } = model ? modelBoxes() : claimBoxes();
    const graph = new dagre.graphlib.Graph();
    graph.setGraph({ rankdir: "LR", nodesep: 12, ranksep: 46, marginx: 8, marginy: 8, ranker: boxes.length > 120 ? "longest-path" : "network-simplex" });
    graph.setDefaultEdgeLabel(() => ({}));
    boxes.forEach((b, i) => graph.setNode(String(i), { width: W, height: b.strip ? H + 16 : H }));
    edges.forEach((e) => graph.setEdge(String(e.from), String(e.to)));
    dagre.layout(graph);
    size = graph.graph();
    for (const e of edges) {
      const points = graph.edge(String(e.from), String(e.to)).points;
      layer.append(Page.el("path", { class: e.other ? "edge other" : "edge", d: points.map((p, i) => `${i ? "L" : "M"}${p.x.toFixed(1)} ${p.y.toFixed(1)}`).join("") }));
    }
    drawn = boxes.map((b, i) => {
      const at = graph.node(String(i)), block = data.blocks[b.block], h = b.strip ? H + 16 : H;
      const said = b.other ? `${b.where}: ${b.what}` : `${b.where} carries ${b.what}`;
      const g = Page.el("g", { class: b.other ? "box other" : "box", tabindex: 0, role: "button", "data-name": b.where, transform: `translate(${at.x - W / 2} ${at.y - h / 2})`,
        on: { click: () => open(b), keydown: (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); open(b); } } } },
        Page.el("title", {}, said),
        Page.el("rect", { class: "frame", width: W, height: h, rx: 6 }),
        Page.el("rect", { class: `tint ${b.strip ? "c-none" : colour(block)}`, x: 1.5, y: 1.5, width: W - 3, height: 21, rx: 4 }),
        Page.el("text", { class: "what", x: 8, y: 17 }, Page.short(b.what, 28)),
        Page.el("text", { class: "where", x: 8, y: 38 }, Page.short(b.where, 29)));
      if (b.strip) b.strip.forEach((c, j) => g.append(Page.el("rect", { class: colour(data.blocks[data.claims[c].block]), x: 6 + (j * (W - 12)) / b.strip.length, y: 44, width: Math.max(1, (W - 12) / b.strip.length - 1), height: 12,
        on: { click: (e) => { e.stopPropagation(); Page.tell("claim", { claim: c, block: data.claims[c].block }); } } }, Page.el("title", {}, data.claims[c].label))));
      layer.append(g);
      return { g, b, at };
    });
    // No taller than the graph needs, and never taller than the style says.
    svg.style.setProperty("max-height", `${Math.max(180, Math.round(size.height * 1.3 + 48))}px`);
    fit();
  }
  const search = (text) => {
    const want = text.trim().toLowerCase();
    const hits = drawn.filter((d) => {
      const names = d.b.names || (d.b.other && d.b.block !== undefined ? data.blocks[d.b.block].parts : []);
      const hit = want && [d.b.what, d.b.where, ...names].some((t) => t.toLowerCase().includes(want));
      d.g.classList.toggle("found", Boolean(hit));
      return hit;
    });
    found.textContent = want ? `${hits.length} found` : "";
    if (hits.length) {
      const room = svg.getBoundingClientRect(), k = Math.max(view.k, 0.7);
      view = { k, x: room.width / 2 - hits[0].at.x * k, y: room.height / 2 - hits[0].at.y * k };
      place();
    }
    return hits;
  };
  const found = Page.el("span", { class: "soft", role: "status" });
  const input = Page.el("input", { type: "search", placeholder: "node or feature", on: {
    input: () => search(input.value), keydown: (e) => { if (e.key === "Enter") { const hits = search(input.value); if (hits.length) open(hits[0].b); } } } });
  const claimsButton = Page.button("Claims", () => pick(false), { "aria-pressed": "true" });
  const modelButton = Page.button("Whole model", () => pick(true), { "aria-pressed": "false" });
  const pick = (whole) => {
    model = whole;
    claimsButton.setAttribute("aria-pressed", String(!whole));
    modelButton.setAttribute("aria-pressed", String(whole));
    draw();
  };
  const panel = Page.el("div", { class: "panel", role: "region", "aria-label": "The claim chosen", tabindex: 0 });
  const legend = Page.el("p", { class: "legend" }, [["c-b3", "costs most"], ["c-b1", "costs some"], ["c-none", "not told from 0, or not known"], ["c-g2", "helps"]].map(([c, text]) =>
    Page.el("span", {}, Page.el("i", { class: c }), text)));
  root.append(
    Page.el("div", { class: "bar" }, data.nodes.length ? [claimsButton, modelButton] : [], Page.button("+", () => zoom(1.3), { "aria-label": "Zoom in" }), Page.button("−", () => zoom(1 / 1.3), { "aria-label": "Zoom out" }), Page.button("Fit", fit), Page.el("label", {}, "Search", input), found),
    Page.el("div", { class: "split" }, svg, panel), legend);
  let from = null, moved = false;
  svg.addEventListener("pointerdown", (e) => { from = [e.clientX - view.x, e.clientY - view.y, e.clientX, e.clientY]; moved = false; });
  svg.addEventListener("pointermove", (e) => {
    if (!from) return;
    if (Math.abs(e.clientX - from[2]) + Math.abs(e.clientY - from[3]) > 4 && !moved) { moved = true; svg.setPointerCapture(e.pointerId); }
    if (moved) { view.x = e.clientX - from[0]; view.y = e.clientY - from[1]; place(); }
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) svg.addEventListener(end, () => { from = null; });
  svg.addEventListener("wheel", (e) => { if (!e.ctrlKey && !svg.matches(":focus-within")) return; e.preventDefault(); const room = svg.getBoundingClientRect(); zoom(e.deltaY < 0 ? 1.12 : 1 / 1.12, e.clientX - room.left, e.clientY - room.top); }, { passive: false });
  svg.addEventListener("keydown", (e) => {
    const step = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[e.key];
    if (step) { view.x += step[0]; view.y += step[1]; place(); } else if (e.key === "+") zoom(1.3); else if (e.key === "-") zoom(1 / 1.3); else return;
    e.preventDefault();
  });
  draw();
  Page.views.claim(panel, data);
};
