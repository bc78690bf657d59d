from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from carries import carry, true
from refutable import interference
from scipy import stats

import causal_scrubbing as cs
from causal_scrubbing._controls import variants


def loss(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    return (output - rows["label"].double()) ** 2


def test_controls_show_what_each_part_is_worth() -> None:
    graph, data = carry()
    table = cs.controls(true(graph), data, loss, samples=1500)
    by_text = {row.text: row for row in table.rows}
    assert table.rows[0].kind == "itself"
    assert table.rows[0].recovered.mean == pytest.approx(100)
    trivial = by_text["trivial: the output carries anything"]
    assert abs(trivial.recovered.mean) < 4 * trivial.recovered.se
    assert by_text["all exact: the model itself"].recovered.mean == pytest.approx(100)
    # Nothing is lost by taking abc whole or refining it; all is by removing it.
    assert by_text["y/abc taken whole"].difference.mean == 0
    assert by_text["y/abc carries exact"].difference.mean == 0
    removed = by_text["y/abc not claimed"]
    assert removed.p < 1e-6
    assert abs(removed.recovered.mean) < 5 * removed.recovered.se
    for text in ("y/abc/ab not claimed", "y/abc/c carries anything"):
        assert by_text[text].p < 1e-6
    assert all(row.recovered.mean < 90 for row in table.of("random feature"))
    assert {row.kind for row in table.rows} >= {
        "bound", "policy", "coarsened", "refined", "removed", "unexpanded", "random nodes"
    }  # fmt: skip
    assert "less the hypothesis's" in str(table)
    assert len(table.to_frame()) == len(table.rows)
    json.dumps(table.to_dict(), allow_nan=False)


def test_controls_agree_with_scrub() -> None:
    h, data, metric = interference("per-claim")
    table = cs.controls(h, data, metric, samples=400, seed=3)
    assert [row.text.split()[0] for row in table.of("ablation")] == ["zero", "mean", "resample"]
    made, _ = variants(h, data, 3, 3)
    for variant, row in zip(made, table.rows[1:], strict=True):
        if row.text.startswith(("zero", "mean")) or "not causal" in row.text:
            continue  # tested by themselves: no swaps
        result = cs.scrub(variant.hypothesis, data, metric, samples=400, seed=3, keep_outputs=False)
        s, m, r = (result.samples[name].mean() for name in ("scrubbed", "model", "randomized"))
        assert row.scrubbed.mean == pytest.approx(s), row.text
        assert row.recovered.mean == pytest.approx(100 * (s - r) / (m - r)), row.text


def test_costs_are_what_keeping_one_draws_row_saves() -> None:
    h, data, metric = interference("per-claim")
    table = cs.controls(h, data, metric, samples=400, seed=3, random=0)
    costs = table.costs()
    refined = {row.text: row for row in table.of("refined")}
    assert set(costs) == {row.draw for row in refined.values()}
    assert f"{h.root.label}/~other" in costs
    for text, row in refined.items():
        path = text.split("'")[0].split()[0]
        assert row.draw in (path, f"{path}/~other")
        cost = costs[row.draw]
        assert cost.mean == pytest.approx(table.rows[0].scrubbed.mean - row.scrubbed.mean)
        assert cost.interval[0] <= cost.mean <= cost.interval[1]


def test_a_randomly_initialised_copy_stands_beside() -> None:
    graph, data = carry()
    other = cs.Graph.build(
        inputs=["a", "b", "c", "d"],
        nodes={
            "ab": (torch.mul, ["a", "b"]),
            "noise": (lambda d, a: d + a, ["d", "a"]),
            "abc": (torch.sub, ["ab", "c"]),
            "y": (lambda s, n: s.double() + n, ["abc", "noise"]),
        },
        output="y",
    )
    table = cs.controls(true(graph), data, loss, samples=300, random=1, reinitialised=other)
    (row,) = table.of("reinitialised")
    assert not row.difference.defined
    assert math.isnan(row.p)
    json.dumps(table.to_dict(), allow_nan=False)


def test_controls_refuse_one_sample() -> None:
    graph, data = carry()
    with pytest.raises(cs.ScrubError, match="at least 2"):
        cs.controls(true(graph), data, loss, samples=1)


# --- what the table holds ---------------------------------------------------------------------


def test_every_inner_claims_unimportant_parents_are_ablated_in_three_ways() -> None:
    x = torch.as_tensor(np.random.default_rng(0).normal(size=50))
    data = cs.Dataset(a=torch.arange(50) % 5, b=x)
    graph = cs.Graph.build(
        inputs=["a", "b"],
        nodes={
            "m": (lambda a: a.double(), ["a"]),
            "n": (lambda b: b + 1.0, ["b"]),
            "u": (torch.add, ["m", "n"]),
            "k": (lambda b: 3.0 * b, ["b"]),
            # n reaches y beside u too: only where it enters u is it ablated.
            "y": (lambda u, n, k: 2 * u + 5 * n + k, ["u", "n", "k"]),
        },
        output="y",
    )
    claims = cs.claim(
        "y", cs.exact, cs.claim("u", "a", cs.claim("m", "a")), cs.claim("n", cs.distinct("b"))
    )
    table = cs.controls(cs.Hypothesis(graph, claims), data, squared, samples=4000, random=0)
    n, k = (x + 1.0).numpy(), (3.0 * x).numpy()
    known = {
        "zero ablation of y's": (k**2).mean(),
        "mean ablation of y's": k.var(),
        "resample ablation of y's": 2 * k.var(),
        "zero ablation of y/u's": 4 * (n**2).mean(),
        "mean ablation of y/u's": 4 * n.var(),
        "resample ablation of y/u's": 8 * n.var(),
        "zero ablation of every claim's": ((k + 2 * n) ** 2).mean(),
        "mean ablation of every claim's": (k + 2 * n).var(),
        "resample ablation of every claim's": k.var() + 4 * n.var() + (k + 2 * n).var(),
    }
    rows = table.of("ablation")
    assert len(rows) == len(known)
    for (text, value), row in zip(known.items(), rows, strict=True):
        assert row.text.startswith(text)
        assert abs(row.scrubbed.mean - value) < 4.5 * row.scrubbed.se, row.text
    texts = [row.text for row in table.of("policy")]
    assert "unimportant parents set to their means (not causal scrubbing)" in texts
    assert "unimportant parents set to zero (not causal scrubbing)" in texts


def squared(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    return (output - rows.model_output) ** 2


def test_controls_say_what_could_not_be_made() -> None:
    graph, data = carry()
    table = cs.controls(true(graph), data, loss, samples=100)
    told = "\n".join(table.notes)
    for part in (
        "not made, ablation: mean ablation of y's unimportant parents (noise), all else kept: "
        "noise holds int64",
        "not made, refined: y: its feature tells every row from every other",
        "not made, reinitialised: pass the graph",
    ):
        assert part in told
        assert part in str(table)
    others = cs.claim("y", cs.exact, cs.claim("abc", "many"), others="d")
    table = cs.controls(cs.Hypothesis(graph, others), data, loss, samples=100, random=0)
    assert any("drawn together" in note and "share the draw" in note for note in table.notes), (
        table.notes
    )
    assert any("agree on anything" in row.text for row in table.of("coarsened"))


def test_a_mean_ablation_keeps_what_has_no_mean() -> None:
    data = cs.Dataset(a=torch.arange(12) % 3, b=torch.arange(12) % 4)
    graph = cs.Graph.build(
        inputs=["a", "b"],
        nodes={
            "mask": (lambda a: a > 1, ["a"]),
            "m": (lambda b: 1.0 * b, ["b"]),
            "u": (lambda a: 1.0 * a, ["a"]),
            "y": (lambda mask, m, u: torch.where(mask, m, u), ["mask", "m", "u"]),
        },
        output="y",
    )
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("u", "a")))
    table = cs.controls(h, data, squared, samples=3000, random=0)
    (row,) = [r for r in table.of("ablation") if r.text.startswith("mean")]
    assert "(mask kept)" in row.text
    # Where the mask holds, in a third of the rows, m is 1.5 and not b: b's variance is 5/4.
    assert abs(row.scrubbed.mean - 1.25 / 3) < 4.5 * row.scrubbed.se
    (policy,) = [r for r in table.of("policy") if "means" in r.text]
    assert policy.difference.mean < 0


