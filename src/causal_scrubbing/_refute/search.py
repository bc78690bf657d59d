"""`refute` and `improve`: one search over additions to a hypothesis, told two ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch

from causal_scrubbing._data import Dataset, Feature, feature_name
from causal_scrubbing._data.classes import Floats
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._hypothesis.means import check_scrubs
from causal_scrubbing._measure import Estimate, Triples
from causal_scrubbing._refute.additions import Addition, additions, cuts
from causal_scrubbing._refute.journal import Journal
from causal_scrubbing._refute.pool import (
    PoolFeature,
    field_features,
    found_features,
    named_features,
)
from causal_scrubbing._refute.race import (
    FEWEST,
    Shift,
    Stage,
    confirm,
    detectable,
    plan,
    promising,
    search,
)
from causal_scrubbing._refute.refutation import Finding, Refutation
from causal_scrubbing._refute.trials import Piece, Trials
from causal_scrubbing._refute.where import locate
from causal_scrubbing._scrub.arguments import check_device, check_samples, check_seed, whole
from causal_scrubbing._scrub.behaviour import Metric
from causal_scrubbing._scrub.check import self_check

MOST_NODES = 12
MOST_CUTS = 24
_FIRST_LOOK = 1000


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a search is made; see `refute`."""

    features: Sequence[Feature] | Mapping[str, Feature] = ()
    fields: bool = True
    activations: str | Sequence[str] = "auto"
    rivals: Sequence[Hypothesis] = ()
    budget: int | None = None
    samples: int = 4000
    keep: int = 8
    alpha: float = 0.05
    tolerance: float | None = None
    randomize: str | None = None
    seed: int = 0
    out: str | Path | None = None
    batch_size: int = 1024
    device: torch.device | str | None = None


def refute(
    h: Hypothesis,
    data: Dataset,
    metric: Metric | Mapping[str, Metric] | None = None,
    *,
    features: Sequence[Feature] | Mapping[str, Feature] = (),
    fields: bool = True,
    activations: str | Sequence[str] = "auto",
    rivals: Sequence[Hypothesis] = (),
    budget: int | None = None,
    samples: int = 4000,
    keep: int = 8,
    alpha: float = 0.05,
    tolerance: float | None = None,
    randomize: str | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    batch_size: int = 1024,
    device: torch.device | str | None = None,
) -> Refutation:
    """Look for an addition to a hypothesis that changes what it predicts.

    A high score does not make a hypothesis true. Chan et al. (2022) propose adversarial validation:
    a hypothesis is good when no addition to it changes the predicted metric much. Additions are
    joins, so they only forbid swaps: a feature claimed besides, two draws tied together, a rival
    hypothesis joined in. If every swap that h permits leaves each sample's metric as it is, no
    addition can move the estimate. Changes that permit more swaps (a tie cut, `separate`) are
    tried too and listed apart: they test another, more specific hypothesis.

    Candidates race on common random numbers, the better third going on to more samples; what is
    left is tested on samples of another seed, those that ``cs.scrub(h, ..., seed=seed)`` draws.

    Example::

        found = cs.refute(h, data, cs.metrics.cross_entropy("label"), features=[length, "mode"])
        print(found)

    Args:
        h: the hypothesis.
        data: the dataset.
        metric: one metric; None for the graph's own output.
        features: features to add, besides the others, as a list or by name.
        fields: whether dataset fields of few values join the pool.
        activations: nodes (names or patterns) in whose activations to look for features (clusters,
            sides of principal directions, probes of the other features). "auto": claimed nodes and
            some unimportant ones; empty for none.
        rivals: whole hypotheses about the same graph, to be joined in.
        budget: samples the search may spend, over all candidates; None for 100 a candidate and
            stage.
        samples: held-out samples for the confirmation, for each of `keep` candidates.
        keep: candidates confirmed.
        alpha: the chance of any false finding in each list, at most.
        tolerance: shifts within it do not count; None for 1% of E_model - E_randomized.
        randomize: as for `scrub`.
        seed: with it a search is the same everywhere.
        out: file for finished stages (JSON lines); a search that was cut short goes on from it.
        batch_size: samples computed at once.
        device: where to compute.

    Returns:
        A `Refutation`: what was found, smallest additions first, or what would have been.

    Raises:
        HypothesisError: a feature cannot be used on the data.
        ScrubError: the budget is too small for the candidates, or `out` is of another search.
    """
    settings = Settings(
        features=features,
        fields=fields,
        activations=activations,
        rivals=rivals,
        budget=budget,
        samples=check_samples(samples),
        keep=keep,
        alpha=alpha,
        tolerance=tolerance,
        randomize=randomize,
        seed=check_seed(seed),
        out=out,
        batch_size=whole("batch_size", batch_size, "how many are computed at once"),
        device=check_device(device),
    )
    return _Search(h, data, metric, settings, improve=False).result()


