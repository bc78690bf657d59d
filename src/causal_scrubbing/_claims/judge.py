"""The verdict on one hypothesis: whether what was required of it holds, with its grounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

from causal_scrubbing._claims.faults import Fault, pointer
from causal_scrubbing._claims.limits import Limits, OverLimitError
from causal_scrubbing._claims.run_file import RunFile
from causal_scrubbing._controls import controls
from causal_scrubbing._data import feature_from_plain
from causal_scrubbing._display import Displayed
from causal_scrubbing._errors import CausalScrubbingError
from causal_scrubbing._format import plain, short
from causal_scrubbing._refute import refute
from causal_scrubbing._result import Result
from causal_scrubbing._scrub import scrub
from causal_scrubbing._simulate import Options, explain
from causal_scrubbing._statistics import Estimate

Answer: TypeAlias = Literal["holds", "falls short", "untested", "error"]

UNTESTED: Final = 0.1
NEVER_SWAPPED: Final = 0
ROUNDING: Final = 1e-6
"""Bounds hold up to this share of themselves, so that nothing hangs on the last bits of a float."""

LOOKS: Final = 7
"""A confirmation's first look, and one six times as long where it stays open."""
CONFIRMED: Final = 10
"""Additions that a refutation confirms at most: eight, and two pairs."""
ALPHA: Final = 0.05


@dataclass(frozen=True)
class Ground:
    """One reason for a verdict.

    Attributes:
        code: "bound", "untested-share", "never-swapped", "controls", "refutation", "limit".
        answer: what it speaks for.
        message: in words.
        place: of the requirement in the run file, a JSON pointer; "" for one that holds by default.
    """

    code: str
    answer: Answer
    message: str
    place: str = ""


