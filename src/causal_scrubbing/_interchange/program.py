"""An interpretation run as a program: lookup tables read off the dataset, claim by claim."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Feature, Ints, feature_name
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._hypothesis import Hypothesis, TreeClaim


class LookupProgram:
    """Each claim's feature as a function of the features of the claims it is computed from.

    Args:
        h: the hypothesis.
        data: the dataset, whose rows say what the functions are.
        output: the feature in place of the root's, one number a row.

    Raises:
        ScrubError: the output feature is not one number a row.
    """

    def __init__(self, h: Hypothesis, data: Dataset, output: Feature) -> None:
        self.h, self.data = h, data
        self.claims = h.tree.claims
        self.features = {e.index: e.claim.feature for e in self.claims}
        self.features[0] = output
        self.tables: dict[int, dict[tuple[int, ...], int]] = {}
        self.faults: dict[int, str] = {}
        for entry in self.claims:
            if entry.children is not None:
                self._tabulate(entry)
        self.answers = self._answers(output)

    def _answers(self, output: Feature) -> torch.Tensor:
        classes = self.data.classes(output)
        values = self.data.evaluate(output)
        name = feature_name(output)
        if isinstance(values, np.ndarray):
            raise ScrubError(f"output={name!r} holds strings; give numbers that read= can return.")
        flat = values.reshape(len(values), -1)
        if flat.shape[1] != 1:
            raise ScrubError(
                f"output={name!r} has {flat.shape[1]} numbers a row; give one number a row."
            )
        return flat[torch.as_tensor(classes.order[classes.starts], device=flat.device), 0].cpu()

    def ids(self, index: int) -> Ints:
        """Class of each row under a claim's feature."""
        return self.data.classes(self.features[index]).ids

    def _tabulate(self, entry: TreeClaim) -> None:
        columns = [self.ids(child) for child in entry.children or ()]
        keys = (
            zip(*(c.tolist() for c in columns), strict=True) if columns else [()] * len(self.data)
        )
        table: dict[tuple[int, ...], int] = {}
        for key, value in zip(keys, self.ids(entry.index).tolist(), strict=True):
            if table.setdefault(key, value) != value:
                what = feature_name(self.features[entry.index])
                self.faults[entry.index] = (
                    f"{entry.path} is no program: rows that agree on the features of its claims "
                    f"differ in {what}."
                )
                return
        self.tables[entry.index] = table

    def places(self, entry: TreeClaim, shared: bool) -> tuple[int, ...]:
        """The claims whose value an intervention at a claim sets: all on its node, if shared."""
        if not shared:
            return (entry.index,)
        return tuple(e.index for e in self.claims if e.claim.node == entry.claim.node)

    def fault(self, entry: TreeClaim, shared: bool) -> str | None:
        """Why the effect of an intervention at a claim cannot be predicted; None where it can."""
        for place in self.places(entry, shared):
            above = self.claims[place].parent
            while above is not None:
                if above in self.faults:
                    return self.faults[above]
                above = self.claims[above].parent
        if shared:
            node = entry.claim.node
            for one in self.claims:
                if one.is_leaf and node in self.h.graph.ancestors(one.claim.node):
                    return (
                        f"{node} is also upstream of {one.path}, which is taken whole: what "
                        f"another value of {node} does there is not said. Claim what it is "
                        "computed from, or intervene at the claim's own copy (shared=False)."
                    )
        return None

    def predict(self, entry: TreeClaim, base: Ints, source: Ints, shared: bool) -> Ints:
        """Class of the output for each intervention; -1 where D has no such combination.

        Args:
            entry: the claim intervened on.
            base: rows that everything else is on.
            source: rows that the claim's value is taken from.
            shared: the value is set at every claim on the node.
        """
        values: dict[int, Ints] = {
            place: self.ids(place)[source] for place in self.places(entry, shared)
        }
        for one in reversed(self.claims):  # those below come first
            if one.index not in values and any(c in values for c in one.children or ()):
                values[one.index] = self._apply(one, values, base)
        return values[0]

    def _apply(self, one: TreeClaim, values: Mapping[int, Ints], base: Ints) -> Ints:
        columns = [values[c] if c in values else self.ids(c)[base] for c in one.children or ()]
        table = self.tables[one.index]
        found = [table.get(key, -1) for key in zip(*(c.tolist() for c in columns), strict=True)]
        return np.array(found, dtype=np.int64)