def improve(
    h: Hypothesis,
    data: Dataset,
    metric: Metric | Mapping[str, Metric] | None = None,
    *,
    features: Sequence[Feature] | Mapping[str, Feature] = (),
    fields: bool = True,
    activations: str | Sequence[str] = "auto",
    rivals: Sequence[Hypothesis] = (),
    budget: int | None = None,
    samples: int = 4000,
    keep: int = 12,
    alpha: float = 0.05,
    tolerance: float | None = None,
    randomize: str | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    batch_size: int = 1024,
    device: torch.device | str | None = None,
) -> Refutation:
    """Rank the additions that bring a hypothesis's estimate nearest to the model's, per bit.

    The search of `refute`, reported the other way round. What an addition claims is counted in
    bits: by how much the entropy of the data drawn falls. A finding's ``hypothesis`` is the
    hypothesis with the addition taken up.

    Args:
        h: the hypothesis.
        data: the dataset.
        metric: one metric; None for the graph's own output.
        features: as for `refute`, and so are the other arguments.
        fields: see `refute`.
        activations: see `refute`.
        rivals: see `refute`.
        budget: see `refute`.
        samples: see `refute`.
        keep: see `refute`.
        alpha: see `refute`.
        tolerance: see `refute`.
        randomize: see `refute`.
        seed: see `refute`.
        out: see `refute`.
        batch_size: see `refute`.
        device: see `refute`.

    Raises:
        HypothesisError: a feature cannot be used on the data.
        ScrubError: the budget is too small for the candidates, or `out` is of another search.
    """
    settings = Settings(
        features=features,
        fields=fields,
        activations=activations,
        rivals=rivals,
        budget=budget,
        samples=check_samples(samples),
        keep=keep,
        alpha=alpha,
        tolerance=tolerance,
        randomize=randomize,
        seed=check_seed(seed),
        out=out,
        batch_size=whole("batch_size", batch_size, "how many are computed at once"),
        device=check_device(device),
    )
    return _Search(h, data, metric, settings, improve=True).result()


def search_seed(seed: int) -> int:
    """The seed of the search's samples, which differ from those of the confirmation."""
    return int.from_bytes(blake2b(f"{seed}|search".encode(), digest_size=8).digest(), "big")


