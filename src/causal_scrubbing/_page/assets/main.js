// Read the data, then draw each part; one part that fails leaves the others.
"use strict";
(async () => {
  const parts = { graph: "graph", stepper: "sample", table: "inputs", field: "field", distributions: "distributions" };
  const data = await Page.read(document.getElementById("data").textContent);
  Page.data = data;
  for (const [id, view] of Object.entries(parts)) {
    const root = document.getElementById(id);
    try { Page.views[view](root, data); } catch (error) { console.error(error); root.append(`This part could not be drawn: ${error.message}`); }
  }
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
})();
