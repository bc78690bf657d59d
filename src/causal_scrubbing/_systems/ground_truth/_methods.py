"""What each method says of a hypothesis: rejected or not, by one rule a method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import causal_scrubbing as cs

from ._cases import Case
from ._programs import Circuit

LEAST = 99.0
"""Percent recovered below which a hypothesis is rejected; 100 - this is an effect that counts."""

RULES: Final = {
    "scrub": f"recovers less than {LEAST:g}%, exactly",
    "scrub, per input": "changes any output, exactly: the definition of false",
    "refute": "an addition that only forbids swaps moves the loss",
    "controls": "removing some claim costs nothing, or random features do as well",
    "zero ablation": "set to zero, what is not claimed matters, or a claimed variable does not",
    "mean ablation": "the same with means in place of zeros",
    "path patching": "an edge not claimed has an effect, or a claimed one has none",
}


def loss() -> cs.Metric:
    """Squared error against the program's own output."""
    return cs.metrics.squared_error("label")


@dataclass(frozen=True)
class Methods:
    """The methods, on one circuit.

    Attributes:
        circuit: the circuit.
        samples: of each estimate.
        seed: of the draws.
    """

    circuit: Circuit
    samples: int
    seed: int

    def rejects(self, case: Case) -> dict[str, bool]:
        """Method -> whether it rejects the hypothesis, for the cheap ones."""
        exact = cs.exact_scrub(
            case.hypothesis, self.circuit.data, metric=loss(), budget=100_000_000
        )
        span = abs(exact.randomized.mean - exact.model.mean)
        idle = unclaimed(case.hypothesis)
        below = {name for names in edges(case.hypothesis).values() for name in names}
        claimed = sorted(below & set(self.circuit.reads))
        return {
            "scrub": exact.recovered.mean < LEAST,
            "scrub, per input": not case.true,
            "zero ablation": self._ablation("zero", idle, claimed, span),
            "mean ablation": self._ablation("mean", idle, claimed, span),
            "path patching": self._paths(case.hypothesis, span),
        }

    def searched(self, case: Case) -> dict[str, bool]:
        """The same for the methods that search."""
        names = [*(name for name in self.circuit.reads if name != "y"), *"abcde"]
        found = cs.refute(
            case.hypothesis,
            self.circuit.data,
            loss(),
            features=names,
            fields=False,
            activations=(),
            keep=3,
            samples=self.samples,
            seed=self.seed,
            progress=False,
        )
        beside = cs.controls(
            case.hypothesis,
            self.circuit.data,
            loss(),
            random=1,
            edges=0,
            samples=self.samples,
            seed=self.seed,
            progress=False,
        )
        alike = [
            row
            for kind in ("removed", "random feature")
            for row in beside.of(kind)
            if row.difference.interval is None or row.difference.interval[0] <= 0
        ]
        return {"refute": found.refuted, "controls": bool(alike)}

    def _ablation(self, kind: str, idle: list[str], claimed: list[str], span: float) -> bool:
        def matters(nodes: list[str]) -> bool:
            found = cs.ablate(
                self.circuit.graph, nodes, self.circuit.data, kind, loss(),
                samples=self.samples, seed=self.seed,
            )  # fmt: skip
            return abs(found.effect(kind).mean) > span * (1 - LEAST / 100)

        return (bool(idle) and matters(idle)) or not all(matters([name]) for name in claimed)

    def _paths(self, hypothesis: cs.Hypothesis, span: float) -> bool:
        claimed = edges(hypothesis)
        for receiver, senders in claimed.items():
            parents = list(self.circuit.graph.parents(receiver))
            effects = cs.path_patch(
                self.circuit.graph, self.circuit.data, loss(), senders=parents,
                receivers=[receiver], samples=self.samples, seed=self.seed, progress=False,
            )  # fmt: skip
            for row in effects:
                matters = abs(row.effect.mean) > span * (1 - LEAST / 100)
                if matters != (row.sender in senders):
                    return True
        return False


def edges(hypothesis: cs.Hypothesis) -> Mapping[str, set[str]]:
    """Node of each inner claim -> nodes it is said to be computed from."""
    found: dict[str, set[str]] = {}

    def walk(claim: cs.Claim) -> None:
        if claim.children is not None:
            found.setdefault(claim.node, set()).update(child.node for child in claim.children)
        for child in claim.children or ():
            walk(child)

    walk(hypothesis.root)
    return found


def unclaimed(hypothesis: cs.Hypothesis) -> list[str]:
    """The parents of inner claims' nodes that no claim names."""
    claimed = edges(hypothesis)
    named = set(claimed) | {name for names in claimed.values() for name in names}
    parents = {p for node in claimed for p in hypothesis.graph.parents(node)}
    return sorted(parents - named)


def discovers(circuit: Circuit, samples: int, seed: int) -> bool:
    """Whether `cs.discover` ends with the circuit's variables, each carrying its own value."""
    names = [name for name in circuit.reads if name != "y"]
    grown = cs.discover(
        circuit.graph, circuit.data, loss(), features=[*names, *"abcde"], depth=1,
        samples=samples, seed=seed, progress=False,
    )  # fmt: skip
    found = {claim.node: claim.feature for claim in grown.hypothesis.root.children or ()}
    return set(found) == set(circuit.reads["y"]) and all(
        (circuit.data.classes(feature).ids == circuit.data.classes(name).ids).all()
        for name, feature in found.items()
    )
