"""Swaps that cannot change anything are named, and the share that can is counted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import causal_scrubbing as cs

METRIC = {"out": lambda output, rows: output}


def graph(**constant) -> cs.Graph:
    return cs.Graph.build(
        inputs=["x", "z"],
        nodes={
            "sign": (torch.sign, ["x"]),
            "c": (lambda z: torch.ones_like(z), ["z"]),
            "y": (lambda s, c, z: s * c + z, ["sign", "c", "z"]),
        },
        output="y",
    )


def test_a_node_that_is_the_same_on_every_row_is_named() -> None:
    data = cs.Dataset(x=torch.randn(50), z=torch.randn(50))
    h = cs.Hypothesis(
        graph(), cs.claim("y", cs.exact, cs.claim("sign", cs.exact), cs.claim("z", cs.exact))
    )
    result = cs.scrub(h, data, METRIC, samples=200)
    assert result.swaps.constant == ("c",)
    assert "c is the same on every row: taking the value of another row changes" in str(result)
    assert result.gap.mean == 0
    away = cs.scrub(h, data, METRIC, samples=200, check=False)
    assert away.swaps is None


def test_shares_are_those_of_all_samples_where_all_rows_are_looked_at(tmp_path) -> None:
    rng = np.random.default_rng(0)
    data = cs.Dataset(x=torch.tensor(rng.normal(size=40)), z=torch.tensor(rng.integers(0, 3, 40)))
    h = cs.Hypothesis(graph(), cs.claim("y", cs.exact, cs.claim("sign", cs.anything)))
    result = cs.scrub(h, data, METRIC, samples=600)
    assert result.swaps.every
    assert result.swaps.samples == 600
    reference, sign = result.drawn["~ref"], np.sign(data["x"].numpy())
    claim, others = result.swaps.table
    drawn = result.drawn["y/sign"]
    assert claim.draw == "y/sign"
    assert claim.rows == np.mean(drawn != reference)
    assert claim.activations == pytest.approx(np.mean(sign[drawn] != sign[reference]))
    z = data["z"].numpy()
    drawn = result.drawn["y/~other"]
    assert set(others.nodes) == {"c", "z"}
    assert others.activations == pytest.approx(np.mean(z[drawn] != z[reference]))
    assert list(result.swaps.to_frame()["draw"]) == ["y/sign", "y/~other"]
    result.save(tmp_path / "run")
    assert cs.load(tmp_path / "run").swaps == result.swaps


def test_a_part_of_many_rows_is_looked_at() -> None:
    n = 3000
    data = cs.Dataset(x=torch.randn(n), z=torch.randint(0, 3, (n,)))
    h = cs.Hypothesis(graph(), cs.claim("y", cs.exact, cs.claim("sign", cs.anything)))
    swaps = cs.scrub(h, data, METRIC, samples=400).swaps
    assert not swaps.every
    assert swaps.rows <= 64
    claim = swaps.table[0]
    assert 5 <= claim.looked < 400
    assert claim.activations == pytest.approx(0.5, abs=0.4)
    assert "c is the same on every row of" in swaps.notes[0]


def test_unimportant_draws_that_never_change_an_activation_are_named() -> None:
    pairs = torch.arange(50) // 2
    data = cs.Dataset(x=torch.rand(50) + 1, k=pairs, z=pairs.double())
    made = cs.Graph.build(inputs=["x", "z"], nodes={"y": (torch.add, ["x", "z"])}, output="y")
    held = cs.Hypothesis(made, cs.claim("y", cs.exact, cs.claim("x", cs.exact), others="k"))
    result = cs.scrub(held, data, METRIC, samples=100)
    assert "y/~other: other rows were drawn for unimportant parents, and in no swap" in str(result)
    # A feature that fixes the activation is what a claim may say.
    claimed = cs.Hypothesis(
        made, cs.claim("y", cs.exact, cs.claim("x", cs.exact), cs.claim("z", "k"))
    )
    result = cs.scrub(claimed, data, METRIC, samples=100)
    assert "other rows were drawn" not in str(result)
    swap = next(one for one in result.swaps.table if one.draw == "y/z")
    assert swap.important
    assert swap.rows > 0
    assert swap.activations == 0
