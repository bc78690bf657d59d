// The behaviour as a distribution, sample by sample, and how gains and losses cancel.
"use strict";
Page.views.distributions = (root, data) => {
  const metrics = data.metrics.filter((m) => m.model);
  if (!metrics.length) return;
  const plots = Page.el("div", { class: "plots" });
  const draw = (m) => {
    const N = m.model.length, change = new Float32Array(N);
    let up = 0, downward = 0;
    for (let i = 0; i < N; i++) { change[i] = m.scrubbed[i] - m.model[i]; if (change[i] > 0) up += change[i]; else downward += change[i]; }
    const net = up + downward, total = up - downward, upIsWorse = m.lower_is_better !== false;
    plots.replaceChildren(
      Page.el("figure", {}, Page.charts.histogram(`distribution of ${m.name}`, [{ name: "model", values: m.model }, { name: "scrubbed", values: m.scrubbed }], m.name), Page.el("figcaption", {}, "Both as distributions.")),
      Page.el("figure", {}, Page.charts.points(`${m.name}, scrubbed against model`, m.model, m.scrubbed, `${m.name}, model`, "scrubbed"), Page.el("figcaption", {}, "Sample by sample; off the line, the behaviour moved even where the mean did not. Area: how many samples.")),
      Page.el("figure", {}, Page.charts.histogram(`change of ${m.name}`, [{ name: "change", values: change, signed: { upIsWorse } }], `change of ${m.name}`),
        Page.el("figcaption", {}, total ? `Rises add ${Page.number(up / N, 3)} to the mean and falls take ${Page.number(-downward / N, 3)}: ${Page.share(1 - Math.abs(net) / total)} of the change cancels.` : "Nothing changed in any sample.")));
  };
  root.append(metrics.length > 1 ? Page.el("div", { class: "bar" }, Page.choice("Metric", metrics.map((m) => m.name), (i) => draw(metrics[i]))) : "", Page.charts.key(), plots);
  draw(metrics[0]);
};
