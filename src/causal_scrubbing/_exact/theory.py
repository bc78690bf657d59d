"""Statements of the theory as functions: each says what it claims, when, and checks it on a case.

The statements are those of the appendix of "Causal scrubbing: a method for rigorously testing
interpretability hypotheses" (Chan et al. 2022), in the form in which they hold in general.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causal_scrubbing._data import Dataset
from causal_scrubbing._exact.budget import BUDGET
from causal_scrubbing._exact.distribution import number, weigh
from causal_scrubbing._exact.entropy import entropy, joint
from causal_scrubbing._exact.joint import Joint
from causal_scrubbing._format import short
from causal_scrubbing._hypothesis import REFERENCE, Hypothesis

TOLERANCE = 1e-9


@dataclass(frozen=True)
class Statement:
    """A statement of the theory, checked on one hypothesis and dataset.

    Attributes:
        name: which statement.
        applies: whether its condition is met here.
        worst: how far the two sides are apart.
        value: the entropy it predicts, in bits; None where it predicts none.
        why_not: where it does not apply, the reason.
    """

    name: str
    applies: bool
    worst: float
    value: float | None = None
    why_not: str = ""

    @property
    def holds(self) -> bool:
        """Whether the two sides are equal here, within rounding."""
        return self.worst <= TOLERANCE

    def __str__(self) -> str:
        condition = "" if self.applies else f" (its condition is not met: {self.why_not})"
        verdict = "holds" if self.holds else "fails"
        return f"{self.name}: {verdict}, by {short(self.worst, 2)}{condition}"


def lemma_1(hypothesis: Hypothesis, data: Dataset, *, budget: int = BUDGET) -> Statement:
    """Every datum has distribution D, and parents' features are jointly those of one row.

    Statement: under scrubbing, the datum of every draw has the distribution of a row of D; and at
    every claim the features of its parents' data have the joint distribution that the features of
    one row of D have. Condition: none, it holds always.

    Returns:
        The statement, `worst` the largest difference between two probabilities, over all draws
        and claims, read off the joint distribution of each claim's datum and its parents' data.

    Raises:
        ExactError: such a joint distribution does not fit the budget.
    """
    classes = hypothesis.classes(data)
    weights = data.weights
    root = hypothesis.tree.claims[0].draw
    below: dict[str, list[str]] = {root: []}
    for block in hypothesis.tree.blocks:
        if block.key != root:
            parent = root if block.of == REFERENCE else block.of
            below.setdefault(parent, []).append(block.key)
    worst = 0.0
    for parent, keys in below.items():
        dist = Joint(hypothesis, data, (parent, *keys), budget)
        table = dist.table()
        prob = table["probability"].to_numpy()
        rows = {draw: table[name].to_numpy() for draw, name in dist.variables.items()}
        for drawn in rows.values():
            worst = max(worst, float(np.abs(weigh(drawn, prob, len(data)) - weights).max()))
        if keys:
            # Features of what was drawn, then those of one row, numbered together.
            both = number([np.concatenate([classes[k].ids[rows[k]], classes[k].ids]) for k in keys])
            size = int(both.max()) + 1
            got, want = (
                weigh(both[: len(prob)], prob, size),
                weigh(both[len(prob) :], weights, size),
            )
            worst = max(worst, float(np.abs(got - want).max()))
    return Statement("Lemma 1", True, worst)


def theorem_2(hypothesis: Hypothesis, data: Dataset, *, budget: int = BUDGET) -> Statement:
    """Of all distributions that respect the hypothesis, scrubbing's has the largest entropy.

    Statement: among the distributions of *all* data drawn, inner ones included, in which every
    datum has distribution D and every child's datum agrees with its parent's in the child's
    feature, scrubbing's is the one of largest entropy, which is H(x_root) + the sum over blocks B
    of (H(D) - H(feature of B)). Draws share a datum where the hypothesis says so. Condition: none,
    it holds always.

    Returns:
        The statement, `value` the entropy by the formula and `worst` its distance to the entropy of
        the joint distribution itself. (That no other distribution has more is proved on paper by
        the chain rule, and checked against a convex solver in the tests.)

    Raises:
        ExactError: the joint distribution does not fit the budget.
    """
    keys = tuple(block.key for block in hypothesis.tree.blocks)
    value = entropy(hypothesis, data, budget=budget).all_data
    found = Joint(hypothesis, data, keys, budget).entropy
    return Statement("Theorem 2", True, abs(value - found), value)


def theorem_2_on_leaves(
    hypothesis: Hypothesis, data: Dataset, *, budget: int = BUDGET
) -> Statement:
    """What enters a scrubbed run has the largest entropy that Lemma 1 leaves it.

    Statement: the joint distribution of the data of leaf claims and unimportant parents has the
    largest entropy among those that satisfy Lemma 1, equal to H(inputs of the root) + the sum over
    the other claims of (H of inputs - H of output), a leaf's input being its row, an unimportant
    draw losing H(D) less the entropy of what it must agree on (Theorem 2 and Fun Fact 3).
    Condition: every inner claim but the root is a *program*: its feature is a function on D of the
    features of its parents; and self-draws are allowed.

    Returns:
        The statement, `value` the entropy by the formula and `worst` its distance to the entropy of
        the joint distribution itself, also where the condition is not met and the two may differ.

    Raises:
        ExactError: the joint distribution does not fit the budget.
    """
    report = entropy(hypothesis, data, budget=budget)
    found = joint(hypothesis, data, budget=budget).entropy
    why_not = ", ".join(report.no_programs)
    if why_not:
        why_not = f"no program: {why_not}"
    elif not hypothesis.self_draws:
        why_not = "rows are not drawn again (self_draws=False)"
    return Statement(
        "Theorem 2 on the leaves",
        not why_not,
        abs(report.formula - found),
        report.formula,
        why_not,
    )
