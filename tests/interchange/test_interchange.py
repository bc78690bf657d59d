from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from carries import carry, true

import causal_scrubbing as cs
from causal_scrubbing._interchange import draw_pairs


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
    json.dumps(found.to_dict(), allow_nan=False)


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


# --- random programs --------------------------------------------------------------------------


def random_program(
    seed: int, spoil: bool = False
) -> tuple[cs.Hypothesis, cs.Dataset, str, set[str]]:
    """A program of random tables, run by a graph whose nodes also carry what nobody reads.

    Every node holds (value, noise); the nodes after it read the value alone. Some claims are
    leaves, some nodes are claimed in several places, and one claim goes by a route. Spoilt, the
    graph reads a second copy of one node, which is not the one that is claimed.
    """
    rng = np.random.default_rng(seed)
    names = ["a", "b", "c", "d"]
    grid = torch.cartesian_prod(*[torch.arange(3)] * 2, *[torch.arange(2)] * 2)
    fields = {name: grid[:, i] for i, name in enumerate(names)}
    fields["noise"] = torch.as_tensor(rng.integers(0, 100, len(grid)))
    nodes: dict[str, tuple[Callable[..., Any], list[str]]] = {}
    values: dict[str, Any] = dict(fields)
    below: dict[str, list[str]] = {}
    for i in range(5):
        pool = [n for n in [*names, *below] if n != "noise"]
        two = [str(p) for p in rng.choice(pool, 2, replace=False)]
        if i == 4:  # the output reads what nobody has read yet
            unread = [n for n in below if not any(n in reads for reads in below.values())]
            two = list(dict.fromkeys([*unread, *two]))[: max(2, len(unread))]
        table = torch.as_tensor(rng.integers(0, 3, [3] * len(two)))
        nodes[f"n{i}"] = (_lookup(table, i == 4), [*two, "noise"])
        values[f"f{i}"] = table[tuple(values[p.replace("n", "f")] for p in two)]
        below[f"n{i}"] = two
    claimed = {"n4"}

    def claim(node: str) -> cs.Claim:
        feature = cs.exact if node == "n4" else node.replace("n", "f") if node in below else node
        if node not in below or (node != "n4" and rng.uniform() < 0.25):
            return cs.claim(node, feature)
        claimed.update(p for p in below[node])
        return cs.claim(node, feature, *(claim(p) for p in below[node]))

    root = claim("n4")
    spoilt: set[str] = set()
    if spoil:
        inner = [p for p in below["n4"] if p in below]
        if inner:
            victim = str(rng.choice(inner))
            spoilt = {victim}
            nodes["twin"] = nodes[victim]
            fn, reads = nodes["n4"]
            read = ["twin" if p == victim else p for p in reads]
            nodes["n4"] = (lambda *x, fn=fn: fn(*x[:-1]) + 0 * _value(x[-1]), [*read, victim])
    graph = cs.Graph.build(inputs=[*names, "noise"], nodes=nodes, output="n4")
    data = cs.Dataset(**{k: v for k, v in values.items() if k != "n4"})
    return cs.Hypothesis(graph, root), data, "f4", spoilt


def _value(x: torch.Tensor) -> torch.Tensor:
    return x[:, 0] if x.ndim == 2 else x


def _lookup(table: torch.Tensor, last: bool):
    def fn(*arguments: torch.Tensor) -> torch.Tensor:
        *parents, noise = arguments
        found = table[tuple(_value(p) for p in parents)]
        return found if last else torch.stack([found, noise], 1)

    return fn


@pytest.mark.parametrize("shared", [False, True])
def test_random_true_programs_predict_every_interchange(shared: bool) -> None:
    scored = left_out = twice = 0
    for seed in range(40):
        h, data, output, _ = random_program(seed)
        try:
            found = cs.interchange(
                h, data, output=output, read=lambda y: y, samples=100, seed=seed, shared=shared
            )
        except cs.HypothesisError:
            continue  # a constant program, or nothing is predicted
        nodes = [e.claim.node for e in h.tree.claims]
        for row in found.rows:
            if row.n:
                scored += 1
                twice += nodes.count(h.tree[row.path].claim.node) > 1
                assert row.accuracy == 1.0, (seed, row)
        left_out += len(found.notes)
    assert scored > 100
    assert twice > 20
    assert left_out  # the zoo has leaves that a shared node reaches, or constant features


@pytest.mark.parametrize("shared", [False, True])
def test_a_program_that_claims_a_node_nobody_reads_is_caught(shared: bool) -> None:
    caught = 0
    for seed in range(40):
        h, data, output, spoilt = random_program(seed, spoil=True)
        if not spoilt:
            continue
        try:
            found = cs.interchange(
                h, data, output=output, read=lambda y: y, samples=100, seed=seed, shared=shared
            )
        except cs.HypothesisError:
            continue
        for row in found.rows:
            if row.path.split("/")[1:] in [[node] for node in spoilt] and row.changed > 0:
                # Its value reaches nothing: whatever was predicted to change did not.
                others = [e for e in h.tree.claims if e.claim.node in spoilt]
                if len(others) == 1:
                    assert row.accuracy_changed == 0.0, (seed, row)
                    assert row.accuracy == pytest.approx(1 - row.changed)
                    caught += 1
    assert caught > 5


