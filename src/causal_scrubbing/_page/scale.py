"""Pictures that need no script: the answer between both baselines, and runs one below another."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from causal_scrubbing._page.data import ComparedRun, MetricData
from causal_scrubbing._statistics import Estimate

_WIDTH, _LEFT, _RIGHT = 760.0, 60.0, 700.0


def scale(metrics: Sequence[MetricData], zero: str) -> Markup:
    """Of each metric with both baselines: where scrubbed lies between them, with its interval."""
    parts = [_one(metric, zero) for metric in metrics if metric.scores.scrubbed.defined]
    return Markup("").join(part for part in parts if part)


def _place(low: float, high: float, value: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * (value - low) / (high - low)


def _reach(estimates: Sequence[Estimate]) -> tuple[float, float]:
    ends = [end for one in estimates for end in (one.mean, *one.interval) if math.isfinite(end)]
    low, high = min(ends), max(ends)
    if low == high:
        return low - 1, high + 1
    edge = 0.06 * (high - low)
    return low - edge, high + edge


def _one(metric: MetricData, zero: str) -> Markup:
    scores = metric.scores
    ends = [scores.model, scores.scrubbed, *([scores.randomized] * scores.randomized.defined)]
    low, high = _reach(ends)
    # Better is to the right, as in a percentage.
    if scores.randomized.defined and scores.randomized.mean > scores.model.mean:
        low, high = high, low
    if not scores.randomized.defined and metric.lower_is_better:
        low, high = high, low
    recovered = str(scores.recovered) if scores.recovered.defined else "recovered: undefined"
    said = f"{metric.name}: model {scores.model}, scrubbed {scores.scrubbed}"
    if scores.randomized.defined:
        said += f", {zero} {scores.randomized}"
    parts = [
        Markup(
            '<figure class="scale" tabindex="0"><figcaption>{}</figcaption>'
            '<svg viewBox="0 0 {} 118" role="img" aria-label="{}">'
        ).format(metric.name, _WIDTH, f"{said}; {recovered}"),
        Markup('<line class="axis" x1="{}" x2="{}" y1="62" y2="62"/>').format(_LEFT, _RIGHT),
    ]
    if scores.randomized.defined:
        parts.append(_end(_place(low, high, scores.randomized.mean), zero, scores.randomized, "0%"))
    parts.append(_end(_place(low, high, scores.model.mean), "model", scores.model, "100%"))
    a, b = (_place(low, high, end) for end in _whole(scores.scrubbed))
    x = _place(low, high, scores.scrubbed.mean)
    anchor, side = ("start", 0.0) if x < 200 else ("end", 0.0) if x > 560 else ("middle", 0.0)
    parts.append(
        Markup(
            '<line class="interval" x1="{:.1f}" x2="{:.1f}" y1="62" y2="62"/>'
            '<circle class="dot" cx="{:.1f}" cy="62" r="7"/>'
            '<text class="big" x="{:.1f}" y="22" text-anchor="{}">{}</text>'
            '<text x="{:.1f}" y="42" text-anchor="{}">scrubbed {}</text>'
        ).format(
            min(a, b), max(a, b), x, x + side, anchor,
            scores.recovered.ranged() if scores.recovered.defined else "recovered: undefined",
            x + side, anchor, scores.scrubbed,
        )
    )  # fmt: skip
    parts.append(Markup("</svg></figure>"))
    return Markup("").join(parts)


def _whole(estimate: Estimate) -> tuple[float, float]:
    low, high = estimate.interval
    return (estimate.mean, estimate.mean) if math.isnan(low) else (low, high)


def _end(x: float, label: str, estimate: Estimate, percent: str) -> Markup:
    anchor = "start" if x < 160 else "end" if x > 600 else "middle"
    return Markup(
        '<line class="tick" x1="{:.1f}" x2="{:.1f}" y1="52" y2="72"/>'
        '<text x="{:.1f}" y="90" text-anchor="{}">{}</text>'
        '<text class="soft" x="{:.1f}" y="108" text-anchor="{}">{} ({})</text>'
    ).format(x, x, x, anchor, label, x, anchor, estimate, percent)


def forest(runs: Sequence[ComparedRun]) -> Markup:
    """Runs one below another: recovered with interval, or scrubbed where it is undefined."""
    recovered = all(run.scores.recovered.defined for run in runs)
    what = "recovered" if recovered else "scrubbed"
    estimates = [getattr(run.scores, what) for run in runs]
    low, high = _reach([one for one in estimates if one.defined])
    height = 44 * len(runs) + 56
    parts = [
        Markup(
            '<figure class="scale" tabindex="0">'
            '<svg viewBox="0 0 {} {}" role="img" aria-label="{}">'
        ).format(_WIDTH, height, f"{what} of each run with its 95% interval")
    ]
    for mark in [0, 100] if recovered else []:
        if low <= mark <= high:
            x = _place(low, high, mark)
            parts.append(
                Markup(
                    '<line class="guide" x1="{:.1f}" x2="{:.1f}" y1="6" y2="{}"/>'
                    '<text class="soft" x="{:.1f}" y="{}" text-anchor="middle">{}%</text>'
                ).format(x, x, height - 24, x, height - 8, mark)
            )
    for share in (0.05, 0.5, 0.95):
        value = low + share * (high - low)
        x, text = _place(low, high, value), f"{value:.3g}{'%' if recovered else ''}"
        tick = '<text class="soft" x="{:.1f}" y="{}" text-anchor="middle">{}</text>'
        parts.append(Markup(tick).format(x, height - 22, text))
    for i, (run, one) in enumerate(zip(runs, estimates, strict=True)):
        y = 34 + 44 * i
        a, b = sorted(_place(low, high, end) for end in _whole(one))
        x = _place(low, high, one.mean)
        parts.append(
            Markup(
                '<text x="{}" y="{}">{}: {}</text>'
                '<line class="interval" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>'
                '<circle class="dot" cx="{:.1f}" cy="{}" r="6"/>'
            ).format(_LEFT, y - 14, f"{i + 1}. {run.name}", one, a, b, y, y, x, y)
        )
    parts.append(
        Markup("</svg><figcaption>{}</figcaption></figure>").format(f"{what}, 95% intervals")
    )
    return Markup("").join(parts)
