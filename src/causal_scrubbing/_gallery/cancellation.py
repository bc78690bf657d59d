"""Errors that cancel: a false hypothesis whose swaps help on as many inputs as they hurt.

The graph's truth is known: `first` computes a, `second` computes b, and they are added. The label
is a + c, so that the model is wrong where b and c differ. The false claim says `second` carries c.
Under it b is another row's, and the model becomes right where it was wrong and wrong where it was
right, in equal measure. Source: false positives by "cancellation" on graphs with known ground truth
in "Practical pitfalls of causal scrubbing" (Scheurer et al., 2023); the graph is ours.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

import causal_scrubbing as cs
from causal_scrubbing.gallery import (
    Entry,
    Exhibit,
    Options,
    Outcome,
    add_legend,
    as_text,
    exhibit,
    figure_style,
)

TRUE = "true: second carries b"
FALSE = "false: second carries c"
NONE = "false: second does not matter"
ERROR, OWN = "squared error", "against the model"


def make_data() -> cs.Dataset:
    """The eight rows of three bits, and the label a + c."""
    rows = torch.tensor(list(product((0.0, 1.0), repeat=3)), dtype=torch.float64)
    a, b, c = rows.unbind(1)
    return cs.Dataset(
        a=a,
        b=b,
        c=c,
        label=a + c,
        right=b == c,
        show=lambda row: f"a={row['a']:.0f} b={row['b']:.0f} c={row['c']:.0f}",
    )


def make_graph() -> cs.Graph:
    """The model: a + b, where it should be a + c."""
    return cs.Graph.build(
        inputs=["a", "b"],
        nodes={
            "first": (lambda a: 1 * a, ["a"]),
            "second": (lambda b: 1 * b, ["b"]),
            "sum": (cs.add, ["first", "second"]),
        },
        output="sum",
    )


def make_cases(graph: cs.Graph) -> dict[str, cs.Hypothesis]:
    """What `second` is said to carry: b, c, or nothing that matters."""
    first = cs.claim("first", "a")
    about_second: dict[str, list[cs.Claim]] = {
        TRUE: [cs.claim("second", "b")],
        FALSE: [cs.claim("second", "c")],
        NONE: [],
    }
    return {
        case: cs.Hypothesis(graph, cs.claim("sum", cs.exact, first, *claims), name=case)
        for case, claims in about_second.items()
    }


def run(options: Options) -> Outcome:
    """Exact and sampled numbers, and what each line of the report says of the false claim."""
    data = make_data()
    metrics = {
        ERROR: cs.metrics.squared_error("label"),
        OWN: cs.metrics.to_model("squared_error"),
    }
    shown = exhibit(make_cases(make_graph()), data, metrics, options)
    false = shown.sampled[FALSE]
    rows = by_row(shown.exact[FALSE], data)
    where_right = false.on("right").gap
    where_wrong = false.on(lambda rows: ~rows["right"]).gap
    text = f"""
{as_text(shown.table)}

The false claim recovers 100% of the squared error, as the true one does. Line by line, its report:

- gap: {shown.exact[FALSE].gap.mean:g} exactly, sampled {false.gap}. Nothing to see.
- on the rows where the model is right: gap {where_right}; where it is wrong: {where_wrong}.
  Splitting by the model's own error (`result.on("right")`) undoes the cancellation.
- the law of the squared error: 0 or 1 at even odds, before and after. Nothing to see.
- the functions compared, sample by sample, say it all:

```text
{false.compare_functions(worst=0)}
```

- against the model's own output it recovers {shown.exact[FALSE][OWN].recovered}, the true one 100%.

Input by input, exactly:

{as_text(rows)}
"""
    return Outcome(
        results=shown.sampled,
        table=shown.table,
        text=text.lstrip(),
        figure=_draw(shown, rows),
        more={"by-row": rows},
    )


def by_row(exact: cs.ExactResult, data: cs.Dataset) -> pd.DataFrame:
    """Squared error of the model and expected under the swaps, for each reference row."""
    table = exact.by_row(ERROR)[["model", "scrubbed"]].reset_index(drop=True)
    table.insert(0, "row", [data.show(row) for row in range(len(data))])
    table["change"] = table["scrubbed"] - table["model"]
    return table


def _draw(shown: Exhibit, rows: pd.DataFrame) -> Figure:
    """Two measures of every case, and the change on each row."""
    with figure_style():
        figure = Figure(figsize=(9.5, 6), layout="constrained")
        top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=[1, 1.05])[:, 0]
        handles = {}
        titles = {ERROR: "Squared error to the label", OWN: "... and to the model's own output"}
        parts = top.subfigures(1, 2, squeeze=False, width_ratios=[1.5, 1])[0]
        for part, (metric, title) in zip(parts, titles.items(), strict=True):
            handles = shown.draw(
                part, title=title, metric=metric, legend=False, names=part is parts[0]
            )
        add_legend(top, handles)
        axes = bottom.add_subplot()
        place = np.arange(len(rows))
        colours = np.where(rows["change"] > 0, "#c05621", "#2c7a7b")
        axes.bar(place, rows["change"], color=colours, width=0.6)
        axes.axhline(0, color="#4a5568", linewidth=0.8)
        axes.set_xticks(place, rows["row"].str.replace(" ", "\n"))
        axes.set_ylabel("change of squared error")
        axes.set_title(
            "The false claim, input by input: worse where the model was right, better where it was "
            "wrong",
            loc="left", fontweight="bold",
        )  # fmt: skip
        for side in ("top", "right", "bottom"):
            axes.spines[side].set_visible(False)
    return figure


ENTRY = Entry(
    name="cancellation",
    title="errors that cancel in the mean, and which lines of the report see them",
    summary=(
        "A model computes a + b where the label is a + c. The false claim that its second summand "
        "carries c helps on half of the inputs as much as it hurts on the others: 100%."
    ),
    run=run,
    page="gallery/cancellation.md",
)