@dataclass(frozen=True, repr=False)
class Verdict(Displayed):
    """What a check says of one hypothesis.

    Attributes:
        name: of the hypothesis.
        answer: "holds", "falls short", "untested" or "error".
        grounds: why, one for each thing required.
        faults: of an error.
        estimates: metric -> model, scrubbed, randomized, gap and recovered, each with its interval.
        function_distance: the scrubbed output at each input against the model's own.
        untested: share of samples that could swap nothing, and claims that no sample could swap.
        controls: random hypotheses of equal size, where they were asked for.
        refutation: findings and the shift that would have been seen, where it was asked for.
        result: the whole run, where it was made.
    """

    name: str
    answer: Answer
    grounds: tuple[Ground, ...] = ()
    faults: tuple[Fault, ...] = ()
    estimates: Mapping[str, Any] = field(default_factory=dict)
    function_distance: Mapping[str, Any] | None = None
    untested: Mapping[str, Any] | None = None
    controls: Mapping[str, Any] | None = None
    refutation: Mapping[str, Any] | None = None
    result: Result | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the run as plain data for strict JSON; its schema is published."""
        found: dict[str, Any] = plain(replace(self, result=None))
        del found["result"]
        return found

    def __repr__(self) -> str:
        return f"Verdict({self.name}: {self.answer}; print it)"

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.answer}"]
        lines += [f"  {one.answer}: {one.message}" for one in self.grounds]
        lines += [f"  {fault}" for fault in self.faults]
        if self.result is not None:
            lines += ["", *(f"  {line}" for line in str(self.result).split("\n"))]
        return "\n".join(lines)


def judge(run: RunFile, name: str, limits: Limits) -> Verdict:
    """The verdict on one hypothesis of a run file.

    Args:
        run: the run file.
        name: of the hypothesis.
        limits: what the check may take.
    """
    number = [one["name"] for one in run.body["hypotheses"]].index(name)
    try:
        with limits.watch():
            verdict = _estimated(run, name, _scrubbed(run, name, limits))
    except OverLimitError as error:
        return Verdict(name, "untested", (Ground("limit", "untested", str(error)),))
    except CausalScrubbingError as error:
        fault = Fault("run", pointer("hypotheses", number), str(error))
        return Verdict(name, "error", faults=(fault,))
    for step in (_with_controls, _with_refutation):
        verdict = _tried(step, run, verdict, limits, number)
    order: tuple[Answer, ...] = ("error", "falls short", "untested", "holds")
    answers = [one.answer for one in verdict.grounds]
    if verdict.faults:
        answers.append("error")
    return replace(verdict, answer=min(answers, key=order.index, default="untested"))


def _tried(
    step: Callable[[RunFile, Verdict, Limits], Verdict],
    run: RunFile,
    verdict: Verdict,
    limits: Limits,
    number: int,
) -> Verdict:
    """A verdict with what a further step found, or why it found nothing."""
    try:
        with limits.watch():
            return step(run, verdict, limits)
    except OverLimitError as error:
        ground = Ground("limit", "untested", str(error))
        return replace(verdict, grounds=(*verdict.grounds, ground))
    except CausalScrubbingError as error:
        fault = Fault("run", pointer("hypotheses", number), str(error))
        return replace(verdict, faults=(*verdict.faults, fault))


def _scrubbed(run: RunFile, name: str, limits: Limits) -> Result:
    h = run.hypotheses[name]
    options = Options(**run.options)
    options["memory"] = limits.memory
    if limits.flops is not None:
        plan = explain(h, run.data, run.metrics, timed=False, **options)
        limits.take(plan.flops.total, f"{plan.samples:,} samples of {name!r}")
    options["progress"] = limits.progress
    return scrub(h, run.data, run.metrics, **options)


def _estimated(run: RunFile, name: str, result: Result) -> Verdict:
    """What the run alone says; the answer is still to be drawn from the grounds."""
    return Verdict(
        name,
        "untested",
        tuple(_bounds(run, name, result)),
        estimates={metric: scores.to_dict() for metric, scores in result.scores.items()},
        function_distance=_function_distance(result),
        untested={"samples": result.stuck, "never_swapped": list(result.never_swapped)},
        result=result,
    )


def _bounds(run: RunFile, name: str, result: Result) -> list[Ground]:
    """Each bound, and what must be tested at all, against the result."""
    require = run.require(name)
    own = next(i for i, one in enumerate(run.body["hypotheses"]) if one["name"] == name)
    entry = run.body["hypotheses"][own].get("require", {})

    def place(*key: object) -> str:
        if key[0] in entry:
            return pointer("hypotheses", own, "require", *key)
        return pointer("require", *key) if key[0] in run.body.get("require", {}) else ""

    grounds = []
    for number, bound in enumerate(require.get("bounds", [])):
        metric = bound.get("metric", next(iter(result.scores)))
        of = bound.get("of", "recovered")
        estimate = getattr(result.scores[metric], of)
        where = place("bounds", number)
        for side in ("at_least", "at_most"):
            if side in bound:
                what = f"{of} of {metric}" if len(result.scores) > 1 else of
                answer, text = _held(estimate, side, float(bound[side]))
                grounds.append(Ground("bound", answer, f"{what} {text}", where))
    if not require.get("bounds"):
        what = "no bound is given: say what must hold, as in bounds = [{ at_least = 90 }]."
        grounds.append(Ground("bound", "untested", what))
    most = require.get("untested", UNTESTED)
    share = 1.0 if result.stuck is None else result.stuck
    grounds.append(
        Ground(
            "untested-share",
            "holds" if share <= most + ROUNDING else "untested",
            f"{share:.1%} of the samples could swap nothing, and {most:.1%} may.",
            place("untested"),
        )
    )
    allowed = require.get("never_swapped", NEVER_SWAPPED)
    never = result.never_swapped
    grounds.append(
        Ground(
            "never-swapped",
            "holds" if len(never) <= allowed else "untested",
            f"{len(never)} claims could never be swapped, and {allowed} may be such"
            + (f": {', '.join(never[:5])}." if never else "."),
            place("never_swapped"),
        )
    )
    return grounds


def _held(estimate: Estimate, side: str, bound: float) -> tuple[Answer, str]:
    """Whether a whole interval lies on the right side of a bound, or on the wrong one."""
    if not estimate.defined:
        return "untested", f"is undefined: {estimate.reason}."
    low, high = estimate.interval
    slack = ROUNDING * max(1.0, abs(bound))
    words = f"{side.replace('_', ' ')} {short(bound, 4)}"
    inside, outside = (
        (low >= bound - slack, high < bound - slack)
        if side == "at_least"
        else (high <= bound + slack, low > bound + slack)
    )
    shown = f"is {estimate.ranged()}"
    if inside:
        return "holds", f"{shown}, {words}."
    if outside:
        return "falls short", f"{shown}, not {words}."
    return "untested", f"{shown}, which leaves open whether it is {words}: take more samples."


def _function_distance(result: Result) -> dict[str, Any] | None:
    try:
        found = result.compare_functions(worst=0)
    except CausalScrubbingError:
        return None  # vectors have no better and worse, and outputs may be of odd kinds
    body: dict[str, Any] = found.to_dict()
    return {key: body[key] for key in ("measures", "better", "worse", "same", "cancelled")}


def _each(result: Result) -> float:
    """Floating-point work of one sample, by the naive method: an upper bound for variants."""
    plan = result.run_plan
    assert plan is not None
    found = plan.explain(result.record.actual)
    return found.flops.naive / max(found.samples, 1)


def _with_controls(run: RunFile, verdict: Verdict, limits: Limits) -> Verdict:
    wanted = run.require(verdict.name).get("controls")
    if wanted is None or verdict.result is None:
        return verdict
    h, samples = run.hypotheses[verdict.name], int(wanted.get("samples", 1000))
    count = int(wanted.get("random", 3))
    made = 1 + 2 * count + 8 + 6 * len(h.tree.claims)
    if limits.flops is not None:
        limits.take(made * samples * _each(verdict.result), f"controls of {verdict.name!r}")
    found = controls(
        h,
        run.data,
        _first(run),
        random=count,
        edges=0,
        samples=samples,
        randomize=run.options.get("randomize"),
        seed=run.options.get("seed", 0),
        memory=limits.memory,
        progress=limits.progress,
    )
    equal = found.of("random nodes")
    own = found.rows[0].recovered
    beaten = [
        row
        for row in equal
        if own.defined and row.recovered.defined
        and row.recovered.mean < own.mean and row.p < ALPHA
    ]  # fmt: skip
    answer: Answer = "untested" if not equal else "falls short"
    if equal and len(beaten) == len(equal):
        answer = "holds"
    text = (
        f"it recovers more than {len(beaten)} of the {len(equal)} random hypotheses of equal size."
    )
    shown = [
        {
            "text": row.text,
            "recovered": row.recovered.to_dict(),
            "difference": row.difference.to_dict(),
            "p": row.p,
            "beaten": row in beaten,
        }
        for row in equal
    ]
    body = {"samples": samples, "random_nodes": shown, "notes": list(found.notes)}
    ground = Ground("controls", answer, text, _required(run, verdict.name, "controls"))
    return replace(verdict, controls=body, grounds=(*verdict.grounds, ground))


def _with_refutation(run: RunFile, verdict: Verdict, limits: Limits) -> Verdict:
    wanted = run.require(verdict.name).get("refutation")
    if wanted is None or verdict.result is None:
        return verdict
    budget, samples = int(wanted["budget"]), int(wanted.get("samples", 1000))
    if limits.flops is not None:
        most = budget + CONFIRMED * LOOKS * samples
        limits.take(most * _each(verdict.result), f"the refutation of {verdict.name!r}")
    found = refute(
        run.hypotheses[verdict.name],
        run.data,
        _first(run),
        features=[feature_from_plain(one) for one in wanted.get("features", [])],
        budget=budget,
        samples=samples,
        tolerance=wanted.get("tolerance"),
        randomize=run.options.get("randomize"),
        seed=run.options.get("seed", 0),
        memory=limits.memory,
        progress=limits.progress,
    )
    if found.findings:
        first = found.findings[0]
        text = (
            f"{len(found.findings)} additions move {found.metric} beyond "
            f"{short(found.tolerance, 3)}, the smallest is: {first.text}, by {first.shift}."
        )
    else:
        text = f"no addition found that moves {found.metric}. {found.power}"
    body = {
        "samples": found.samples,
        "tried": dict(found.tried),
        "tolerance": found.tolerance,
        "detectable": found.detectable,
        "findings": [
            {
                "text": one.text,
                "kind": one.kind,
                "shift": one.shift.to_dict(),
                "towards_model": one.towards_model,
                "p": one.p,
                "bits": one.bits,
                "hypothesis": one.hypothesis.to_dict(),
            }
            for one in found.findings
        ],
        "notes": list(found.notes),
    }
    answer: Answer = "falls short" if found.refuted else "holds"
    ground = Ground("refutation", answer, text, _required(run, verdict.name, "refutation"))
    return replace(verdict, refutation=body, grounds=(*verdict.grounds, ground))


def _first(run: RunFile) -> Any:
    """The first metric, as searches take one; None for the graph's own output."""
    return None if run.metrics is None else dict([next(iter(run.metrics.items()))])


def _required(run: RunFile, name: str, key: str) -> str:
    for number, one in enumerate(run.body["hypotheses"]):
        if one["name"] == name and key in one.get("require", {}):
            return pointer("hypotheses", number, "require", key)
    return pointer("require", key)
