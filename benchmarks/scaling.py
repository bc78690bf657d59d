"""What more workers gain: one process, two worker processes, and two Ray actors, one thread each.

    python benchmarks/scaling.py parens               # five minutes
    python benchmarks/scaling.py smollm2              # six minutes
    python benchmarks/scaling.py parens --seconds 10  # a short form

Prints, for each experiment, seconds by the clock and processor seconds, their ratios, and the cost
model that is fitted to them, carried to 1,000 GPUs. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import bench_models
import bench_parens
import torch

import causal_scrubbing as cs

WANTED = {"speed-up": 1.7, "processor": 1.15, "ray": 1.10}
FIRST = {"parens": 2000, "smollm2": 64}
"""Samples of the run that says how many fill the time."""
SECONDS = {"parens": 90.0, "smollm2": 130.0}
"""Of one process: a worker takes longer to start where the model is larger."""


@dataclass
class Run:
    """One run, measured.

    Attributes:
        clock: seconds by the clock.
        processor: processor seconds of this process and its children; Ray's actors are not such.
        own: processor seconds of this process.
        result: the run.
    """

    clock: float
    processor: float
    own: float
    result: cs.Result


@dataclass
class Model:
    """Seconds that a run of N samples of n rows takes on W workers, each holding the model.

    A worker starts, then runs the clean rows that its samples need, then its samples. Of n rows,
    N samples that draw k rows each need n (1 - exp(-k N / n)). Workers that fill one table
    together need that once; others each for their own samples.

    Attributes:
        start: before the first sample of a worker, its model included.
        fixed: in the process that asked, whatever the number of samples: checks, intervals.
        row: for a clean row.
        sample: for a sample.
        serial: for a sample, in the process that asked: adding and measuring what is known.
        draws: rows that a sample draws.
    """

    start: float
    fixed: float
    row: float
    sample: float
    serial: float
    draws: int

    def rows(self, samples: float, n: int) -> float:
        """Distinct rows that so many samples need."""
        return n * -math.expm1(-self.draws * samples / n)

    def seconds(self, samples: int, n: int, workers: int, *, shared: bool = False) -> float:
        """By the clock."""
        mine = self.rows(samples / workers, n)
        if shared:
            mine = self.rows(samples, n) / workers
        parallel = mine * self.row + samples / workers * self.sample
        return self.start + self.fixed + parallel + samples * self.serial

    def alone(self, samples: int, n: int) -> float:
        """In one process, which starts no other."""
        each = self.sample + self.serial
        return self.fixed + self.rows(samples, n) * self.row + samples * each


def parens() -> tuple[cs.Hypothesis, cs.Dataset, dict[str, Any]]:
    _, experiments, data = bench_parens.problem(4000)
    return experiments["4"], data, {"metric": cs.metrics.cross_entropy("balanced")}


def smollm2() -> tuple[cs.Hypothesis, cs.Dataset, dict[str, Any]]:
    h, data, _, _ = bench_models.smollm2()
    return h, data, {"metric": cs.metrics.to_model("kl")}


EXPERIMENTS: dict[str, Callable[[], tuple[cs.Hypothesis, cs.Dataset, dict[str, Any]]]] = {
    "parens": parens,
    "smollm2": smollm2,
}


def processor() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def measure(h: cs.Hypothesis, data: cs.Dataset, options: dict[str, Any], executor: Any) -> Run:
    clock, spent, own = time.perf_counter(), processor(), time.process_time()
    result = cs.scrub(h, data, executor=executor, keep_outputs=False, progress=False, **options)
    took = time.perf_counter() - clock
    return Run(took, processor() - spent, time.process_time() - own, result)


def samples_for(
    h: cs.Hypothesis, data: cs.Dataset, options: dict[str, Any], seconds: float, first: int
) -> int:
    """As many samples as take one process so long."""
    few, more = (
        measure(h, data, {**options, "samples": count}, None) for count in (first, 3 * first)
    )
    each = max((more.clock - few.clock) / (2 * first), 1e-6)
    return max(3 * first, int((seconds - few.clock) / each) + first)


def fit(one: Run, two: Run, n: int, draws: int) -> Model:
    """The model, from what one process and two workers took."""
    actual, samples = one.result.settings["actual"], len(one.result)
    row = actual["table_seconds"] / max(actual["rows"], 1)
    parts = ("sample_seconds", "metrics_seconds", "comparing_seconds", "drawing_seconds")
    taken = sum(actual[part] for part in parts)
    began = time.process_time()
    one.result.triples().estimate()
    intervals = time.process_time() - began
    # The process that asks makes intervals. The rest of what it does, checks and what is known of
    # every row, takes the same whatever the number of samples.
    serial = intervals / samples
    fixed = max(one.own - actual["table_seconds"] - taken - intervals, 0.0)
    sample = taken / samples
    rest = Model(0.0, fixed, row, sample, serial, draws).seconds(samples, n, 2, shared=True)
    return Model(max(two.clock - rest, 0.0), fixed, row, sample, serial, draws)


def show(name: str, seconds: float, *, ray: bool) -> None:
    h, data, options = EXPERIMENTS[name]()
    options["samples"] = samples_for(h, data, options, seconds, FIRST[name])
    one = measure(h, data, options, None)
    two = measure(h, data, options, cs.executors.Processes(2, threads=1))
    assert one.result.draws.equals(two.result.draws)
    print(f"{name}: {options['samples']:,} samples of {len(data):,} rows")
    print(f"  one process        {one.clock:6.1f} s by the clock, {one.processor:6.1f} s processor")
    print(f"  two workers        {two.clock:6.1f} s by the clock, {two.processor:6.1f} s processor")
    told("speed-up", one.clock / two.clock, at_least=WANTED["speed-up"])
    told("processor seconds", two.processor / one.processor, at_most=WANTED["processor"])
    line = next(x for x in str(two.result.explain()).splitlines() if x.startswith("executor"))
    print(f"  {line}")
    if ray and importlib.util.find_spec("ray") is not None:
        cluster = measure(h, data, options, cs.executors.Ray(address=None, actors=2))
        assert one.result.draws.equals(cluster.result.draws)
        print(f"  two Ray actors     {cluster.clock:6.1f} s by the clock")
        told("Ray to processes", cluster.clock / two.clock, at_most=WANTED["ray"])
    draws = len(h.tree.blocks) + 1
    model = fit(one, two, len(data), draws)
    print(
        f"  fitted: start {model.start:.2g} s, fixed {model.fixed:.2g} s, clean row "
        f"{1e3 * model.row:.3g} ms, sample {1e3 * model.sample:.3g} ms, in the asking process "
        f"{1e6 * model.serial:.3g} us a sample; {draws} rows drawn a sample"
    )
    carry(model, options["samples"], len(data))


def told(what: str, found: float, *, at_least: float = 0.0, at_most: float = math.inf) -> None:
    wanted = f"at least {at_least:.2f}" if at_least else f"at most {at_most:.2f}"
    said = "as wanted" if at_least <= found <= at_most else "NOT as wanted"
    print(f"  {what:<18} {found:6.2f} ({wanted}: {said})")


def carry(model: Model, samples: int, n: int) -> None:
    """The model at other numbers of workers, on a hundred times the samples."""
    many = 100 * samples
    alone = model.alone(many, n)
    print(f"  carried to {many:,} samples ({alone:,.0f} s in one process):")
    for workers in (2, 10, 100, 1000):
        took = model.seconds(many, n, workers)
        parts = {
            "starting": model.start + model.fixed,
            "clean rows": model.rows(many / workers, n) * model.row,
            "samples": many / workers * model.sample,
            "the asking process": many * model.serial,
        }
        largest = max(parts, key=lambda part: parts[part])
        print(
            f"    {workers:5,} workers {took:9,.1f} s, {alone / took:6,.1f} times as fast; "
            f"most of it: {largest}"
        )


def large() -> None:
    """A model of 70 billion parameters on 1,000 GPUs in groups of 8, from its arithmetic."""
    flops, tokens, speed, groups, weights, read = 2 * 70e9, 256, 8 * 4e14, 125, 140e9, 2e9
    row = flops * tokens / speed
    print("70 billion parameters, 1,000 GPUs: 125 groups of 8 ranks, a run of its own each")
    print(f"  a forward pass of {tokens} tokens {1e3 * row:.0f} ms; weights {weights / read:.0f} s")
    for claims, n, samples in ((5, 2000, 10_000), (5, 2000, 1_000_000)):
        # Half of the model is recomputed for a claim, on average.
        model = Model(weights / read, 1.0, row, claims * row / 2, 2e-5, claims + 2)
        alone, took = model.alone(samples, n), model.seconds(samples, n, groups)
        rows = model.rows(samples / groups, n) * row
        print(
            f"  {claims} claims, {n:,} rows, {samples:,} samples: {alone:,.0f} s with one group, "
            f"{took:,.0f} s with {groups} ({alone / took:.0f} times as fast): "
            f"{model.start:.0f} s starting, {rows:.0f} s on clean rows, "
            f"{samples / groups * model.sample:.0f} s on samples, "
            f"{samples * model.serial:.0f} s adding"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiments", nargs="*", default=list(EXPERIMENTS))
    parser.add_argument("--seconds", type=float, help="Of one process.")
    parser.add_argument("--no-ray", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.experiments:
        show(name, given.seconds or SECONDS[name], ray=not given.no_ray)
    large()


if __name__ == "__main__":
    main()
