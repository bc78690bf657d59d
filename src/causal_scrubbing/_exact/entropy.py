"""How much information a hypothesis says is thrown away, claim by claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causal_scrubbing._algebra import Free, as_hypothesis
from causal_scrubbing._data import Classes, Dataset, joint_classes
from causal_scrubbing._display import Tabular
from causal_scrubbing._exact.budget import BUDGET
from causal_scrubbing._exact.joint import Joint, bits, enters_itself, leaf_draws
from causal_scrubbing._hypothesis import REFERENCE, Block, Hypothesis

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class EntropyTerm:
    """One draw's share of the entropy, in bits.

    Attributes:
        draw: key of the draw.
        claims: paths of the claims it is the datum of; empty for unimportant parents.
        inputs: entropy of what its claims are computed from: the features of the draws below; the
            row itself for leaves and unimportant parents.
        output: entropy of the feature it must agree on; 0 for the root.
        lost: inputs - output, the information said to be thrown away there.
        program: whether the feature is a function on D of the inputs.
        excess: I(feature; rest of the cut | inputs), 0 for a program: opening the draws in tree
            order, by how much the entropy grows beyond `lost`; 0 without self-draws.
    """

    draw: str
    claims: tuple[str, ...]
    inputs: float
    output: float
    lost: float
    program: bool
    excess: float


@dataclass(frozen=True)
class Entropy(Tabular):
    """The entropy of what scrubbing draws, in bits, and where it comes from.

    Attributes:
        terms: one a draw, the root first.
        formula: sum of `lost`: the entropy of the inputs' joint distribution if every inner claim
            but the root is a program.
        excess: what claims that are not programs add; without self-draws, the rest of `total`,
            negative where drawing other rows alone takes something away.
        total: formula + excess, the entropy of the joint distribution of the data of leaves and
            unimportant draws.
        all_data: entropy of all data drawn, inner ones included: H(x_root) + the sum over blocks
            of H(D) - H(feature), or of the entropy of another row of the class.
        row: H(D), the entropy of one row.
    """

    terms: tuple[EntropyTerm, ...]
    formula: float
    excess: float
    total: float
    all_data: float
    row: float

    @property
    def no_programs(self) -> tuple[str, ...]:
        """Claims whose feature is not a function of the features below, by path."""
        return tuple(path for term in self.terms if not term.program for path in term.claims)

    def to_frame(self) -> pd.DataFrame:
        """The terms as a table, one row a draw."""
        import pandas as pd

        return pd.DataFrame([asdict(term) for term in self.terms])

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return asdict(self)

    def __repr__(self) -> str:
        return f"Entropy({self.total:.6g} bits, {len(self.terms)} draws; print it to see them)"

    def __str__(self) -> str:
        frame = self.to_frame().drop(columns="claims")
        table = frame.to_string(index=False, float_format="{:.4g}".format)
        lines = [
            table,
            f"total {self.total:.6g} bits: {self.formula:.6g} by the formula"
            + (f" and {self.excess:.6g} in excess" if abs(self.excess) > 1e-9 else "")
            + f"; one row of D has {self.row:.6g}",
        ]
        lines += [
            f"note: {path} is no program: its feature is not a function of the features of the "
            "claims it is said to be computed from, so the formula does not hold there."
            for path in self.no_programs
        ]
        return "\n".join(lines)


def entropy(hypothesis: Hypothesis | Free, data: Dataset, *, budget: int = BUDGET) -> Entropy:
    """How much information a hypothesis says is thrown away, in bits, draw by draw.

    The joint distribution of the data that enter a scrubbed run (of leaf claims and unimportant
    parents) has entropy H(inputs of the root) + the sum over the other draws of (H of inputs - H of
    output), where every inner claim but the root is a *program*: its feature is a function on D of
    the features it is computed from (Theorem 2 and Fun Fact 3 of the appendix of Chan et al. 2022).
    Elsewhere each claim that is no program adds I(feature; rest of the cut | inputs), where the
    rest is what has been opened before it in tree order, and that is reported beside.

    Args:
        hypothesis: the hypothesis, or `free(graph)`.
        data: D.
        budget: the most combinations in one table.

    Raises:
        HypothesisError: a feature cannot be used on this data, or what is given is no hypothesis.
        ExactError: a claim is no program and its excess does not fit the budget.
    """
    hypothesis = as_hypothesis(hypothesis, "entropy")
    tree = hypothesis.tree
    classes = hypothesis.classes(data)
    weights = data.weights
    whole = bits(weights)
    heights = {key: bits(one.mass) for key, one in classes.items()}
    root = tree.claims[0].draw
    below: dict[str, list[Block]] = {block.key: [] for block in tree.blocks}
    for block in tree.blocks:
        if block.key != root:
            below[root if block.of == REFERENCE else block.of].append(block)
    terms: list[EntropyTerm] = []
    frontier = [root]
    for block in tree.blocks:
        inputs = _inputs(hypothesis, data, block, below[block.key], classes)
        height = bits(inputs.mass)
        output = 0.0 if block.key == root else heights[block.key]
        program = block.key == root or inputs.refines(classes[block.key])
        opened = [key for key in frontier if key != block.key or _has_row(hypothesis, block)]
        opened += [one.key for one in below[block.key]]
        excess = 0.0
        if not program and hypothesis.self_draws:
            before = Joint(hypothesis, data, tuple(frontier), budget).entropy
            after = Joint(hypothesis, data, tuple(opened), budget).entropy
            # Entropies of rows; what rows have beyond their features is taken off again.
            beyond = sum(whole - heights[one.key] for one in below[block.key])
            excess = max(0.0, (after - beyond) - (before - whole) - height)
        frontier = opened
        paths = tuple(tree.claims[i].path for i in block.claims)
        terms.append(
            EntropyTerm(block.key, paths, height, output, height - output, program, excess)
        )
    formula = sum(term.lost for term in terms)
    excess = sum(term.excess for term in terms)
    drawn = [b.key for b in tree.blocks if b.key != root]
    if hypothesis.self_draws:
        beyond_all = sum(whole - heights[key] for key in drawn)
    else:
        # Given the row it must agree with, a datum is any of the other rows of the class.
        beyond_all = sum(_others(classes[key]) for key in drawn)
        excess = joint(hypothesis, data, budget=budget).entropy - formula
    return Entropy(
        terms=tuple(terms),
        formula=formula,
        excess=excess,
        total=formula + excess,
        all_data=whole + beyond_all,
        row=whole,
    )


def _others(classes: Classes) -> float:
    """Entropy of another row of a row's class, in bits; rows of a class weigh the same."""
    return float((classes.mass * np.log2(np.maximum(classes.sizes - 1, 1))).sum())


def _has_row(hypothesis: Hypothesis, block: Block) -> bool:
    """Whether the row itself enters: for unimportant parents or a leaf."""
    leaf = any(enters_itself(hypothesis, hypothesis.tree.claims[i]) for i in block.claims)
    return block.is_unimportant or leaf


def _inputs(
    hypothesis: Hypothesis,
    data: Dataset,
    block: Block,
    below: list[Block],
    classes: Mapping[str, Classes],
) -> Classes:
    weights = None if data.is_uniform else data.weights
    parts = [classes[one.key] for one in below]
    if _has_row(hypothesis, block):
        parts = [Classes(data.classes(()).order, len(data), weights)]
    return joint_classes(parts, len(data), weights)


def joint(hypothesis: Hypothesis, data: Dataset, *, budget: int = BUDGET) -> Joint:
    """The joint distribution of the data of leaf claims and unimportant parents."""
    return Joint(hypothesis, data, leaf_draws(hypothesis), budget)
