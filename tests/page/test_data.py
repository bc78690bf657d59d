"""What a page holds, without a browser."""

from __future__ import annotations

import base64
import json
import re
import zlib
from typing import Any

import numpy as np
import pytest
import torch

import causal_scrubbing as cs


def held(page: str) -> tuple[dict, bytes]:
    """The data of a page, and the bytes of its arrays."""
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert match is not None
    data = json.loads(match[1])
    return data, zlib.decompress(base64.b64decode(data["binary"]))


def array(place: dict, blob: bytes) -> np.ndarray:
    start, length, kind, width = place["$"]
    found = np.frombuffer(blob, dtype=f"<{kind}", count=length, offset=start)
    return found.reshape(-1, width) if width > 1 else found


@pytest.fixture(scope="module")
def runs() -> tuple[cs.Result, cs.Result]:
    x = torch.arange(40.0)
    data = cs.Dataset(x=x, y=x % 3, k=(x % 4).long(), half=x % 2 == 0)
    nodes: dict[str, Any] = {f"n{i}": (lambda x, i=i: (x + i) % 3, ["x"]) for i in range(6)}
    nodes["m"] = (lambda a, b: a + b, ["n4", "n5"])
    nodes["out"] = (lambda *v: sum(v), ["n0", "n1", "n2", "n3", "m"])
    graph = cs.Graph.build(inputs=["x"], nodes=nodes, output="out")
    leaves = [cs.claim(f"n{i}", "k") for i in range(4)]
    one = cs.Hypothesis(graph, cs.claim("out", cs.exact, *leaves), name="four")
    two = cs.Hypothesis(graph, cs.claim("out", cs.exact, *leaves[:3], cs.claim("m", "half")))
    first, second = cs.scrub([one, two], data, cs.metrics.squared_error("y"), samples=300)
    return first, second


def test_a_page_holds_every_sample_and_the_rows_drawn(runs) -> None:
    run = runs[0]
    data, blob = held(run.report())
    metric = data["metrics"][0]
    samples = run.samples
    np.testing.assert_allclose(array(metric["scrubbed"], blob), samples["scrubbed"], rtol=1e-6)
    rows = array(data["rows"], blob)[array(data["place"], blob)]
    assert (rows == samples["reference"]).all()
    step = data["stepped"]
    names = array(step["names"], blob)
    drawn = names[array(step["rows"], blob)]
    chosen = array(step["samples"], blob)
    keys = [block["key"] for block in data["blocks"]]
    for i, key in enumerate(keys):
        assert (drawn[:, 1 + i] == run.drawn[key][chosen]).all()
    worst = int((samples["scrubbed"] - samples["model"]).abs().argmax())
    assert worst in chosen


def test_shares_on_a_page_are_those_of_the_draws(runs) -> None:
    run = runs[0]
    data, _ = held(run.report())
    n0 = next(block for block in data["blocks"] if block["key"] == "out/n0")
    drawn, above = run.drawn["out/n0"], run.drawn["out"]
    assert n0["swapped"] == (drawn != above).mean()
    assert n0["changed"] == (drawn % 3 != above % 3).mean()
    other = next(block for block in data["blocks"] if block["owner"] is not None)
    assert other["parts"] == ["m"]


def test_unclaimed_nodes_between_the_same_claims_are_one(runs) -> None:
    data, _ = held(runs[0].report())
    names = [node["names"] for node in data["nodes"]]
    assert ["n4", "n5", "m"] in names
    assert ["n0"] in names
    for i, node in enumerate(data["nodes"]):
        assert i not in node["parents"]


def test_a_page_of_several_runs_has_their_forest_and_changed_claims(runs, tmp_path) -> None:
    comparison = cs.compare(list(runs))
    page = comparison.report(tmp_path / "compare.html").read_text(encoding="utf-8")
    assert page == comparison.report()
    assert page.count('class="dot"') == 2
    assert str(comparison.differences[0].difference) in page
    assert re.search(r'out/n3</th><td class="kind">only here', page)
    assert re.search(r'out/m</th><td class="kind">only there', page)
    assert re.search(r'out/n0</th><td class="kind">same', page)
    assert "<script" not in page


def test_controls_colour_a_page_where_they_are_given(runs, tmp_path) -> None:
    run = runs[0]
    metric = cs.metrics.squared_error("y")
    controls = cs.controls(run.hypothesis, run.data, metric, samples=200, random=0)
    page = run.report(controls=controls)
    data, _ = held(page)
    costs = controls.costs()
    assert {"out/n0", "out/~other"} <= set(costs)
    for block in data["blocks"]:
        if block["key"] in costs:
            assert block["cost"]["mean"] == pytest.approx(costs[block["key"]].mean)
        else:
            assert block["cost"] is None
    assert "on 200 common samples (cs.controls)" in data["cost_note"]
    assert page.count("<td>out/n0 not claimed</td>") == 1
    assert "cs.controls)" not in run.report()
    # A saved run knows its hypothesis, so that it takes them too.
    run.save(tmp_path / "run")
    loaded = cs.load(tmp_path / "run")
    assert held(loaded.report(controls=controls))[0]["blocks"][1]["cost"] is not None
    with pytest.raises(cs.ScrubError, match="are of another hypothesis"):
        runs[1].report(controls=controls)
    other = cs.controls(run.hypothesis, run.data, cs.metrics.squared_error("x"), samples=20)
    with pytest.raises(cs.ScrubError, match=r"are of 'squared_error\(x\)', and this result's"):
        run.report(controls=other)
    with pytest.raises(cs.ScrubError, match=r"controls= is bool; pass what cs\.controls"):
        run.report(controls=True)


def test_a_saved_run_has_a_page_with_costs_by_rows(runs, tmp_path) -> None:
    runs[0].save(tmp_path / "run")
    page = cs.load(tmp_path / "run").report()
    data, _ = held(page)
    assert data["stepped"] is None
    assert data["nodes"] == []
    assert "another row was drawn (activations are not kept in a saved run)" in data["cost_note"]
