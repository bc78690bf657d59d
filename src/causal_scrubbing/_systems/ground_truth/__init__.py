"""Thirty-two circuits whose working is known, and what each method says of claims about them.

Eight small programs are compiled in four ways. A hypothesis is *true* here if no swap that it
permits changes any output, which is known exactly. Every method has one rule by which it rejects.
In the spirit of Tracr (Lindner et al. 2023) and InterpBench (Gupta et al. 2024): circuits made so
that the answer is known; the programs and the compiler are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from causal_scrubbing.gallery import Entry, Options, Outcome, as_text, figure_style

from ._cases import Case as Case
from ._cases import make_cases as make_cases
from ._methods import RULES as RULES
from ._methods import Methods
from ._methods import discovers as discovers
from ._programs import FAMILIES as FAMILIES
from ._programs import PROGRAMS, Circuit
from ._programs import compile_program as compile_program

SAMPLES = 200
SEARCHED = ("the program", "its variables", "a variable left out", "another variable's feature")
"""Kinds of hypotheses that the methods which search are run on; the others are for all."""


def circuits() -> list[Circuit]:
    """Every program in every family."""
    return [compile_program(text, family) for family in FAMILIES for text in PROGRAMS]


def judge(case: Case, samples: int, seed: int) -> list[dict[str, object]]:
    """One row a method that was run on the case: whether it rejects."""
    methods = Methods(case.circuit, samples, seed)
    said = methods.rejects(case)
    if case.kind in SEARCHED:
        said |= methods.searched(case)
    family = case.circuit.name.rsplit("(", 1)[1].rstrip(")")
    about = {"circuit": case.circuit.name, "family": family, "hypothesis": case.kind}
    return [
        {**about, "true": case.true, "method": method, "rejects": rejects}
        for method, rejects in said.items()
    ]


def rates(verdicts: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """How often each method rejects what is false and what is true, with 95% intervals.

    The intervals are Clopper and Pearson's, for a share of independent cases.

    Args:
        verdicts: one row a case and method.
        by: further columns to tell apart.
    """
    from scipy.stats import binomtest

    rows = []
    for keys, part in verdicts.groupby(["method", *by], sort=False):
        row: dict[str, object] = dict(zip(["method", *by], keys, strict=True))
        for name, chosen in (("false", part[~part["true"]]), ("true", part[part["true"]])):
            count, rejected = len(chosen), int(chosen["rejects"].sum())
            row[f"{name} claims"] = count
            row[f"rejects {name} %"] = 100 * rejected / count if count else float("nan")
            if count:
                found = binomtest(rejected, count).proportion_ci()
                row[f"{name}, 95%"] = f"{100 * found.low:.0f} to {100 * found.high:.0f}"
            else:
                row[f"{name}, 95%"] = "none"
        rows.append(row)
    order = {name: place for place, name in enumerate(RULES)}
    return pd.DataFrame(rows).sort_values("method", key=lambda c: c.map(order), kind="stable")


def run(options: Options) -> Outcome:
    """All methods on all circuits."""
    samples, made = options.samples or SAMPLES, circuits()
    records: list[dict[str, object]] = []
    grown = []
    for number, circuit in enumerate(made, 1):
        options.progress(f"{number}/{len(made)}: {circuit.name}")
        for case in make_cases(circuit):
            records += judge(case, samples, options.seed)
        grown.append(discovers(circuit, samples, options.seed))
    verdicts = pd.DataFrame(records)
    table, families = rates(verdicts), rates(verdicts, ["family"])
    kinds = rates(verdicts, ["hypothesis"])
    rules = "\n".join(f"- **{name}**: {rule}." for name, rule in RULES.items())
    text = f"""
{as_text(table)}

{len(made)} circuits. A method rejects a hypothesis if:

{rules}

`cs.discover`, given every variable and bit as features, ends with the program's own parts on
{sum(grown)} of {len(grown)} circuits.

By the way circuits are compiled:

{as_text(families)}
"""
    return Outcome(
        results={},
        table=table,
        text=text.lstrip(),
        figure=_draw(table, families),
        more={"by-family": families, "by-hypothesis": kinds, "verdicts": verdicts},
    )


def _draw(table: pd.DataFrame, families: pd.DataFrame) -> Figure:
    with figure_style():
        figure = Figure(figsize=(11, 4.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1.1, 1])
        places = range(len(table))
        for shift, name, colour in ((-0.19, "false", "#2c7a7b"), (0.19, "true", "#c05621")):
            at = [place + shift for place in places]
            shares = table[f"rejects {name} %"]
            left.barh(at, shares, 0.36, color=colour, label=f"{name} claims rejected")
            for place, share, span in zip(at, shares, table[f"{name}, 95%"], strict=True):
                left.text(share + 1, place, f"{share:.0f}% ({span})", va="center", fontsize=8)
        left.set_yticks(places, table["method"])
        left.invert_yaxis()
        left.set_xlim(0, 140)
        left.set_xlabel("% rejected, with 95% intervals; the best is 100 and 0")
        left.set_title("Which method rejects what", loc="left", fontweight="bold")
        left.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
        _draw_families(right, families)
        for side in ("top", "right"):
            left.spines[side].set_visible(False)
    return figure


def _draw_families(axes: Axes, families: pd.DataFrame) -> None:
    """Errors of each method in each family: true claims rejected and false ones accepted."""
    wrong = pd.DataFrame(
        {
            "method": families["method"],
            "family": families["family"],
            "errors": families["rejects true %"] + 100 - families["rejects false %"],
        }
    ).pivot(index="method", columns="family", values="errors")
    wrong = wrong.loc[list(RULES), list(FAMILIES)]
    axes.imshow(wrong, cmap="Reds", vmin=0, vmax=150, aspect="auto")
    for row, values in enumerate(wrong.to_numpy(dtype=float).tolist()):
        for column, value in enumerate(values):
            axes.text(column, row, f"{value:.0f}", ha="center", va="center")
    axes.set_xticks(range(wrong.shape[1]), list(wrong.columns))
    axes.set_yticks([])
    axes.set_title("Errors: % true rejected + % false accepted", loc="left", fontweight="bold")


ENTRY = Entry(
    name="ground-truth",
    title="32 circuits whose working is known: which method rejects which false claim",
    summary=(
        "Programs compiled into circuits, with true hypotheses, coarser and finer ones, and "
        "programs with one mistake: scrubbing, refute, controls, discover, ablation by zero and by "
        "mean, and path patching on the same cases."
    ),
    run=run,
    page="gallery/ground-truth.md",
)
