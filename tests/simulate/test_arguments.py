"""Arguments of runs: numpy's numbers are numbers, truth values are none, and faults are named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from resumable import METRIC, problem

import causal_scrubbing as cs

H, DATA = problem()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": True}, "samples=True: give the number of samples"),
        ({"samples": 10.0}, r"samples=10\.0: give the number"),
        ({"samples": "many"}, "samples='many': give the number .* or \"auto\""),
        ({"samples": 0}, "samples=0: give the number"),
        ({"seed": 1.5}, r"seed=1\.5: give the seed"),
        ({"seed": -1}, "seed=-1: give the seed of all draws, an integer of at least 0"),
        ({"seed": False}, "seed=False: give the seed"),
        ({"batch_size": -3}, "batch_size=-3: give how many samples are computed at once"),
        ({"batch_size": 0}, "batch_size=0: give how many"),
        ({"batch_size": 2.5}, r"batch_size=2\.5: give how many"),
        ({"device": "meta"}, "device='meta' cannot be used here: tensors on it have no values"),
        ({"device": "abacus"}, "device='abacus' cannot be used here"),
        ({"device": 1.5}, r"device='1\.5' cannot be used here"),
        ({"store_dtype": torch.int8}, r"store_dtype=torch\.int8: activations can be stored as"),
        ({"store_dtype": torch.bool}, r"store_dtype=torch\.bool: activations can be stored as"),
        ({"store_dtype": "bf16"}, "store_dtype='bf16': activations can be stored as .*bfloat16"),
        ({"randomize": "nope"}, "no node matches 'nope'"),
        ({"randomize": "*"}, r"randomize='\*' is a pattern; name one node"),
        ({"randomize": 3}, "randomize=3: give the name of one node"),
        ({"randomize": "b", "baseline": H}, "randomize= or baseline=, not both"),
        ({"baseline": "mean"}, "baseline='mean' is no hypothesis; make one with cs.Hypothesis"),
        ({"baseline": H.root}, "is no hypothesis; .* or take h.with_"),
        ({"baseline": problem()[0]}, "the baseline hypothesis is about another graph"),
        ({"shared": True}, r"shared=True is gone: executor=cs.executors.Processes\(2\)"),
        ({"out": __file__}, r"out=.*test_arguments\.py is a file; give a folder"),
        ({"hypothesis": "h"}, "'h' is no hypothesis; make one with"),
        ({"hypothesis": H.graph}, "is no hypothesis; make one with"),
        ({"hypothesis": []}, "no hypothesis was given"),
        ({"data": {"x": DATA["x"]}}, "data is dict; wrap it: cs.Dataset"),
        ({"data": DATA["x"]}, "data is Tensor; wrap it: cs.Dataset"),
        ({"memory": {"gpu": 1}}, "names 'gpu', which is no kind of device"),
        ({"memory": {"cuda": "much"}}, "memory='much' is no size"),
        (
            {"memory": 10},
            "one sample needs .* KiB of activations.* the budget is 10 B. Raise memory=",
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("verb", [cs.scrub, cs.explain], ids=["scrub", "explain"])
def test_a_wrong_argument_is_named_at_entry(verb, options, message) -> None:
    given = {"hypothesis": H, "data": DATA, "metric": METRIC, "samples": 20, **options}
    with pytest.raises((cs.ScrubError, cs.GraphError), match=message):
        verb(**given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"graph": torch.nn.Linear(2, 2)}, r"graph is Linear, not a cs.Graph: cs\.capture"),
        ({"graph": H}, r"graph is Hypothesis, not a cs.Graph: its \.graph"),
        ({"data": {"x": DATA["x"]}}, "data is dict; wrap it: cs.Dataset"),
        ({"kind": METRIC["squared"]}, "kind= is a metric; name it: .*metric="),
        ({"kind": METRIC}, "kind= is a metric; name it: .*metric="),
        ({"kind": 3}, "kind=3 is not an ablation; there is 'resample', 'mean', 'zero'"),
        ({"kind": "men"}, "kind='men' is not an ablation; .*Did you mean 'mean'"),
    ],
    ids=str,
)
def test_a_wrong_argument_of_an_ablation_is_named(options, message) -> None:
    given = {"graph": H.graph, "nodes": ["a"], "data": DATA, "metric": METRIC, **options}
    with pytest.raises(cs.ScrubError, match=message):
        cs.ablate(**given)


def test_what_is_no_run_is_not_compared() -> None:
    run = cs.scrub(H, DATA, METRIC, samples=20)
    given: Any
    for given, message in (
        ("ab", "run 1 is 'ab', which is no result"),
        ([run, H], "run 2 is Hypothesis"),
        ([run, "run/"], r"run 2 is 'run/', which is no result; .*cs\.load"),
        (run, "at least two runs"),
        ([], "at least two runs"),
    ):
        with pytest.raises(cs.ScrubError, match=message):
            cs.compare(given)


@pytest.mark.parametrize("tolerance", [0, -1.0, float("nan"), "2", True, None])
@pytest.mark.parametrize("verb", [cs.scrub, cs.explain], ids=["scrub", "explain"])
def test_a_tolerance_is_a_number_above_0(verb, tolerance) -> None:
    with pytest.raises(cs.ScrubError, match=r"tolerance=.*: give the half-width of recovered's"):
        verb(H, DATA, METRIC, samples="auto", tolerance=tolerance, max_samples=100)


def test_numbers_of_numpy_are_numbers() -> None:
    plain = cs.scrub(H, DATA, METRIC, samples=100, seed=3, batch_size=16)
    same = cs.scrub(  # type: ignore[call-overload]
        H, DATA, METRIC, samples=np.int64(100), seed=np.uint8(3), batch_size=np.int32(16)
    )
    assert same.samples.equals(plain.samples)
    assert type(same.settings["samples"]) is int
    auto = cs.scrub(  # type: ignore[call-overload]
        H, DATA, METRIC, samples="auto", tolerance=np.float32(50), max_samples=np.int64(1100)
    )
    assert len(auto) in (1024, 1100)


def test_a_budget_for_several_devices_is_read_on_each() -> None:
    both = cs.scrub(H, DATA, METRIC, samples=20, memory={"cuda": "20GiB", "cpu": "1GiB"})
    assert both.samples.equals(cs.scrub(H, DATA, METRIC, samples=20).samples)


def test_rounding_what_is_stored_is_recorded(tmp_path) -> None:
    rounded = cs.scrub(H, DATA, METRIC, samples=200, store_dtype="bfloat16", memory="1GiB")
    plain = cs.scrub(H, DATA, METRIC, samples=200)
    assert not rounded.samples.equals(plain.samples)
    rounded.save(tmp_path)
    loaded = cs.load(tmp_path)
    for one in (rounded, loaded):
        assert one.settings["store_dtype"] == "bfloat16"
        assert one.settings["memory"] == "1GiB"
        assert one.settings["store"] == "auto"
        assert "activations were stored as bfloat16, which changes results" in str(one)
    assert "stored as" not in str(plain)
    assert plain.settings["store_dtype"] is None
    by_dtype = cs.scrub(H, DATA, METRIC, samples=200, store_dtype=torch.bfloat16)
    assert by_dtype.samples.equals(rounded.samples)


def test_free_is_written_out_to_be_scrubbed() -> None:
    graph = cs.Graph.build(inputs=["x"], nodes={"y": (torch.sin, ["x"])}, output="y")
    data, metric = cs.Dataset(x=torch.arange(9.0)), {"m": lambda out, rows: out}
    free: Any = cs.free(graph)
    with pytest.raises(cs.ScrubError, match=r"write it out with \.hypothesis\(\)"):
        cs.scrub(free, data, metric)
    with pytest.raises(cs.ScrubError, match=r"baseline=.*write it out with \.hypothesis\(\)"):
        cs.scrub(free.hypothesis(), data, metric, baseline=free)
    assert len(cs.scrub(free.hypothesis(), data, metric, samples=20)) == 20
