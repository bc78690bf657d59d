"""Five ways in which zero and mean ablation mislead, beside resampling.

To ablate a part is to ask whether it matters. Zero ablation puts 0 in its place and mean ablation
its mean; resampling takes its value from another row. The first two can take the network off the
values it ever sees: (1) a part whose direction does not matter seems to matter, because 0 is no
direction; (2) an output off its distribution helps on one kind of input and hurts on another; (3)
a backup that wakes when a part is missing makes the part seem needless; (4) a part that is far from
zero in all rows seems to matter, although it is nearly constant; (5) the third again, in a network
that was trained with dropout. Source: the discussion of
zero and mean ablation in the appendix of Chan et al. 2022, "Causal scrubbing"; the networks are
ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import pandas as pd
import torch
from matplotlib.figure import Figure

import causal_scrubbing as cs
from causal_scrubbing.gallery import (
    Entry,
    Exhibit,
    Options,
    Outcome,
    as_text,
    exhibit,
    figure_style,
)

ERROR = cs.metrics.squared_error("label")
KINDS = ("resampled", "mean", "zero")


@dataclass(frozen=True)
class Pitfall:
    """A network, the node that is ablated, and the hypothesis that it does not matter.

    Attributes:
        name: how the table calls it.
        node: the node that is ablated.
        data: the dataset, with the label.
        hypothesis: that the node does not matter and all else does.
    """

    name: str
    node: str
    data: cs.Dataset
    hypothesis: cs.Hypothesis


def off_the_manifold() -> Pitfall:
    """A direction h, always of length 1; what follows asks only that it is there."""
    rows = torch.tensor(list(product((-1.0, 1.0), range(8))), dtype=torch.float64)
    data = cs.Dataset(sign=rows[:, 0], step=rows[:, 1], label=rows[:, 0])
    graph = cs.Graph.build(
        inputs=["sign", "step"],
        nodes={
            "h": (
                lambda step: torch.stack(
                    [torch.cos(step * torch.pi / 4), torch.sin(step * torch.pi / 4)], dim=1
                ),
                ["step"],
            ),
            "out": (lambda sign, h: sign * (h.norm(dim=1) > 0.5), ["sign", "h"]),
        },
        output="out",
    )
    claim = cs.claim("out", cs.exact, cs.claim("sign", "sign"))
    return Pitfall("off the manifold", "h", data, cs.Hypothesis(graph, claim))


def unpredictable_sign() -> Pitfall:
    """A part that is -1 or 1, of which only the square is read.

    On inputs of kind A the model is 1/2 too low, on those of kind B 1/2 too high.
    """
    rows = torch.tensor(list(product((0.0, 1.0), (-1.0, 1.0), (0.0, 1.0))), dtype=torch.float64)
    u, m, b = rows.unbind(1)
    data = cs.Dataset(u=u, m=m, label=u + 0.5 - b, kind_a=b == 0, kind_b=b == 1)
    graph = cs.Graph.build(
        inputs=["u", "m"],
        nodes={
            "part": (lambda m: 1 * m, ["m"]),
            "out": (lambda u, part: u + (1 - part**2) / 2, ["u", "part"]),
        },
        output="out",
    )
    claim = cs.claim("out", cs.exact, cs.claim("u", "u"))
    return Pitfall("unpredictable sign", "part", data, cs.Hypothesis(graph, claim))


def hidden_backup() -> Pitfall:
    """Trained with dropout: the third module does the second's work when the second is silent."""
    rows = torch.tensor(list(product((-1.0, 1.0), repeat=2)), dtype=torch.float64)
    t, s = rows.unbind(1)
    data = cs.Dataset(t=t, s=s, label=t + s)
    graph = cs.Graph.build(
        inputs=["t", "s"],
        nodes={
            "first": (lambda t: 1 * t, ["t"]),
            "second": (lambda s: 1 * s, ["s"]),
            "third": (lambda s, second: torch.where(second == 0, s, 0.0), ["s", "second"]),
            "out": (cs.add, ["first", "second", "third"]),
        },
        output="out",
    )
    third = cs.claim("third", "s", cs.claim("s", "s"))
    claim = cs.claim("out", cs.exact, cs.claim("first", "t"), third)
    return Pitfall("hidden backup", "second", data, cs.Hypothesis(graph, claim))


def far_from_zero() -> Pitfall:
    """A part that is 3 on every row but for a small sign; what follows takes 3 away."""
    rows = torch.tensor(list(product((-1.0, 1.0), repeat=2)), dtype=torch.float64)
    u, s = rows.unbind(1)
    data = cs.Dataset(u=u, s=s, label=u)
    graph = cs.Graph.build(
        inputs=["u", "s"],
        nodes={
            "offset": (lambda s: 3 + s / 4, ["s"]),
            "out": (lambda u, offset: u + offset - 3, ["u", "offset"]),
        },
        output="out",
    )
    claim = cs.claim("out", cs.exact, cs.claim("u", "u"))
    return Pitfall("far from zero", "offset", data, cs.Hypothesis(graph, claim))