def test_what_permits_the_same_swaps_is_tested_once() -> None:
    graph, data = carry()
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("abc", "many")))
    table = cs.controls(h, data, loss, samples=300, random=0)
    by_text = {row.text: row for row in table.rows}
    together = by_text["unimportant parents drawn together"]
    assert together.same == "the hypothesis itself"
    assert math.isnan(together.p)
    whole, model = by_text["y taken whole"], by_text["all exact: the model itself"]
    assert whole.same == model.text
    assert whole.p == model.p
    distinct = [row for row in table.rows[1:] if row.same is None]
    # Holm: the smallest p is multiplied by the number of distinct controls.
    values = {row.text: row.difference for row in distinct}
    best = max(values, key=lambda t: abs(values[t].mean) / max(values[t].se, 1e-9))
    t = values[best].mean / values[best].se
    plain = 2 * stats.t.sf(abs(t), table.samples - 1)
    assert by_text[best].p == pytest.approx(min(1.0, plain * len(distinct)))


def test_values_that_are_not_finite_raise_and_those_of_a_control_are_left_out() -> None:
    graph, data = carry()

    def bad(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        return torch.where(rows["d"] == 1, torch.nan, output)

    with pytest.raises(cs.MetricError, match="model values are not finite"):
        cs.controls(true(graph), data, bad, samples=50)
    with pytest.raises(cs.MetricError, match="model values are not finite"):
        cs.refute(true(graph), data, bad, samples=50)
    pairs = cs.Dataset(a=torch.arange(40) % 4 + 1.0, b=torch.arange(40) % 3 + 1.0)
    ratio = cs.Graph.build(
        inputs=["a", "b"],
        nodes={
            "u": (torch.clone, ["a"]),
            "v": (torch.clone, ["b"]),
            "y": (torch.div, ["u", "v"]),
        },
        output="y",
    )
    h = cs.Hypothesis(ratio, cs.claim("y", cs.exact, cs.claim("u", "a")))
    table = cs.controls(h, pairs, squared, samples=50, random=0)
    row = next(r for r in table.rows if r.text.startswith("zero ablation"))
    assert not row.scrubbed.defined
    assert "undefined" in str(table)
    assert any("not finite" in note for note in table.notes)
    json.dumps(table.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"random": -1}, cs.ScrubError, "random=-1"),
        ({"samples": 2.5}, cs.ScrubError, r"samples=2\.5"),
        ({"seed": -1}, cs.ScrubError, "seed=-1"),
        ({"batch_size": 0}, cs.ScrubError, "batch_size=0"),
        ({"edges": -1}, cs.ScrubError, "edges=-1"),
        ({"device": "abacus"}, cs.ScrubError, "device='abacus' cannot be used"),
        ({"randomize": "zz"}, cs.GraphError, "no node matches 'zz'"),
        ({"reinitialised": 3}, cs.ScrubError, "reinitialised= is int"),
    ],
)
def test_controls_refuse_wrong_arguments(change: dict, error: type, match: str) -> None:
    graph, data = carry()
    with pytest.raises(error, match=match):
        cs.controls(true(graph), data, loss, **{"samples": 20, **change})
