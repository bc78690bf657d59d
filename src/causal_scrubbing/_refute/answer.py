"""From tested shifts to what a search tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from causal_scrubbing._data import Dataset, Ints
from causal_scrubbing._format import short
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._refute.options import SearchSettings
from causal_scrubbing._refute.power import power_of
from causal_scrubbing._refute.refutation import Finding, Refutation, Tried
from causal_scrubbing._refute.where import locate
from causal_scrubbing._statistics import Estimate, Triples, mean_estimate, ranked
from causal_scrubbing._trials import (
    Addition,
    Chunk,
    PoolFeature,
    Shift,
    Stage,
    field_features,
    one_test,
)


@dataclass(frozen=True)
class Tested:
    """What the held-out samples say.

    Attributes:
        chunk: values on those of the first look.
        shifts: of additions, by number.
        cuts: of changes that permit more swaps, by number.
        reference: reference rows of all samples, those of a second look included.
    """

    chunk: Chunk
    shifts: Mapping[int, Shift]
    cuts: Mapping[int, Shift]
    reference: Ints


def answer(
    *,
    h: Hypothesis,
    data: Dataset,
    settings: SearchSettings,
    metric: str,
    improve: bool,
    sign: float,
    candidates: Sequence[Addition],
    named: Sequence[PoolFeature],
    tested: Tested,
    stages: Sequence[Stage],
    cut_stages: Sequence[Stage],
    separate: int | None,
    tolerance: float,
    family: int,
    notes: Sequence[str],
) -> Refutation:
    """The answer of a finished search.

    Args:
        h: the hypothesis.
        data: the dataset.
        settings: of the search.
        metric: name of the metric.
        improve: whether what recovers most is wanted.
        sign: 1 where the model's estimate is the higher one, -1 where it is the lower.
        candidates: all candidates; their numbers begin at 1.
        named: features to tell where a shift lies by.
        tested: the held-out samples.
        stages: of the race of additions.
        cut_stages: of the race of cuts.
        separate: number of the candidate `separate`; None where it is not another hypothesis.
        tolerance: shifts within it do not count.
        family: additions confirmed, at most.
        notes: what a reader should know.
    """
    chunk = tested.chunk
    gap = sign * (float(chunk.model.mean()) - float(chunk.values[0].mean()))
    groupings = list(named) or field_features(data)

    def finding(number: int, shift: Shift) -> Finding:
        addition = candidates[number - 1]
        gain = abs(gap) - abs(gap - sign * shift.mean)
        reference = tested.reference[: len(shift.values)]
        groups, rows = locate(data, groupings, shift.values, reference)
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

    confirmed = [finding(i, shift) for i, shift in tested.shifts.items()]
    found = [one for one in confirmed if one.p <= settings.alpha]
    if improve:
        found = [one for one in found if one.gain_per_bit > 0]
        found = [found[i] for i in ranked([one.gain_per_bit for one in found])]
    else:
        by_shift = [found[i] for i in ranked([abs(one.shift.mean) for one in found])]
        found = [by_shift[i] for i in ranked([-one.bits for one in by_shift])]
    specific = [finding(i, shift) for i, shift in tested.cuts.items()]
    specific = [one for one in specific if one.p <= settings.alpha and not improve]
    specific = [specific[i] for i in ranked([abs(one.shift.mean) for one in specific])]
    told = list(notes)
    left_out = [i for i in (stages[-1].candidates if stages else []) if i not in tested.shifts]
    if left_out:
        some = "; ".join(candidates[i - 1].text for i in left_out[:3])
        told.append(
            f"left out of the confirmation at the last stage (keep={settings.keep}): {some}"
            f"{f'; and {len(left_out) - 3} more' if len(left_out) > 3 else ''}"
        )
    if not found and not improve:
        whole = one_test(chunk.model - chunk.values[0], tolerance)
        if whole.p <= settings.alpha:
            told.append(
                f"the gap to the model is {short(-whole.mean, signed=True)} ± "
                f"{short(whole.se, 2)}: the model itself, with "
                "every draw tied to the reference row, is an addition that moves the estimate "
                "by that much. Which smaller one does was not found."
            )
    spreads = [float(shift.values.std()) for shift in tested.shifts.values()]
    spreads += list(stages[0].sd.values()) if stages else []
    return Refutation(
        hypothesis=h,
        metric=metric,
        scores=Triples(metric, chunk.values[0], chunk.model, chunk.randomized).estimate(
            seed=settings.seed
        ),
        separate=None if separate is None else mean_estimate(chunk.values[separate]),
        findings=tuple(found),
        order="most recovered per bit first" if improve else "smallest first",
        more_specific=tuple(specific),
        tested=tuple(confirmed),
        tried=dict(Counter(one.kind for one in candidates)),
        candidates=_tried(candidates, [*stages, *cut_stages], {**tested.shifts, **tested.cuts}),
        stages=tuple(
            {"candidates": len(s.candidates), "samples": s.samples, "kept": len(s.kept)}
            for s in stages
        ),
        tolerance=tolerance,
        alpha=settings.alpha,
        power=power_of(
            [] if improve else stages,
            spreads,
            settings.samples,
            family,
            settings.alpha,
            tolerance,
        ),
        samples=settings.samples,
        seed=settings.seed,
        notes=tuple(dict.fromkeys(told)),
    )


def _tried(
    candidates: Sequence[Addition], stages: Sequence[Stage], shifts: Mapping[int, Shift]
) -> tuple[Tried, ...]:
    """Each candidate with the shift it last showed."""
    rows = []
    for number, one in enumerate(candidates, 1):
        mean, se, samples = None, None, 0
        for stage in stages:
            if number in stage.mean:
                samples = stage.samples
                mean, se = stage.mean[number], stage.sd[number] / float(np.sqrt(samples))
        if number in shifts:
            shift = shifts[number]
            mean, se, samples = shift.mean, shift.se, len(shift.values)
        rows.append(Tried(one.kind, one.text, one.bits, mean, se, samples, number in shifts))
    return tuple(rows)
