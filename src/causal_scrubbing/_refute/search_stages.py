"""The course of a search: candidates, races, held-out samples, a second look at what is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from causal_scrubbing._algebra import refined_with
from causal_scrubbing._data import Dataset, Floats
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._files import NUMBER
from causal_scrubbing._hypothesis import Hypothesis, check_scrubs
from causal_scrubbing._refute.answer import Tested, answer
from causal_scrubbing._refute.candidates import candidates, named_pool, shown_apart
from causal_scrubbing._refute.identity import identity, probe
from causal_scrubbing._refute.journal import Journal
from causal_scrubbing._refute.options import SearchSettings, checked
from causal_scrubbing._refute.records import FIRST, shifts_of, values_of
from causal_scrubbing._refute.refutation import Refutation
from causal_scrubbing._refute.rounding import ROWS, coarsest, measured
from causal_scrubbing._simulate import Metric, Progress, self_check, try_metrics
from causal_scrubbing._statistics import ranked
from causal_scrubbing._trials import (
    FEWEST,
    LONGER,
    LOOKS,
    Addition,
    Chunk,
    Plan,
    Shift,
    Spread,
    Stage,
    Trials,
    confirm,
    left_open,
    pairs_of,
    plan,
    promising,
    rounds,
    search,
    second_look,
    without_lone_groups,
)

MOST_CUTS = 24
FIRST_LOOK = 1000
PAIRED = 5
"""Candidates left by the race of which all pairs are tried."""
FEW = 15
"""Candidates up to which the race may have as many samples as the confirmation."""
MORE = 1.2
"""How many times the score of either that of a pair must be."""
BOTH = 2
"""Pairs confirmed besides, at most."""


def search_seed(seed: int) -> int:
    """The seed of the search's samples, which differ from those of the confirmation."""
    return int.from_bytes(blake2b(f"{seed}|search".encode(), digest_size=8).digest(), "big")


@dataclass(frozen=True)
class _Budget:
    """Plans within what may be spent, for additions, pairs of them, and cuts."""

    additions: Plan
    cuts: Plan
    pairs: int | None

    @property
    def spent(self) -> int:
        """Samples over all candidates, the base hypothesis counted as one in each stage."""
        total = 0
        for made in (self.additions, self.cuts):
            before = 0
            for size, samples in made.sizes:
                total += (size + 1) * (samples - before)
                before = samples
        return total


