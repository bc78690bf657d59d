"""Run files: the numbers of their Python twins, verdicts, limits and what the output looks like."""

from __future__ import annotations

import json
from pathlib import Path

import claimed
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest
from jsonschema import Draft202012Validator

import causal_scrubbing as cs
from causal_scrubbing._claims import CHECK, RUN_FILE
from causal_scrubbing._metrics import metric_to_plain


def check(folder: Path, body: dict | None = None, **options) -> cs.Check:
    found = cs.check(claimed.write(folder, body or claimed.body()), allow_code=True, **options)
    Draft202012Validator(CHECK).validate(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    return found


def test_a_file_gives_the_numbers_of_its_python_twin(tmp_path: Path) -> None:
    found = check(tmp_path)
    twins = cs.scrub(
        claimed.hypotheses(),
        claimed.data(),
        {"error": cs.metrics.squared_error("y")},
        samples=300,
        seed=1,
    )
    for verdict, twin in zip(found.verdicts, twins, strict=True):
        assert verdict.result is not None
        assert verdict.result.draws.equals(twin.draws)
        assert verdict.result.samples.equals(twin.samples)
        assert dict(verdict.estimates) == {k: v.to_dict() for k, v in twin.scores.items()}
    assert [one.answer for one in found.verdicts] == ["holds", "falls short"]
    assert found.status == 1
    assert found.verdicts[1].grounds[0].place == "/require/bounds/0"
    assert "at least 90" in str(found)
    assert found.verdicts[0].function_distance is not None


def test_the_schemas_are_schemas() -> None:
    for schema in (RUN_FILE, CHECK):
        Draft202012Validator.check_schema(schema)


def test_toml_and_hypotheses_in_files_of_their_own(tmp_path: Path) -> None:
    right, _ = claimed.hypotheses()
    right.save(tmp_path / "right.json")
    file = claimed.write(
        tmp_path,
        """
format = 1
[model]
kind = "code"
call = "claimed:graph"
[data]
file = "data.parquet"
fields = { x = "float64", z = "float64", y = "float64" }
[[hypotheses]]
name = "saved"
file = "right.json"
require.bounds = [{ at_least = 99.9 }]
[[hypotheses]]
name = "binned"
within = { kind = "anything" }
root = { node = "out", feature = { kind = "exact" }, children = [
    { node = "a", feature = [{ kind = "rounded", of = "x" }, "z"] } ] }
[metrics.error]
kind = "squared_error"
target = "y"
""",
        "claim.toml",
    )
    found = cs.check(file, allow_code=True)
    assert [one.answer for one in found.verdicts] == ["holds", "untested"]
    assert found.verdicts[0].grounds[0].place == "/hypotheses/0/require/bounds/0"
    run = cs.RunFile.read(file, allow_code=True)
    assert run.data.field_names == ("x", "z", "y")
    assert run.hypotheses["binned"].to_dict()["claims"][1]["feature"] == [
        {"kind": "rounded", "of": "x", "decimals": 6},
        "z",
    ]


@pytest.mark.parametrize("name", ["d.parquet", "d.arrow", "d.csv", "d.jsonl"])
def test_data_in_each_format_is_the_same_data(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    table = pa.table({"x": [0.0, 1.0, 2.5], "k": [3, 4, 5], "word": ["a", "b", "a"]})
    if name == "d.parquet":
        pa.parquet.write_table(table, file)
    elif name == "d.arrow":
        pa.feather.write_feather(table, file)
    elif name == "d.csv":
        pa.csv.write_csv(table, file)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    body = claimed.body()
    fields = {"x": "float32", "k": "int32", "word": "text"}
    body["data"] = {"file": name, "fields": fields}
    body["hypotheses"] = [
        {"name": "h", "claims": [{"node": "out", "feature": "word"}]},
    ]
    body["metrics"]["error"]["target"] = "x"
    # The graph reads z, which this data lacks: everything before that was right.
    found = check(tmp_path, body)
    assert [one.code for one in found.faults] == ["hypothesis"]
    body["data"]["fields"] = {**fields, "x": "int64"}
    assert [one.place for one in check(tmp_path, body).faults] == ["/data/fields/x"]


def test_every_metric_with_its_arguments_is_the_one_made_in_python(tmp_path: Path) -> None:
    body = claimed.body()
    body["data"]["fields"] = {"x": "float64", "z": "float64", "y": "int64"}
    body["metrics"] = {
        "a": {"kind": "cross_entropy", "label": "y", "ignore": -100, "where": "x", "per": "token"},
        "b": {"kind": "accuracy", "label": "y"},
        "c": {"kind": "logit_difference", "correct": "y", "wrong": 3, "at": -1},
        "d": {"kind": "squared_error", "target": "y"},
        "e": {"kind": "correlation", "field": "y"},
        "f": {"kind": "to_model", "measure": "kl", "per": "row"},
    }
    body["require"]["bounds"][0]["metric"] = "d"
    run = cs.RunFile.read(claimed.write(tmp_path, body), allow_code=True)
    assert run.metrics is not None
    assert run.metrics["a"] == cs.metrics.cross_entropy("y", ignore=-100, where="x", per="token")
    assert run.metrics["c"] == cs.metrics.logit_difference("y", 3, at=-1)
    assert run.metrics["f"] == cs.metrics.to_model("kl", per="row")
    assert {name: metric_to_plain(one) for name, one in run.metrics.items()} == body["metrics"]
    assert metric_to_plain(lambda output, rows: output) is None


def test_what_was_not_tested_does_not_hold(tmp_path: Path) -> None:
    body = claimed.body()
    body["hypotheses"] = [
        {"name": "all exact", "claims": [
            {"node": "out", "feature": {"kind": "exact"}, "children": [1, 2]},
            {"node": "a", "feature": {"kind": "exact"}},
            {"node": "b", "feature": {"kind": "exact"}},
        ]},
    ]  # fmt: skip
    found = check(tmp_path, body)
    assert found.status == 3
    answers = {one.code: one.answer for one in found.verdicts[0].grounds}
    assert answers == {"bound": "holds", "untested-share": "untested", "never-swapped": "untested"}
    body["require"] |= {"untested": 1.0, "never_swapped": 2}
    assert check(tmp_path, body).status == 0


def test_of_which_nothing_is_required_does_not_hold(tmp_path: Path) -> None:
    body = claimed.body()
    del body["require"]
    found = check(tmp_path, body)
    assert found.status == 3
    assert "no bound is given" in found.verdicts[0].grounds[0].message


def test_an_interval_around_the_bound_leaves_it_open(tmp_path: Path) -> None:
    body = claimed.body()
    recovered = check(tmp_path, body).verdicts[1].estimates["error"]["recovered"]
    low, high = recovered["interval"]
    body["require"]["bounds"] = [{"at_least": (low + high) / 2}]
    found = check(tmp_path, body)
    assert found.verdicts[1].answer == "untested"
    assert "take more samples" in found.verdicts[1].grounds[0].message
    body["require"]["bounds"] = [{"at_most": high + 1}]
    assert [one.answer for one in check(tmp_path, body).verdicts] == ["falls short", "holds"]


def test_controls_and_refutation_are_grounds(tmp_path: Path) -> None:
    body = claimed.body()
    body["require"] |= {
        "controls": {"random": 1, "samples": 200},
        "refutation": {"budget": 20000, "samples": 200, "features": ["x"]},
        "bounds": [{"at_least": -1000}],
    }
    found = check(tmp_path, body)
    right, wrong = found.verdicts
    assert right.refutation is not None
    assert right.refutation["findings"] == []
    assert wrong.answer == "falls short"
    assert wrong.refutation is not None
    assert any("x" in one["text"] for one in wrong.refutation["findings"])
    assert right.controls is not None
    assert {one.code for one in right.grounds} >= {"controls", "refutation"}


def test_limits_are_kept_and_told(tmp_path: Path) -> None:
    found = check(tmp_path, max_flops=1.0)
    assert found.status == 3
    assert all("are allowed" in one.grounds[0].message for one in found.verdicts)
    assert all(one.result is None for one in found.verdicts)
    found = check(tmp_path, max_flops=1e12)
    assert found.status == 1
    assert 0 < found.limits["flops"] < 1e12
    found = check(tmp_path, max_seconds=1e-4)
    assert found.status == 2
    assert [one.code for one in found.faults] == ["limit"]
    body = claimed.body()
    body["model"] = {"kind": "code", "call": "claimed:slow"}
    found = check(tmp_path, body, max_seconds=2.0)
    assert found.status == 3
    for verdict in found.verdicts:
        assert "seconds allowed are over" in verdict.grounds[0].message
        assert verdict.result is None
    with pytest.raises(cs.ScrubError, match="max_flops=0: give a number above 0"):
        cs.check("none.json", max_flops=0)


def test_code_is_not_run_unless_allowed(tmp_path: Path) -> None:
    body = claimed.body()
    body["model"] = {"kind": "code", "call": "claimed:failing"}
    file = claimed.write(tmp_path, body)
    found = cs.check(file)
    assert [(one.code, one.place) for one in found.faults] == [("code", "/model/call")]
    assert "--allow-code" in found.faults[0].hint
    found = cs.check(file, allow_code=True)
    assert "no model today" in found.faults[0].message
    body["model"]["call"] = "claimed:number"
    assert "not a cs.Graph" in check(tmp_path, body).faults[0].message


def test_a_graph_of_its_own_metric_needs_none(tmp_path: Path) -> None:
    body = claimed.body()
    del body["metrics"]
    body["run"]["randomize"] = "a"
    body["require"] = {"bounds": [{"of": "gap", "at_most": 5}]}
    found = check(tmp_path, body)
    assert found.verdicts[0].answer == "holds"
    assert np.isfinite(found.verdicts[0].estimates["output"]["scrubbed"]["mean"])
