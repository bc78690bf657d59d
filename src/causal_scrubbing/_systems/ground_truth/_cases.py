"""True and plausible false hypotheses about a circuit, sorted by what their swaps really do."""

from __future__ import annotations

from dataclasses import dataclass

import causal_scrubbing as cs

from ._programs import Circuit

SAME = 1e-9


@dataclass(frozen=True)
class Case:
    """A hypothesis about a circuit.

    Attributes:
        circuit: what it is about.
        kind: how it was made.
        hypothesis: the hypothesis.
        true: whether no swap that it permits changes any output, known exactly.
    """

    circuit: Circuit
    kind: str
    hypothesis: cs.Hypothesis
    true: bool


def make_cases(circuit: Circuit) -> list[Case]:
    """The program itself, coarser and finer statements, and programs with one mistake."""
    first, second = (name for name in circuit.reads if name != "y")
    made = {
        "the program": tree(circuit),
        "its variables": tree(circuit, depth=1),
        "its output": cs.claim("y", "y"),
        "finer: variables and the nuisance": tree(circuit, finer=True, depth=1),
        "a variable left out": tree(circuit, leave_out=first),
        "another variable's feature": tree(circuit, features={first: second}, depth=1),
        "an input for a variable": tree(
            circuit, features={second: circuit.reads[second][-1]}, depth=1
        ),
        "an input left out": tree(circuit, leave_out=circuit.reads[first][-1]),
        "nothing matters": cs.claim("y", cs.exact, cs.nothing),
    }
    cases = []
    for kind, root in made.items():
        hypothesis = cs.Hypothesis(circuit.graph, root, name=f"{circuit.name}: {kind}")
        own = cs.metrics.to_model("squared_error")
        exact = cs.exact_scrub(hypothesis, circuit.data, metric=own, budget=100_000_000)
        cases.append(Case(circuit, kind, hypothesis, exact.expectation.mean < SAME))
    return cases


def tree(
    circuit: Circuit,
    *,
    depth: int = 9,
    features: dict[str, str] | None = None,
    finer: bool = False,
    leave_out: str = "",
) -> cs.Claim:
    """The program as claims, each variable carrying its value.

    Args:
        circuit: the circuit.
        depth: levels below the output.
        features: variable -> feature it is said to carry instead.
        finer: each variable carries the nuisance too.
        leave_out: a name that is claimed nowhere.
    """

    def claim(name: str, left: int) -> cs.Claim:
        own = (features or {}).get(name, name)
        feature: cs.Feature = (own, "e") if finer and name.isupper() else own
        below = [claim(one, left - 1) for one in circuit.reads.get(name, ()) if one != leave_out]
        return cs.claim(name, feature, *(below if left > 0 else ()))

    top = [claim(name, depth - 1) for name in circuit.reads["y"] if name != leave_out]
    return cs.claim("y", cs.exact, *top) if top else cs.claim("y", cs.exact, cs.nothing)