def look_at(h: Hypothesis, activations: str | Sequence[str]) -> list[str]:
    """The nodes in whose activations features are sought."""
    if activations != "auto":
        return list(h.graph.find(activations)) if activations else []
    exact_root = h.tree.claims[0].claim.node if len(h.tree.claims) > 1 else None
    claimed = dict.fromkeys(e.claim.node for e in h.tree.claims if e.claim.node != exact_root)
    loose = dict.fromkeys(n for b in h.tree.blocks for _, n in b.others if n not in claimed)
    space = max(0, MOST_NODES - len(claimed))
    step = max(1, -(-len(loose) // space)) if space else len(loose) + 1
    chosen = [*list(claimed)[:MOST_NODES], *list(loose)[::step][:space]]
    # Integer inputs (token ids) have no geometry to look for directions in.
    return [n for n in chosen if not h.graph.nodes[n].is_input]


class _Search:
    """One search: its candidates, its stages, its answer."""

    def __init__(
        self,
        h: Hypothesis,
        data: Dataset,
        metric: Metric | Mapping[str, Metric] | None,
        settings: Settings,
        *,
        improve: bool,
    ) -> None:
        _check(settings)
        check_scrubs(h, "a search adds to")
        self_check(h, data, settings.device)
        self.h = h
        self.data = data
        self.settings = settings
        self.improve = improve
        own = named_features(settings.features)
        self.named = [*(field_features(data) if settings.fields else []), *own]
        nodes = look_at(h, settings.activations)
        found = found_features(h.graph, data, nodes, self.named, settings.seed)
        self.added, self.notes = additions(h, data, [*self.named, *found], settings.rivals)
        self.cut = [] if improve else cuts(h, data)
        self.trials = Trials(
            [h, *(one.hypothesis for one in [*self.added, *self.cut])],
            data,
            metric,
            randomize=settings.randomize,
            batch_size=settings.batch_size,
            device=settings.device,
        )
        self.journal = Journal(settings.out, self._what())

    def _what(self) -> dict[str, Any]:
        """All that the numbers depend on."""
        settings = self.settings
        return {
            "hypothesis": self.h.to_dict(),
            "graph": self.h.graph.fingerprint,
            "data": self.data.fingerprint,
            "metric": self.trials.metric_name,
            "randomize": self.trials.randomize,
            "candidates": [one.text for one in [*self.added, *self.cut]],
            "features": [feature_name(one.feature) for one in self.named],
            "improve": self.improve,
            **{
                name: getattr(settings, name)
                for name in ("budget", "samples", "keep", "alpha", "tolerance", "seed")
            },
        }

    def result(self) -> Refutation:
        """Run what is not yet run, and tell."""
        settings = self.settings
        first = self._first_look()
        sign = 1.0 if first["model"] >= first["scrubbed"] else -1.0
        floor = 1e-5 * first["scale"]
        wanted = settings.tolerance
        if wanted is None:
            # With no randomized baseline, only rounding is let pass.
            wanted = 0.01 * abs(first["model"] - first["randomized"]) if first["randomized"] else 0
        tolerance = max(wanted, floor)
        numbers = list(range(1, 1 + len(self.added)))
        kept, stages = self._race(numbers, "additions", settings.keep, sign)
        cut_numbers = list(range(1 + len(self.added), 1 + len(self.added) + len(self.cut)))
        always = cut_numbers[:1] if self._has_separate() else []
        raced, _ = self._race(cut_numbers[len(always) :], "cuts", MOST_CUTS, sign)
        kept_cuts = [*always, *raced]
        piece = self._held_out([0, *kept, *kept_cuts])
        side = sign if self.improve else 0.0
        shifts = confirm(piece, 0, kept, tolerance, settings.keep, side)
        gap = sign * (float(piece.model.mean()) - float(piece.values[0].mean()))
        tested = [
            self._finding(self.added[i - 1], shift, piece, gap, sign)
            for i, shift in zip(kept, shifts, strict=True)
        ]
        cut_shifts = confirm(piece, 0, kept_cuts, tolerance)
        specific = [
            self._finding(self.cut[i - 1 - len(self.added)], shift, piece, gap, sign)
            for i, shift in zip(kept_cuts, cut_shifts, strict=True)
        ]
        found = [one for one in tested if one.p <= settings.alpha]
        if self.improve:
            found.sort(key=lambda one: -one.gain_per_bit)
        else:
            found.sort(key=lambda one: (one.bits, -abs(one.shift.mean)))
        spread = [float(s.values.std()) for s in shifts] or [0.0]
        separate = None
        if always:
            values = piece.values[always[0]]
            separate = _estimate(values)
        return Refutation(
            hypothesis=self.h,
            metric=self.trials.metric_name,
            scores=Triples(
                self.trials.metric_name, piece.values[0], piece.model, piece.randomized
            ).estimate(),
            separate=separate,
            findings=tuple(found),
            order="most recovered per bit first" if self.improve else "smallest first",
            more_specific=tuple(
                sorted(
                    (one for one in specific if one.p <= settings.alpha),
                    key=lambda one: -abs(one.shift.mean),
                )
            ),
            tested=tuple(tested),
            tried=dict(Counter(one.kind for one in [*self.added, *self.cut])),
            stages=tuple(
                {"candidates": len(s.candidates), "samples": s.samples, "kept": len(s.kept)}
                for s in stages
            ),
            tolerance=tolerance,
            alpha=settings.alpha,
            detectable=detectable(
                [] if self.improve else stages,
                float(np.median(spread)),
                settings.samples,
                settings.keep,
                settings.alpha,
                tolerance,
            ),
            samples=settings.samples,
            seed=settings.seed,
            notes=tuple(dict.fromkeys(self.notes)),
        )

    def _has_separate(self) -> bool:
        return bool(self.cut) and self.cut[0].hypothesis.unimportant == "separate"

    def _first_look(self) -> dict[str, float]:
        record = self.journal.done("first look")
        if record is None:
            piece = self.trials.run([0], search_seed(self.settings.seed), 0, _FIRST_LOOK)
            randomized = piece.randomized
            record = {
                "model": float(piece.model.mean()),
                "scrubbed": float(piece.values[0].mean()),
                "randomized": None if randomized is None else float(randomized.mean()),
                "scale": float(np.abs(piece.model).mean() + np.abs(piece.values[0]).mean()),
            }
            self.journal.finish("first look", record)
        found: dict[str, float] = record
        return found

    def _race(
        self, numbers: Sequence[int], name: str, keep: int, sign: float
    ) -> tuple[list[int], list[Stage]]:
        budget = self.settings.budget
        if budget is None or name == "cuts":
            rounds = max(1, int(np.ceil(np.log(max(len(numbers), 2) / keep) / np.log(3))))
            budget = max(2 * FEWEST * len(numbers) * rounds, 20_000)
        made = plan(len(numbers), keep, budget)
        bits = {i: max(self._addition(i).bits, 0.01) for i in numbers}

        def recovering(left: Sequence[int], mean: Floats, se: Floats) -> Floats:
            claimed = np.array([bits[i] for i in left])
            return np.asarray((sign * mean - se) / claimed, dtype=np.float64)

        return search(
            self.trials,
            0,
            numbers,
            made,
            keep,
            search_seed(self.settings.seed),
            recovering if self.improve else promising,
            lambda stage: self.journal.done(f"{name} {stage}"),
            lambda stage, record: self.journal.finish(f"{name} {stage}", record),
        )

    def _addition(self, number: int) -> Addition:
        return [*self.added, *self.cut][number - 1]

    def _held_out(self, numbers: Sequence[int]) -> Piece:
        record = self.journal.done("held out")
        if record is None:
            piece = self.trials.run(numbers, self.settings.seed, 0, self.settings.samples)
            record = {
                "values": {str(i): piece.values[i].tolist() for i in numbers},
                "model": piece.model.tolist(),
                "randomized": None if piece.randomized is None else piece.randomized.tolist(),
                "reference": piece.reference.tolist(),
            }
            self.journal.finish("held out", record)
        randomized = record["randomized"]
        return Piece(
            {int(i): np.asarray(values) for i, values in record["values"].items()},
            np.asarray(record["model"]),
            None if randomized is None else np.asarray(randomized),
            np.asarray(record["reference"], dtype=np.int64),
        )

    def _finding(
        self, addition: Addition, shift: Shift, piece: Piece, gap: float, sign: float
    ) -> Finding:
        after = gap - sign * shift.mean
        gain = abs(gap) - abs(after)
        groups, rows = locate(self.data, self._groupings(), shift.values, piece.reference)
        return Finding(
            text=addition.text,
            kind=addition.kind,
            hypothesis=addition.hypothesis,
            shift=Estimate(shift.mean, shift.se, shift.interval, n=len(shift.values)),
            towards_model=gain > 0,
            p=shift.adjusted,
            bits=addition.bits,
            gain_per_bit=gain / max(addition.bits, 0.01),
            groups=groups,
            rows=rows,
        )

    def _groupings(self) -> list[PoolFeature]:
        return self.named or field_features(self.data)


def _check(settings: Settings) -> None:
    for name, least in (("samples", 2), ("keep", 1)):
        value = getattr(settings, name)
        if not isinstance(value, int) or value < least:
            raise ScrubError(f"{name}={value!r}: give a whole number of at least {least}.")
    if not 0 < settings.alpha < 1:
        raise ScrubError(f"alpha={settings.alpha!r}: give a level between 0 and 1, like 0.05.")
    if settings.tolerance is not None and settings.tolerance < 0:
        raise ScrubError(f"tolerance={settings.tolerance!r}: give a number of at least 0.")


def _estimate(values: Floats) -> Estimate:
    se = float(values.std(ddof=1) / np.sqrt(len(values)))
    mean = float(values.mean())
    return Estimate(mean, se, (mean - 1.96 * se, mean + 1.96 * se), n=len(values))