def twice() -> tuple[cs.Hypothesis, cs.Dataset]:
    bits = torch.cartesian_prod(*[torch.arange(2)] * 3)
    a, b, c = bits.T
    data = cs.Dataset(a=a, b=b, c=c, ab=a ^ b, ac=a & c, out=(a ^ b) + (a & c))
    graph = cs.Graph.build(
        inputs=["a", "b", "c"],
        nodes={
            "n": (lambda a: a * 1, ["a"]),
            "u": (torch.bitwise_xor, ["n", "b"]),
            "v": (torch.bitwise_and, ["n", "c"]),
            "y": (torch.add, ["u", "v"]),
        },
        output="y",
    )
    u = cs.claim("u", "ab", cs.claim("n", "a"), cs.claim("b", "b"))
    v = cs.claim("v", "ac", cs.claim("n", "a"), cs.claim("c", "c"))
    return cs.Hypothesis(graph, cs.claim("y", cs.exact, u, v)), data


def test_a_node_claimed_twice_changes_both_places_when_it_is_shared() -> None:
    h, data = twice()
    found = cs.interchange(h, data, output="out", read=lambda y: y, shared=True, samples=400)
    by_path = {row.path: row for row in found.rows}
    assert by_path["y/u/n"].accuracy == by_path["y/v/n"].accuracy == 1.0
    # u and v both turn with a: the sum stays where c = 1 and one falls as the other rises.
    assert 0.5 < by_path["y/u/n"].changed < 1


def test_a_shared_node_that_a_whole_claim_hides_is_left_out() -> None:
    h, data = twice()
    assert h.root.children is not None
    u, _ = h.root.children
    h = h.with_(root=cs.claim("y", cs.exact, u, cs.claim("v", "ac")))
    found = cs.interchange(h, data, output="out", read=lambda y: y, shared=True, samples=100)
    assert "y/u/n" not in [row.path for row in found.rows]
    assert any("n is also upstream of y/v, which is taken whole" in n for n in found.notes)
    own = cs.interchange(h, data, output="out", read=lambda y: y, samples=100)
    assert {row.path: row.accuracy for row in own.rows}["y/u/n"] == 1.0


def test_answers_are_compared_by_value() -> None:
    h, data = twice()
    wrong = cs.interchange(h, data, output="out", read=lambda y: y + 0.9, samples=100)
    assert all(row.accuracy == 0 for row in wrong.rows)
    floats = data.with_fields(out=data["out"].double() / 3)
    right = cs.interchange(h, floats, output="out", read=lambda y: (y / 3).float(), samples=100)
    assert all(row.accuracy == 1 for row in right.rows)


def test_the_other_row_is_drawn_from_those_that_are_comparable() -> None:
    rng = np.random.default_rng(0)
    n = 60
    f, t = rng.integers(0, 3, n), np.sort(rng.integers(0, 4, n))
    f[t == 3] = 1  # here no row disagrees
    weights = rng.uniform(0.1, 2, n)
    data = cs.Dataset(weights=weights, f=f, t=t)
    base, source = draw_pairs(data, "t", "f", "key", 40_000, 0)
    assert (t[base] == t[source]).all()
    assert (f[base] != f[source]).all()
    assert set(t[base]) == {0, 1, 2}
    # Given the base row, by weight among those that may be drawn.
    for row in (0, 5, 20):
        may = (t == t[row]) & (f != f[row])
        drawn = np.bincount(source[base == row], minlength=n)
        wanted = may * data.weights / data.weights[may].sum()
        spread = np.sqrt(wanted * (1 - wanted) / drawn.sum())
        assert (np.abs(drawn / drawn.sum() - wanted) <= 4.5 * spread + 1e-12).all()


def test_what_cannot_be_predicted_is_said_in_strict_json_too() -> None:
    h, _ = twice()
    two = cs.Dataset(a=[0, 1], b=[0, 1], c=[0, 1], out=[0, 1])
    claims = cs.claim("y", cs.exact, cs.claim("u", "a"), cs.claim("v", "c"))
    found = cs.interchange(h.with_(root=claims), two, output="out", read=lambda y: y)
    assert "no prediction" in str(found)
    assert "nan" not in str(found)
    assert "no row of the dataset has any of the combinations" in found.notes[0]
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"samples": 0}, "samples=0"),
        ({"samples": -1}, "samples=-1"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"read": "argmax"}, "read='argmax'"),
        ({"read": lambda y: y.nothing}, "read= failed on outputs of shape"),
        ({"output": "pair"}, "has 2 numbers a row"),
        ({"output": "word"}, "holds strings"),
    ],
)
def test_interchange_refuses_wrong_arguments(change: dict, match: str) -> None:
    h, data = twice()
    data = data.with_fields(pair=torch.ones(8, 2), word=["x"] * 8)
    options = {"output": "out", "read": lambda y: y, "samples": 10}
    with pytest.raises(cs.ScrubError, match=match):
        cs.interchange(h, data, **{**options, **change})
