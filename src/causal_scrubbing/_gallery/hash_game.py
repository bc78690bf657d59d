"""A false hypothesis that recovers more than everything: a model that guesses a hash's last bit.

The false claim credits the model with the right answer where answering would have paid off and it
abstained, and with its own guess where guessing pays on average. Source: the example against
reading "% recovered" alone in the appendix of Chan et al. 2022.
"""

from __future__ import annotations

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

MODES = ("EASY", "HARD")
EASY, HARD = 0, 1
DONT_KNOW = 2
REWARDS = torch.tensor([[2.0, 1.0, 0.0], [10.0, -20.0, 0.0]], dtype=torch.float64)
"""Reward by mode and by outcome: right, wrong, "don't know"."""

FALSE = "false: guess on EASY, right bit on HARD"
PLAIN = "false: the right bit everywhere"
REFINED = "the first, with mode added"
TRUE = "true: the guess and the mode"


def make_data() -> cs.Dataset:
    """Four numbers, one for each (last bit of the hash, model's guess), in both modes."""
    rows = torch.tensor([(b, g, m) for m in (EASY, HARD) for b, g in product((0, 1), repeat=2)])
    return cs.Dataset(bit=rows[:, 0], guess=rows[:, 1], mode=rows[:, 2])


def make_graph() -> cs.Graph:
    """The model answers its guess on EASY and abstains on HARD."""
    return cs.Graph.build(
        inputs=["guess", "mode"],
        nodes={
            "answer": (
                lambda guess, mode: torch.where(mode == EASY, guess, DONT_KNOW),
                ["guess", "mode"],
            )
        },
        output="answer",
    )


def reward(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    """What the answer earns on a row."""
    outcome = torch.where(output == DONT_KNOW, 2, (output != rows["bit"]).long())
    return REWARDS[rows["mode"], outcome]


def agrees(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    """Whether the answer is the model's own."""
    return (output == rows.model_output).double()


def false_feature(rows: cs.Dataset) -> torch.Tensor:
    """The model's guess on EASY, the right bit on HARD."""
    return torch.where(rows["mode"] == EASY, rows["guess"], rows["bit"])


def make_cases(graph: cs.Graph) -> dict[str, cs.Hypothesis]:
    """The false claim that wins, the plainer one that does not, and what an added feature does."""
    features: dict[str, cs.Feature] = {
        FALSE: false_feature,
        PLAIN: "bit",
        REFINED: (false_feature, "mode"),
        TRUE: ("guess", "mode"),
    }
    return {
        case: cs.Hypothesis(graph, cs.claim("answer", feature), name=case)
        for case, feature in features.items()
    }


def run(options: Options) -> Outcome:
    """Exact and sampled rewards, and what gives the false claim away."""
    data = make_data()
    metrics = {"reward": reward, "agrees with the model": agrees}
    shown = exhibit(make_cases(make_graph()), data, metrics, options)
    parts = by_mode(shown, data)
    text = f"""
{as_text(shown.table)}

Expected reward in each mode, exact:

{as_text(parts)}

The first claim recovers more than 100% and is false. It wins because
r(HARD, right) - r(HARD, don't know) = 10 exceeds
(r(EASY, right) + r(EASY, wrong)) / 2 - r(EASY, don't know) = 3/2: swapping an abstention on HARD
for a right guess made on EASY earns more than the reverse swap costs.

What catches it:

- the percentage itself: above 100% the swaps help, and a true claim's swaps change nothing;
- agreement with the model's own answers, 1/2;
- the two modes, of which one gets worse and the other better;
- the feature `mode`, added: a true claim survives a refinement unchanged, this one falls to 100%.

What does not, the law of the outputs, which a leaf at the root cannot change:

```text
{shown.sampled[FALSE].compare_distributions().output}
```
"""
    return Outcome(
        results=shown.sampled, table=shown.table, text=text.lstrip(), figure=_draw(shown, parts),
        more={"by-mode": parts},
    )  # fmt: skip


def by_mode(shown: Exhibit, data: cs.Dataset) -> pd.DataFrame:
    """Exact expected reward of the model and under the swaps, on EASY and on HARD."""
    rows = []
    for case, exact in shown.exact.items():
        means = exact.by_row("reward").groupby(data["mode"].numpy())[["model", "scrubbed"]].mean()
        for mode, name in enumerate(MODES):
            model, scrubbed = map(float, means.to_numpy()[mode])
            rows.append(
                {
                    "case": case, "mode": name, "model": model, "scrubbed": scrubbed,
                    "change": scrubbed - model,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _draw(shown: Exhibit, parts: pd.DataFrame) -> Figure:
    """The numbers, and at their right the change in each mode."""
    with figure_style():
        figure = Figure(figsize=(10, shown.height + 0.3), layout="constrained")
        left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[2.1, 1])[0]
        shown.draw(left, title="Expected reward: a false claim wins", behaviour="reward")
        axes = right.add_subplot()
        changes = parts.pivot(index="case", columns="mode", values="change").loc[list(shown.exact)]
        place = range(len(changes))
        for offset, (name, colour) in {
            -0.17: ("EASY", "#2c7a7b"),
            0.17: ("HARD", "#c05621"),
        }.items():
            axes.barh([i + offset for i in place], changes[name], 0.3, color=colour, label=name)
        axes.axvline(0, color="#4a5568", linewidth=0.8)
        axes.set_yticks([])
        axes.set_ylim(len(changes) - 0.5, -0.6)
        axes.set_xlabel("scrubbed - model, by mode")
        axes.set_title("The mean hides two changes", loc="left", pad=22, fontweight="bold")
        right.legend(loc="outside lower center", ncols=2, frameon=False)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
    return figure


ENTRY = Entry(
    name="hash-game",
    title="a false hypothesis that recovers 231%, and what catches it",
    summary=(
        "Rewards right / wrong / don't know are 2 / 1 / 0 on EASY and 10 / -20 / 0 on HARD. The "
        "model guesses a hash's last bit on EASY and abstains on HARD. The false claim: it "
        "outputs its guess on EASY and the right bit on HARD."
    ),
    run=run,
    page="gallery/hash-game.md",
)