def _budget(added: int, cut: int, settings: SearchSettings) -> _Budget:
    """Plans for so many candidates.

    Raises:
        ScrubError: the budget given is too small.
    """

    def usual(count: int, keep: int) -> int:
        least = min(count, FEW) * settings.samples  # where few race, as many as are held out
        return max(2 * FEWEST * count * rounds(count, keep), least, 20_000)

    whole = settings.budget
    if whole is None:
        return _Budget(
            plan(added, settings.keep, usual(added, settings.keep)),
            plan(cut, MOST_CUTS, usual(cut, MOST_CUTS)),
            None,
        )
    pairs = whole // 10
    least = [
        FEWEST * count * rounds(count, keep) if count > keep else 0
        for count, keep in ((added, settings.keep), (cut, MOST_CUTS))
    ]
    needed = sum(least)
    if whole - pairs < needed:
        raise ScrubError(
            f"budget={whole} is too small for {added} additions and {cut} further changes, of "
            f"which each needs {FEWEST} samples in a stage; give a budget of at least "
            f"{-(-needed * 10 // 9)}, or fewer features."
        )
    shares = [(whole - pairs) * part // max(needed, 1) for part in least]
    return _Budget(
        plan(added, settings.keep, max(shares[0], 1)),
        plan(cut, MOST_CUTS, max(shares[1], 1)),
        pairs,
    )


class Search:
    """One search: its candidates, its stages, its answer."""

    def __init__(
        self,
        h: Hypothesis,
        data: Dataset,
        metric: Metric | Mapping[str, Metric] | None,
        settings: SearchSettings,
        *,
        improve: bool,
        spread: Spread | None = None,
    ) -> None:
        settings = checked(h, data, settings)
        check_scrubs(h, "a search adds to")
        h = refined_with(h, settings.rivals)
        self.h, self.data, self.settings, self.improve = h, data, settings, improve
        named = named_pool(data, settings)
        h.classes(data)
        base = without_lone_groups(h)
        if settings.budget is not None:  # before anything is run
            early = candidates(base, data, named, settings, improve=improve, fit=False)
            _budget(len(early.added), len(early.cut), settings)
        self.trials = Trials(
            [base],
            data,
            metric,
            randomize=settings.randomize,
            batch_size=settings.batch_size,
            device=settings.device,
            memory=settings.memory,
            spread=spread,
        )
        trials = self.trials
        size = settings.batch_size
        together = None if size is None else min(size, settings.samples)
        self_check(h, data, settings.device, batch_size=together)
        try_metrics({trials.metric_name: trials.metric}, h.graph, data, settings.device, check=True)
        probed = probe(h.graph, data, trials.metric_name, trials.metric, settings.device)
        with Progress(settings.progress, 0) as bar:
            bar.phase("candidates")
            made = candidates(base, data, named, settings, improve=improve)
        self.named, self.added, self.cut, self.notes = (
            made.named, made.added, made.cut, made.notes,
        )  # fmt: skip
        self.both: list[Addition] = []
        self.always = shown_apart(base)
        # A cut that is always shown does not race.
        self.budget = _budget(len(self.added), len(self.cut) - self.always, settings)
        trials.add([one.hypothesis for one in self.candidates])
        what = (
            {}
            if settings.out is None
            else identity(
                trials.hypotheses,
                data,
                trials.metric_name,
                trials.randomize,
                settings,
                improve=improve,
            )
        )
        self.journal = Journal(settings.out, what, probed)

    @property
    def candidates(self) -> list[Addition]:
        """All candidates, in the order of their numbers, which begin at 1."""
        return [*self.added, *self.cut, *self.both]

    def result(self) -> Refutation:
        """Run what is not yet run, and tell."""
        settings, trials = self.settings, self.trials
        cuts_kept = min(len(self.cut), MOST_CUTS + self.always)
        held_out = settings.samples * (1 + min(len(self.added), settings.keep) + cuts_kept)
        total = FIRST_LOOK + self.budget.spent + held_out
        with self.journal, Progress(settings.progress, total) as bar:
            trials.advance = bar.advance
            first = self._first_look()
            sign = 1.0 if first["model"] >= first["scrubbed"] else -1.0
            least = _rounding(first)
            added = range(1, 1 + len(self.added))
            kept, stages = self._race(added, "additions", sign, least)
            start = 1 + len(self.added)
            numbers = list(range(start, start + len(self.cut)))
            always = numbers[:1] if self.always else []
            cuts_left, cut_stages = self._race(numbers[len(always) :], "cuts", sign, least)
            trials.advance = None  # how much is still to come is not known
            extra = self._pairs(kept, stages, sign)
            tolerance = self._tolerance(first, [0, *kept, *extra])
            trials.advance = bar.advance
            shown = [*always, *cuts_left]
            chunk = self._run([0, *kept, *extra, *shown], "held out", 0, settings.samples)
            trials.advance = None
            shifts = self._confirm(chunk, [*kept, *extra], tolerance, sign)
        cut_shifts = confirm(chunk, 0, shown, tolerance)
        return answer(
            h=self.h,
            data=self.data,
            settings=settings,
            metric=trials.metric_name,
            improve=self.improve,
            sign=sign,
            candidates=self.candidates,
            named=self.named,
            tested=Tested(chunk, shifts, dict(zip(shown, cut_shifts, strict=True)), self.reference),
            stages=stages,
            cut_stages=cut_stages,
            separate=always[0] if always else None,
            tolerance=tolerance,
            family=self.family,
            notes=self.notes,
        )

    @property
    def family(self) -> int:
        """Additions confirmed, at most."""
        return self.settings.keep + BOTH

    def _first_look(self) -> dict[str, float]:
        record = self.journal.done("first look", FIRST)
        if record is None:
            chunk = self.trials.run([0], search_seed(self.settings.seed), 0, FIRST_LOOK)
            randomized = chunk.randomized
            record = {
                "model": float(chunk.model.mean()),
                "scrubbed": float(chunk.values[0].mean()),
                "randomized": None if randomized is None else float(randomized.mean()),
                "scale": float(np.abs(chunk.model).mean() + np.abs(chunk.values[0]).mean()),
                "precision": coarsest(self.h.graph, self.data, self.settings.device),
            }
            self.journal.finish("first look", record)
        found: dict[str, float] = record
        return found

    def _tolerance(self, first: Mapping[str, Any], numbers: Sequence[int]) -> float:
        """What the user wants not to count, and at least what rounding makes of nothing."""
        record = self.journal.done("rounding", {"measured": NUMBER})
        if record is None:
            seed = search_seed(self.settings.seed)
            chunk = self.trials.unswapped(numbers, seed, ROWS)
            record = {"measured": measured(chunk)}
            self.journal.finish("rounding", record)
        rounding = 2 * float(record["measured"])
        if self.settings.tolerance is not None:
            return max(float(self.settings.tolerance), rounding)
        floor = _rounding(first)
        # With no randomized baseline, only rounding is let pass.
        known = first["randomized"] is not None
        usual = 0.01 * abs(first["model"] - first["randomized"]) if known else 0.0
        return max(usual, floor, rounding)

    def _score(self, sign: float) -> Any:
        def recovering(left: Sequence[int], mean: Floats, se: Floats) -> Floats:
            claimed = np.array([max(self.candidates[i - 1].bits, 0.01) for i in left])
            return np.asarray((sign * mean - se) / claimed, dtype=np.float64)

        return recovering if self.improve else promising

    def _race(
        self, numbers: Sequence[int], name: str, sign: float, least: float
    ) -> tuple[list[int], list[Stage]]:
        cuts = name == "cuts"
        return search(
            self.trials,
            0,
            numbers,
            self.budget.cuts if cuts else self.budget.additions,
            MOST_CUTS if cuts else self.settings.keep,
            search_seed(self.settings.seed),
            promising if cuts else self._score(sign),
            lambda stage, shape: self.journal.done(f"{name} {stage}", shape),
            lambda stage, record: self.journal.finish(f"{name} {stage}", record),
            lambda number: self.candidates[number - 1].where,
            0.0 if self.improve and not cuts else 1.0,
            lambda number: self.candidates[number - 1].bits,
            least,
        )

    def _pairs(self, kept: Sequence[int], stages: Sequence[Stage], sign: float) -> list[int]:
        """Pairs of the best that promise more than either, as further candidates: one level deep.

        Greedy: an addition that shows nothing alone and only with a second one is found where one
        of the two is among the best.
        """
        best = list(kept[:PAIRED]) if stages else self._best(kept, sign)
        found = pairs_of(self.trials.hypotheses[0], self.data,
                         [self.candidates[i - 1] for i in best], self.candidates)  # fmt: skip
        samples = stages[-1].samples if stages else FIRST_LOOK
        if self.budget.pairs is not None and found:
            samples = min(samples, self.budget.pairs // (len(found) + len(best)))
        if not found or samples < FEWEST:
            return []
        start = len(self.candidates) + 1
        self.both = [one for one, _, _ in found]
        numbers = self.trials.add([one.hypothesis for one in self.both])
        assert numbers == list(range(start, start + len(found)))
        record = self.journal.done("pairs", shifts_of(len(best) + len(numbers)))
        if record is None:
            record = self._shifts([*best, *numbers], samples)
            self.journal.finish("pairs", record)
        scores = self._score(sign)(
            [*best, *numbers], np.asarray(record["mean"]), np.asarray(record["se"])
        )
        single, double = scores[: len(best)], scores[len(best) :]
        more = [
            n for n, (_, i, j) in enumerate(found)
            if double[n] > max(MORE * max(single[i], single[j]), 0)
        ]  # fmt: skip
        more = [more[i] for i in ranked([float(double[n]) for n in more])]
        return [numbers[n] for n in more[:BOTH]]

    def _best(self, kept: Sequence[int], sign: float) -> list[int]:
        """The best where so few were tried that none raced."""
        if len(kept) <= PAIRED:
            return list(kept)
        record = self.journal.done("singles", shifts_of(len(kept)))
        if record is None:
            record = self._shifts(kept, FIRST_LOOK)
            self.journal.finish("singles", record)
        scores = self._score(sign)(kept, np.asarray(record["mean"]), np.asarray(record["se"]))
        return [kept[i] for i in ranked(scores)[:PAIRED]]

    def _shifts(self, numbers: Sequence[int], samples: int) -> dict[str, list[float]]:
        """Mean shifts on the search's samples, and their standard errors."""
        chunk = self.trials.run([0, *numbers], search_seed(self.settings.seed), 0, samples)
        shifts = [chunk.values[i] - chunk.values[0] for i in numbers]
        return {
            "mean": [float(one.mean()) for one in shifts],
            "se": [float(one.std(ddof=1) / np.sqrt(samples)) for one in shifts],
        }

    def _confirm(
        self, chunk: Chunk, numbers: Sequence[int], tolerance: float, sign: float
    ) -> dict[int, Shift]:
        settings = self.settings
        side = sign if self.improve else 0.0
        shifts = confirm(chunk, 0, numbers, tolerance, self.family, side, LOOKS)
        first = dict(zip(numbers, shifts, strict=True))
        self.reference = chunk.reference
        again = left_open(first, settings.alpha)
        if not again:
            return first
        more = self._run([0, *again], "second look", settings.samples, LONGER * settings.samples)
        whole = Chunk(
            {i: np.concatenate([chunk.values[i], more.values[i]]) for i in [0, *again]},
            np.concatenate([chunk.model, more.model]),
            None,
            np.concatenate([chunk.reference, more.reference]),
        )
        self.reference = whole.reference
        return second_look(first, whole, 0, again, tolerance, self.family, side)

    def _run(self, numbers: Sequence[int], name: str, start: int, stop: int) -> Chunk:
        """Values on some of the held-out samples."""
        shape = values_of(numbers, stop - start, len(self.data))
        record = self.journal.done(name, shape)
        if record is None:
            chunk = self.trials.run(numbers, self.settings.seed, start, stop)
            record = {
                "values": {str(i): chunk.values[i].tolist() for i in numbers},
                "model": chunk.model.tolist(),
                "randomized": None if chunk.randomized is None else chunk.randomized.tolist(),
                "reference": chunk.reference.tolist(),
            }
            self.journal.finish(name, record)
        randomized = record["randomized"]
        return Chunk(
            {i: np.asarray(record["values"][str(i)]) for i in numbers},
            np.asarray(record["model"]),
            None if randomized is None else np.asarray(randomized),
            np.asarray(record["reference"], dtype=np.int64),
        )


def _rounding(first: Mapping[str, Any]) -> float:
    """A mean shift that rounding alone may make, from the first look at the hypothesis."""
    return float(first["precision"] * first["scale"])
