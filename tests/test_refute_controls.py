from __future__ import annotations

import json
import math

import pytest
import torch
from refutable import interference

import causal_scrubbing as cs
from causal_scrubbing._refute.randoms import Permuted
from causal_scrubbing._refute.variants import variants


def carry() -> tuple[cs.Graph, cs.Dataset]:
    """Does a + b + c carry? Two digits' carry, with a node that does nothing for it."""
    bits = torch.cartesian_prod(*[torch.arange(2)] * 4)
    a, b, c, d = bits.T
    data = cs.Dataset(a=a, b=b, c=c, d=d, many=(a + b + c >= 2), both=a + b, label=(a + b + c >= 2))
    graph = cs.Graph.build(
        inputs=["a", "b", "c", "d"],
        nodes={
            "ab": (torch.add, ["a", "b"]),
            "noise": (lambda d, a: d + a, ["d", "a"]),
            "abc": (torch.add, ["ab", "c"]),
            "y": (lambda s, n: (s >= 2).double() + 0.0 * n, ["abc", "noise"]),
        },
        output="y",
    )
    return graph, data


def loss(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    return (output - rows["label"].double()) ** 2


def true(graph: cs.Graph) -> cs.Hypothesis:
    root = cs.claim(
        "y", cs.exact, cs.claim("abc", "many", cs.claim("ab", "both"), cs.claim("c", "c"))
    )
    return cs.Hypothesis(graph, root, name="carry")


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
    json.dumps(table.to_dict())


def test_controls_agree_with_scrub() -> None:
    h, data, metric = interference("per-claim")
    table = cs.controls(h, data, metric, samples=400, seed=3)
    assert [row.text.split()[0] for row in table.of("ablation")] == ["zero", "mean", "resample"]
    made, _ = variants(h, data, 3, 3)
    for variant, row in zip(made, table.rows[1:], strict=True):
        if row.text.startswith(("zero", "mean")) or "not causal" in row.text:
            continue  # tested by themselves: no swaps
        result = cs.scrub(variant.hypothesis, data, metric, samples=400, seed=3, keep_outputs=False)
        assert row.scrubbed.mean == pytest.approx(result.scrubbed.mean), row.text
        assert row.recovered.mean == pytest.approx(result.recovered.mean), row.text


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


def test_a_permuted_feature_keeps_its_class_sizes() -> None:
    _, data = carry()
    plain, dealt = data.classes("both"), data.classes(Permuted("both", 1))
    assert sorted(plain.sizes) == sorted(dealt.sizes)
    assert plain.digest != dealt.digest


def test_controls_refuse_one_sample() -> None:
    graph, data = carry()
    with pytest.raises(cs.ScrubError, match="at least 2"):
        cs.controls(true(graph), data, loss, samples=1)


# --- interchange ----------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [False, True])
def test_a_true_program_predicts_every_interchange(shared: bool) -> None:
    graph, data = carry()
    found = cs.interchange(
        true(graph), data, output="label", read=lambda y: y > 0.5, samples=300, shared=shared
    )
    assert [row.path for row in found.rows] == ["y/abc", "y/abc/ab", "y/abc/c"]
    for row in found.rows:
        assert row.accuracy == 1.0
        assert row.accuracy_changed == 1.0
    assert found.rows[0].changed == 1.0
    assert 0.3 < found.rows[2].changed < 0.7
    assert "as predicted" in str(found)
    json.dumps(found.to_dict())


def test_a_claim_on_the_wrong_node_fails_interchange() -> None:
    graph, data = carry()
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("noise", "many")))
    found = cs.interchange(h, data, output="label", read=lambda y: y > 0.5, samples=300)
    assert found.rows[0].accuracy == 0.0


def test_claims_under_what_is_no_program_are_left_out_with_a_note() -> None:
    graph, data = carry()
    vague = cs.claim("abc", "many", cs.claim("ab", "a"))
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, vague))
    found = cs.interchange(h, data, output="label", read=lambda y: y > 0.5, samples=100)
    assert [row.path for row in found.rows] == ["y/abc"]
    assert "y/abc is no program" in found.notes[0]


def test_interchange_needs_claims_and_one_answer_a_row() -> None:
    graph, data = carry()
    leaf = cs.Hypothesis(graph, cs.claim("y", cs.exact))
    with pytest.raises(cs.HypothesisError, match="root has no claims"):
        cs.interchange(leaf, data, output="label", read=lambda y: y > 0.5)
    with pytest.raises(cs.HypothesisError, match="no claim's effect on label is predicted"):
        cs.interchange(
            cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.claim("noise", "d"))),
            data, output="label", read=lambda y: y > 0.5,
        )  # fmt: skip
    with pytest.raises(cs.ScrubError, match=r"read= gave shape \[\]"):
        cs.interchange(true(graph), data, output="label", read=lambda y: y.sum())