def trained_backup(seed: int = 0) -> Pitfall:
    """A network trained to give t + s while its second module is silenced half of the time.

    The third module reads s and the second module. Its output is penalised, so that it does what it
    must and no more: nothing while the second speaks, the second's work while it is silent.
    """
    rows = torch.tensor(list(product((-1.0, 1.0), repeat=2)), dtype=torch.float64)
    t, s = rows.unbind(1)
    source = torch.Generator().manual_seed(seed)
    sizes = {"second": (), "in": (2, 8), "bias": (8,), "out": (8,)}
    weights = {
        name: (0.5 * torch.randn(size, generator=source, dtype=torch.float64)).requires_grad_()
        for name, size in sizes.items()
    }

    def third(s: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        read = torch.stack([s, second], dim=1)
        return torch.tanh(read @ weights["in"] + weights["bias"]) @ weights["out"]

    optimizer = torch.optim.Adam(weights.values(), lr=0.03)
    for _ in range(400):
        loss = torch.zeros((), dtype=torch.float64)
        for kept in (0.0, 1.0):  # dropout of the whole module, both cases at every step
            second = kept * weights["second"] * s
            backup = third(s, second)
            loss = loss + ((second + backup - s) ** 2).mean() + 0.02 * (backup**2).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    weights = {name: value.detach() for name, value in weights.items()}
    graph = cs.Graph.build(
        inputs=["t", "s"],
        nodes={
            "first": (lambda t: 1 * t, ["t"]),
            "second": (lambda s: weights["second"] * s, ["s"]),
            "third": (third, ["s", "second"]),
            "out": (cs.add, ["first", "second", "third"]),
        },
        output="out",
    )
    third_claim = cs.claim("third", "s", cs.claim("s", "s"))
    claim = cs.claim("out", cs.exact, cs.claim("first", "t"), third_claim)
    data = cs.Dataset(t=t, s=s, label=t + s)
    return Pitfall("trained with dropout", "second", data, cs.Hypothesis(graph, claim))


def direct_path(pitfall: Pitfall) -> cs.Hypothesis:
    """That the second module does not matter to the output directly; the third still hears it."""
    kept = [cs.claim("first", "t"), cs.claim("third", cs.exact)]
    return cs.Hypothesis(pitfall.hypothesis.graph, cs.claim("out", cs.exact, *kept))


def run(options: Options) -> Outcome:
    """Each pitfall resampled, with the mean, and with zero in the part's place."""
    pitfalls = [
        off_the_manifold(),
        unpredictable_sign(),
        hidden_backup(),
        far_from_zero(),
        trained_backup(),
    ]
    shown = Exhibit(exact={}, sampled={})
    for one in pitfalls:
        cases = {
            f"{one.name}: resampled": one.hypothesis.with_(unimportant="together"),
            f"{one.name}: mean": one.hypothesis.with_(ablation="mean"),
        }
        if one.name == "trained with dropout":
            cases[f"{one.name}: direct path"] = direct_path(one)
        shown = shown.with_(exhibit(cases, one.data, ERROR, options))
    verdicts = compare_kinds(pitfalls, shown)
    kinds = by_kind(pitfalls[1], shown)
    sampled = "\n\n".join(f"{one.name}\n{ablate(one, options)}" for one in pitfalls)
    text = f"""
{as_text(shown.table)}

The squared error with the part ablated in three ways, and what is recovered:

{as_text(verdicts)}

- Off the manifold: h has length 1 on every row, and only that is used. Its mean is 0. Zero and mean
  say that h matters; resampling says that nothing it varies in does.
- Unpredictable sign: the part's square is 1 on every row. At 0 the output is off by 1/2, which
  happens to help on one kind of input and to hurt on the other:

{as_text(kinds)}

- Hidden backup: silence of the second module is what the third waits for. With zero or the mean in
its place the second seems needless. Another row's value is not silence, and shows that it matters.
- Far from zero: the part hardly varies, and its mean does as well as itself. Zero takes away what
the rest of the network counts on.
- Trained with dropout: nobody wrote the backup. A network that was trained with its second module
  silenced half of the time grew one, and it repairs a wrong value too. So no ablation sees what the
  second module does. Swapped where the output reads it, and not where the third does, it matters.

The same by sampling, with `cs.ablate`:

```text
{sampled}
```
"""
    return Outcome(
        results=shown.sampled,
        table=shown.table,
        text=text.lstrip(),
        figure=_draw(verdicts, kinds),
        more={"verdicts": verdicts, "by-kind": kinds},
    )


def ablate(pitfall: Pitfall, options: Options) -> cs.Ablation:
    """All three kinds of ablation of the pitfall's node, by sampling."""
    return cs.ablate(
        pitfall.hypothesis.graph,
        pitfall.node,
        pitfall.data,
        metric=ERROR,
        samples=options.samples or 4000,
        seed=options.seed,
    )


def ablated(pitfall: Pitfall, kind: str) -> torch.Tensor:
    """Exact squared error of each row with the part at its mean or at zero: [n]."""
    graph, data = pitfall.hypothesis.graph, pitfall.data
    value = graph.values(data, [pitfall.node])[pitfall.node]
    weights = torch.tensor(data.weights).reshape(-1, *[1] * (value.ndim - 1))
    mean = (weights * value).sum(0, keepdim=True).expand_as(value)
    given = {pitfall.node: mean if kind == "mean" else torch.zeros_like(value)}
    error: torch.Tensor = graph.values(data, ["out"], given=given)["out"] - data["label"]
    return error**2


def compare_kinds(pitfalls: list[Pitfall], shown: Exhibit) -> pd.DataFrame:
    """Squared error and percent recovered of each pitfall and kind of ablation."""
    rows = []
    for one in pitfalls:
        exact = shown.exact[f"{one.name}: resampled"]
        errors = {kind: float(one.data.weights @ ablated(one, kind).numpy()) for kind in KINDS[1:]}
        errors["resampled"] = exact.expectation.mean
        span = exact.model.mean - exact.randomized.mean
        for kind in KINDS:
            recovered = 100 * (errors[kind] - exact.randomized.mean) / span
            rows.append(
                {
                    "pitfall": one.name, "part": one.node, "ablated": kind,
                    "squared error": errors[kind], "recovered %": recovered,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def by_kind(pitfall: Pitfall, shown: Exhibit) -> pd.DataFrame:
    """Mean squared error on the inputs of kind A and of kind B."""
    exact = shown.exact[f"{pitfall.name}: resampled"].by_row()
    columns = {
        "model": exact["model"].to_numpy(),
        "resampled": exact["scrubbed"].to_numpy(),
        **{kind: ablated(pitfall, kind).numpy() for kind in KINDS[1:]},
    }
    rows = []
    for name in ("kind_a", "kind_b"):
        chosen = pitfall.data[name].numpy()
        means = {column: float(values[chosen].mean()) for column, values in columns.items()}
        rows.append({"inputs": f"kind {name[-1].upper()}", **means})
    return pd.DataFrame(rows)


def _draw(verdicts: pd.DataFrame, kinds: pd.DataFrame) -> Figure:
    """What each kind of ablation recovers, and the second pitfall on its two kinds of input."""
    colours = {"model": "#2b6cb0", "resampled": "#7b341e", "mean": "#a0aec0", "zero": "#4a5568"}
    with figure_style():
        figure = Figure(figsize=(10, 5.4), layout="constrained")
        left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[1.7, 1])[0]
        axes = left.add_subplot()
        names = list(dict.fromkeys(verdicts["pitfall"]))
        for i, kind in enumerate(KINDS):
            values = verdicts[verdicts["ablated"] == kind]["recovered %"].tolist()
            places = [n + 0.26 * (i - 1) for n in range(len(names))]
            axes.barh(places, [max(v, 0) for v in values], 0.24, color=colours[kind], label=kind)
            for place, value in zip(places, values, strict=True):
                axes.text(max(value, 0) + 1, place, f"{value:.0f}%", va="center")
        parts = verdicts.drop_duplicates("pitfall")["part"].tolist()
        axes.set_yticks(
            range(len(names)),
            [f"{name}:\n{part!r} ablated" for name, part in zip(names, parts, strict=True)],
        )
        axes.invert_yaxis()
        axes.set_xlim(0, 115)
        axes.set_xlabel("recovered of the squared error, %: low says that the part matters")
        axes.set_title("Does the part matter?", loc="left", fontweight="bold")
        left.legend(loc="outside lower center", ncols=3, frameon=False)
        axes = right.add_subplot()
        for i, column in enumerate(kinds.columns[1:]):
            places = [n + 0.2 * (i - 1.5) for n in range(len(kinds))]
            axes.bar(places, kinds[column], 0.18, color=colours[column], label=column)
            for place, value in zip(places, kinds[column], strict=True):
                axes.text(place, value + 0.01, f"{value:g}", ha="center", fontsize=8)
        axes.set_xticks(range(len(kinds)), kinds["inputs"])
        axes.set_ylabel("squared error")
        axes.set_title("Unpredictable sign, by input", loc="left", fontweight="bold")
        right.legend(loc="outside lower center", ncols=2, frameon=False)
        for one in figure.axes:
            for side in ("top", "right"):
                one.spines[side].set_visible(False)
    return figure


ENTRY = Entry(
    name="ablation-pitfalls",
    title="five ways in which zero and mean ablation mislead",
    summary=(
        "A part that only needs to be there, one whose absence puts an output off distribution, "
        "one with a backup, one far from zero, and a network that was trained with dropout, each "
        "ablated by zero, by mean and by resampling."
    ),
    run=run,
    page="gallery/ablation-pitfalls.md",
)
