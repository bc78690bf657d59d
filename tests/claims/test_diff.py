"""What two claims differ in, from files, runs and bundles."""

from __future__ import annotations

import json
from pathlib import Path

import claimed
import pytest

import causal_scrubbing as cs

METRIC = {"error": cs.metrics.squared_error("y")}


def test_hypotheses_in_files(tmp_path: Path) -> None:
    right, wrong = claimed.hypotheses()
    right.save(tmp_path / "right.json")
    root = cs.claim("out", cs.exact, cs.claim("a", ("x", "z")), cs.claim("b", "z"))
    more = cs.Hypothesis(right.graph, root, name="more", within="z", unimportant="separate")
    more.save(tmp_path / "more.json")
    run = claimed.write(tmp_path, claimed.body())
    found = cs.diff(tmp_path / "right.json", tmp_path / "more.json", run=run, allow_code=True)
    assert found.only_first == {}
    assert found.only_second == {"out/b": "carries z"}
    assert found.changed == {"out/a": ("carries x", "carries (x, z)")}
    assert found.settings == {
        "unimportant": ("per-claim", "separate"),
        "within": ("anything", "z"),
    }
    specific = cs.permits(right, more, claimed.data())
    assert found.permits == str(specific)
    assert "right permits every swap that more permits" in str(found)
    assert found.comparison is None
    json.dumps(found.to_dict(), allow_nan=False)
    same = cs.diff(tmp_path / "right.json", tmp_path / "right.json")
    assert same.same
    assert same.permits is None
    assert "claim the same" in str(same)
    wrong.save(tmp_path / "wrong.json")
    body = json.loads((tmp_path / "wrong.json").read_text())
    body["claims"][1]["node"] = "q"
    (tmp_path / "wrong.json").write_text(json.dumps(body))
    found = cs.diff(tmp_path / "right.json", tmp_path / "wrong.json", run=run, allow_code=True)
    assert found.only_second == {"out/q": "carries z"}
    assert "there is no node 'q'" in found.notes[0]


def test_runs_and_bundles_have_a_paired_difference(tmp_path: Path) -> None:
    results = cs.scrub(claimed.hypotheses(), claimed.data(), METRIC, samples=50)
    folder, file = results[0].save(tmp_path / "run"), results[1].bundle(tmp_path / "b.zip")
    found = cs.diff(folder, file)
    assert found.changed == {"out/a": ("carries x", "carries z")}
    assert found.comparison is not None
    expected = cs.compare(results)
    assert found.comparison.differences == expected.differences
    assert "error, 50 common samples" in str(found)
    other = cs.scrub(claimed.hypotheses()[0], claimed.data(), METRIC, samples=50, seed=9)
    found = cs.diff(folder, other.save(tmp_path / "other"))
    assert found.comparison is None
    assert "no paired difference" in found.notes[0]


def test_what_is_no_claim_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"claims": [{"node": 3}]}')
    with pytest.raises(cs.RunFileError, match=r"/claims/0/node: 3 is not a text"):
        cs.diff(tmp_path / "a.json", tmp_path / "a.json")
    with pytest.raises(cs.ScrubError, match="holds no finished run"):
        cs.diff(tmp_path, tmp_path)
