"""Variants of a hypothesis that serve as controls: weaker, stronger, random, of its shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from causal_scrubbing._algebra import BlockForm, block_form, normal, same_swaps
from causal_scrubbing._controls.randoms import ATTEMPTS, can_permute, elsewhere, permutations
from causal_scrubbing._data import Dataset, Feature, anything, exact, feature_name, flatten_feature
from causal_scrubbing._errors import HypothesisError
from causal_scrubbing._graph import evaluate, shorten
from causal_scrubbing._hypothesis import (
    POLICIES,
    ZERO,
    Claim,
    Hypothesis,
    TreeClaim,
    ablated_nodes,
    resampled,
)
from causal_scrubbing._trials import (
    ablated,
    bare,
    edit,
    kept,
    restated,
    route_edges,
    without_claim,
    without_edge,
)

ABLATIONS = ("zero", "mean", "resample")


@dataclass(frozen=True, eq=False)
class Variant:
    """One control: what was changed, and the hypothesis that gives.

    Attributes:
        kind: what sort of change it is.
        text: what was changed.
        hypothesis: the hypothesis with the change.
        draw: the draw that keeps its row, where that is the whole change; "" for any other.
        same: number of the first variant that permits the same swaps, counted from 1; 0 for the
            hypothesis itself; None where there is none.
    """

    kind: str
    text: str
    hypothesis: Hypothesis
    same: int | None = None
    draw: str = ""


def variants(
    h: Hypothesis,
    data: Dataset,
    seed: int,
    random: int,
    edges: int | None = None,
    device: torch.device | str | None = None,
) -> tuple[list[Variant], list[str]]:
    """All controls of a hypothesis that can be stated on its graph.

    Args:
        h: the hypothesis.
        data: the dataset, by which features are told apart.
        seed: of the random ones.
        random: how many random ones of each kind.
        edges: how many edges at most are removed one by one; None for all.
        device: where to compute; where the graph says if None.

    Returns:
        The controls, and what could not be made, in words.
    """
    made = _Variants(h, data, seed, random, device)
    made.bounds()
    made.policies()
    left = edges
    for entry in h.tree.claims:
        made.features(entry)
        made.shape(entry)
        left = made.edges(entry, left)
    made.within()
    made.all_permuted()
    made.other_nodes()
    made.ablations()
    return made.found, made.notes


@dataclass(eq=False)
class _Variants:
    """Gathers variants; one that permits the swaps of an earlier one is marked so."""

    h: Hypothesis
    data: Dataset
    seed: int
    random: int
    device: torch.device | str | None
    found: list[Variant] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._forms: dict[object, list[tuple[int, BlockForm]]] = {}
        self._number(self.h, 0)
        self._dtypes: dict[str, torch.dtype] = {}

    def note(self, kind: str, what: str, why: str) -> None:
        self.notes.append(f"not made, {kind}: {what}: {why.rstrip('.')}.")

    def add(self, kind: str, text: str, make: Callable[[], Hypothesis], draw: str = "") -> None:
        try:
            one = make().with_(name=text)
            self._check_means(one)
        except HypothesisError as error:
            self.note(kind, text, error.faults[0])
            return
        same = self._number(one, len(self.found) + 1)
        self.found.append(Variant(kind, text, one, same, draw))

    def _check_means(self, one: Hypothesis) -> None:
        """Nodes to be set to their means must hold numbers that have one."""
        means = [names for fixed, names in ablated_nodes(one).items() if fixed.kind != ZERO]
        for name in dict.fromkeys(name for names in means for name in names):
            if not self._has_mean(name):
                held = str(self._dtypes[name]).removeprefix("torch.")
                raise HypothesisError([f"{name} holds {held}, of which no mean is a value"])

    def _has_mean(self, name: str) -> bool:
        if name not in self._dtypes:  # one row tells
            graph = self.h.graph
            names = list(graph.names)
            with torch.no_grad():
                row = self.data.take(np.zeros(1, dtype=np.int64))
                values = evaluate(graph, row, names, device=self.device or graph.device)
            self._dtypes = {name: value.dtype for name, value in values.items()}
        kind = self._dtypes[name]
        return kind.is_floating_point or kind.is_complex

    def _meanless(self, paths: Sequence[str]) -> tuple[dict[str, list[str]], str]:
        """The unimportant parents of some claims that have no mean, and that they are kept."""
        moving = {
            path: [n for n in self.h.tree[path].other_draws if not self.h.graph.is_constant[n]]
            for path in paths
        }
        left = {path: [n for n in found if not self._has_mean(n)] for path, found in moving.items()}
        if left == moving:
            return {}, ""  # nothing would be ablated
        names = list(dict.fromkeys(name for found in left.values() for name in found))
        return left, f" ({shorten(names)} kept)" if names else ""

    def _number(self, one: Hypothesis, number: int) -> int | None:
        """The number of the first hypothesis with the same swaps; this one's is kept if none."""
        # What is ablated must be alike, and all swaps if it were drawn.
        form = block_form(resampled(one))
        fixed = frozenset(
            (entry.path, *pair) for entry in one.tree.claims for pair in entry.ablated.items()
        )
        key = (fixed, _outline(form, self.data))
        for known, other in self._forms.setdefault(key, []):
            if same_swaps(form, other, self.data):
                return known
        self._forms[key].append((number, form))
        return None

    # --- kinds of change ----------------------------------------------------------------------

    def bounds(self) -> None:
        output = self.h.graph.output
        for text, feature in (
            ("trivial: the output carries anything", anything),
            ("all exact: the model itself", exact),
        ):
            root = Claim(output, feature)
            self.add("bound", text, partial(self.h.with_, root=root, unimportant="per-claim"))

    def policies(self) -> None:
        h = self.h
        paths = [e.path for e in h.tree.claims if e.other_draws]
        if not paths:
            self.note("policy, ablation", "other draws", "no claim has an unimportant parent")
            return
        for policy in POLICIES:
            if policy == h.unimportant and not h.tree.ablates:
                continue
            text = f"unimportant parents drawn {policy}"
            self.add("policy", text, partial(resampled(h).with_, unimportant=policy))
        plain = resampled(h).with_(unimportant="per-claim")
        if not (h.tree.ablates and h.ablation == "mean"):
            left, told = self._meanless(paths)
            text = f"unimportant parents{told} set to their means (not causal scrubbing)"
            root = kept(plain.root, left)
            self.add("policy", text, partial(plain.with_, root=root, ablation="mean"))
        text = "unimportant parents set to zero (not causal scrubbing)"
        self.add("policy", text, partial(plain.with_, root=bare(plain.root), ablation="zero"))

    def features(self, entry: TreeClaim) -> None:
        claim, path = entry.claim, entry.path
        parts = flatten_feature(claim.feature)
        if parts:
            self.add("coarsened", f"{path} carries anything", self._set(path, feature=anything))
        else:
            self.note("coarsened", path, "it carries anything")
        if len(parts) > 1:
            for part in parts:
                rest = tuple(p for p in parts if p is not part)
                text = f"{path} without {feature_name(part)}"
                self.add("coarsened", text, self._set(path, feature=rest))
        if flatten_feature(claim.others):
            text = f"{path}'s unimportant parents agree on anything"
            self.add("coarsened", text, self._set(path, others=anything))
        if self.data.classes((claim.feature, self.h.within)).is_exact:
            self.note("refined", path, "its feature tells every row from every other")
        else:
            kept_row = self._set(path, feature=exact)
            self.add("refined", f"{path} carries exact", kept_row, entry.draw)
        if entry.other_draws and not self.data.classes((claim.others, self.h.within)).is_exact:
            text = f"{path}'s unimportant parents agree on exact"
            self.add("refined", text, self._set(path, others=exact), f"{path}/~other")
        if not self.random or not parts:
            return
        made = 0
        if can_permute(claim.feature, self.h.within, self.data):
            for one in self._permuted(claim.feature):
                made += 1
                text = f"{path} carries {one.name} ({made})"
                self.add("random feature", text, self._set(path, feature=one))
        if made < self.random:
            why = f"{feature_name(claim.feature)} has {made} other ways to be dealt out"
            self.note("random feature", f"{self.random - made} of {self.random} for {path}", why)

    def _permuted(self, feature: Feature) -> list[Any]:
        return list(permutations(feature, self.h.within, self.data, self.seed, self.random))

    def shape(self, entry: TreeClaim) -> None:
        path = entry.path
        if entry.children is not None:
            text = f"{path} taken whole"
            self.add("unexpanded", text, self._set(path, children=None, others=anything))
        if entry.parent is not None:
            self.add("removed", f"{path} not claimed", partial(without_claim, self.h, path))

    def edges(self, entry: TreeClaim, left: int | None) -> int | None:
        found = route_edges(self.h, entry)
        if left is not None and len(found) > left:
            what = f"{len(found) - left} of the {len(found)} edges of routes into {entry.path}"
            self.note("edge removed", what, "edges= is reached")
            found = found[:left]
        for edge in found:
            one, cut_off = without_edge(self.h, entry.path, edge)
            text = f"{entry.path}: no edge {edge[0]} -> {edge[1]}"
            if cut_off:
                text += f", which cuts off {', '.join(cut_off)}"
            self.add("edge removed", text, partial(_itself, one))
        return None if left is None else left - len(found)

    def within(self) -> None:
        if flatten_feature(self.h.within):
            text = f"draws need not keep {feature_name(self.h.within)}"
            self.add("coarsened", text, partial(self.h.with_, within=anything))

    def all_permuted(self) -> None:
        """Every feature that can be dealt out anew, at once, each by itself."""
        h = self.h
        able = {
            e.path: e.claim.feature
            for e in h.tree.claims
            if flatten_feature(e.claim.feature)
            and can_permute(e.claim.feature, h.within, self.data)
        }
        if len(able) < 2:
            return  # the rows of the one feature are it
        columns = []
        for number, feature in enumerate(able.values()):
            seed = self.seed + 1000 * (number + 1)
            columns.append(list(permutations(feature, h.within, self.data, seed, self.random)))
        for i, chosen in enumerate(zip(*columns, strict=False)):
            new = dict(zip(able, chosen, strict=True))
            self.add(
                "random feature",
                f"all {len(able)} features permuted ({i + 1})",
                partial(self._with_features, new),
            )

    def _with_features(self, new: dict[str, Any]) -> Hypothesis:
        def walk(claim: Claim, path: str) -> Claim:
            children = claim.children
            if children is not None:
                children = tuple(walk(c, f"{path}/{c.label}") for c in children)
            return replace(claim, feature=new.get(path, claim.feature), children=children)

        return self.h.with_(root=walk(self.h.root, self.h.root.label))

    def other_nodes(self) -> None:
        h, rng = self.h, np.random.default_rng([self.seed, 0xD1CE])
        if not self.random or not h.root.children:
            return
        made, attempts = 0, ATTEMPTS * self.random
        for attempt in range(attempts):
            if made == self.random:
                return
            try:
                # Where no node may stay, there may be no room; then some may.
                one = elsewhere(h, rng, other=attempt < attempts // 2)
            except HypothesisError:
                continue
            text = f"same shape on other nodes ({made + 1})"
            one = one.with_(name=text)
            if self._number(one, len(self.found) + 1) is None:
                made += 1
                self.found.append(Variant("random nodes", text, one))
        if made < self.random:
            why = f"{attempts} draws gave no more that differ from the hypothesis and one another"
            self.note("random nodes", f"{self.random - made} of {self.random}", why)

    def ablations(self) -> None:
        """Zero, mean and resample ablation of unimportant parents where they enter F(u)."""
        able = {e.path: list(e.other_draws) for e in self.h.tree.claims if e.other_draws}
        groups: dict[str, tuple[str, ...]] = {path: (path,) for path in able}
        if len(able) > 1:
            groups["every claim"] = tuple(able)
        for where, paths in groups.items():
            nodes = "" if len(paths) > 1 else f" ({shorten(able[paths[0]])})"
            for kind in ABLATIONS:
                left, told = self._meanless(paths) if kind == "mean" else ({}, "")
                what = f"{kind} ablation of {where}'s unimportant parents"
                text = f"{what}{nodes}{told}, all else kept"
                self.add("ablation", text, partial(self._ablated, paths, kind, left))

    def _ablated(self, paths: Sequence[str], kind: str, left: dict[str, list[str]]) -> Hypothesis:
        one = ablated(self.h, paths, kind)
        return one.with_(root=kept(one.root, left)) if any(left.values()) else one

    def _set(self, path: str, **changes: Any) -> Callable[[], Hypothesis]:
        def make() -> Hypothesis:
            plain = self.h
            if "children" in changes:  # groups may name claims that go with it
                plain = plain.with_(unimportant="per-claim")
            root = edit(plain, path, lambda claim: replace(claim, **changes)).root
            return restated(self.h, root)

        return make


def _itself(h: Hypothesis) -> Hypothesis:
    return h


def _outline(form: BlockForm, data: Dataset) -> object:
    """What two hypotheses that permit the same swaps have in common, cheaply told."""
    found: list[tuple[str, bool, str]] = []
    todo = [normal(form.root)]
    while todo:
        one = todo.pop()
        digest = data.classes((form.features[one.block], form.within)).digest
        found.append((one.node, one.whole, digest))
        if one.wiring is not None:
            todo += one.wiring.members
    return tuple(sorted(found))
