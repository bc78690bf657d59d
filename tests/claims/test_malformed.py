"""Run files with faults: each is refused with its place, all of them at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import claimed
import pytest

import causal_scrubbing as cs

Body = dict[str, Any]


def change(*keys: Any) -> Callable[[Body], None]:
    """Put a value, the last of the keys, at a place."""

    def apply(body: Body) -> None:
        inner: Any = body
        for key in keys[:-2]:
            inner = inner[key]
        inner[keys[-2]] = keys[-1]

    return apply


def drop(*keys: Any) -> Callable[[Body], None]:
    def apply(body: Body) -> None:
        inner: Any = body
        for key in keys[:-1]:
            inner = inner[key]
        del inner[keys[-1]]

    return apply


CLAIM = ("hypotheses", 0, "claims", 1)
BINS = {"kind": "bins", "of": "x", "width": -1}
SPLIT = {"nodes": "q", "axis": 1, "into": {"p": 0}}
MODEL = {"kind": "transformers", "folder": "none", "sites": {"a": "b"}, "fields": ["x"]}

CASES: list[tuple[Callable[[Body], None], str, str]] = [
    (drop("format"), "missing-key", ""),
    (change("format", 2), "value", "/format"),
    (change("formats", 1), "unknown-key", "/formats"),
    (drop("model"), "missing-key", ""),
    (change("model", "gpt2"), "type", "/model"),
    (change("model", "kind", "pickle"), "value", "/model/kind"),
    (change("model", "call", "claimed"), "value", "/model/call"),
    (change("model", "call", "os.system('true')"), "value", "/model/call"),
    (change("model", "call", "claimed:nothing"), "code", "/model/call"),
    (change("model", "call", "no_such_module:graph"), "code", "/model/call"),
    (change("model", "arguments", "scale", [1]), "type", "/model/arguments/scale"),
    (change("model", "weights", "w.pt"), "unknown-key", "/model/weights"),
    (change("model", MODEL), "missing-file", "/model/folder"),
    (change("model", {**MODEL, "class": "eval"}), "value", "/model/class"),
    (change("model", "splits", [SPLIT]), "graph", "/model/splits/0"),
    (change("model", "splits", [{"nodes": "a", "axis": 1}]), "missing-key", "/model/splits/0"),
    (change("data", "file", "none.parquet"), "missing-file", "/data/file"),
    (change("data", "file", "claim.json"), "value", "/data/file"),
    (change("data", "format", "pickle"), "value", "/data/format"),
    (change("data", "format", "arrow"), "data", "/data/file"),
    (change("data", "fields", {"q": "int64"}), "unknown-field", "/data/fields/q"),
    (change("data", "fields", {"x": "complex"}), "value", "/data/fields/x"),
    (change("data", "fields", {"word": "int64"}), "data", "/data/fields/word"),
    (change("data", "weights", "w"), "unknown-field", "/data/weights"),
    (change("data", "rows", 0), "value", "/data/rows"),
    (change("hypotheses", []), "value", "/hypotheses"),
    (change("hypotheses", 1, 3), "type", "/hypotheses/1"),
    (change("require", "bounds", [None]), "type", "/require/bounds/0"),
    (change("hypotheses", 1, "name", "right"), "twice", "/hypotheses/1/name"),
    (drop("hypotheses", 0, "claims"), "choice", "/hypotheses/0"),
    (change("hypotheses", 0, "file", "h.json"), "choice", "/hypotheses/0"),
    (change("hypotheses", 0, {"name": "h", "file": "h"}), "missing-file", "/hypotheses/0/file"),
    (change(*CLAIM, "feature", "nearly"), "feature", "/hypotheses/0/claims/1/feature"),
    (change(*CLAIM, "feature", {"kind": "lambda"}), "value", "/hypotheses/0/claims/1/feature/kind"),
    (change(*CLAIM, "feature", ["x", BINS]), "value", "/hypotheses/0/claims/1/feature/1/width"),
    (change(*CLAIM, "feature", "pair[7]"), "feature", "/hypotheses/0/claims/1/feature"),
    (change(*CLAIM, "node", "q"), "hypothesis", "/hypotheses/0/claims/1"),
    (change(*CLAIM, "vai", ["b"]), "unknown-key", "/hypotheses/0/claims/1/vai"),
    (change(*CLAIM, "via", "b"), "type", "/hypotheses/0/claims/1/via"),
    (
        change("hypotheses", 0, "claims", 0, "children", [9]),
        "hypothesis",
        "/hypotheses/0/claims/0",
    ),
    (
        change("hypotheses", 1, "root", "children", 0, "feature", 3),
        "type",
        "/hypotheses/1/root/children/0/feature",
    ),
    (
        change("hypotheses", 1, "root", "children", 0, "node", "q"),
        "hypothesis",
        "/hypotheses/1/root/children/0",
    ),
    (
        change("hypotheses", 1, "root", "children", 0, "feature", "q"),
        "feature",
        "/hypotheses/1/root/children/0/feature",
    ),
    (change("hypotheses", 0, "unimportant", "zero"), "value", "/hypotheses/0/unimportant"),
    (change("hypotheses", 0, "ablation", "drop"), "hypothesis", "/hypotheses/0"),
    (change("hypotheses", 0, "within", "q"), "feature", "/hypotheses/0/within"),
    (change("metrics", {}), "value", "/metrics"),
    (change("metrics", "error", "kind", "exec"), "value", "/metrics/error/kind"),
    (change("metrics", "error", "target", "q"), "unknown-field", "/metrics/error/target"),
    (drop("metrics", "error", "target"), "missing-key", "/metrics/error"),
    (change("metrics", "a/b~c", {"kind": "accuracy"}), "missing-key", "/metrics/a~1b~0c"),
    (change("run", "samples", 1), "value", "/run/samples"),
    (change("run", "samples", 500.0), "type", "/run/samples"),
    (change("run", "samples", "many"), "value", "/run/samples"),
    (change("run", "seed", -1), "value", "/run/seed"),
    (change("run", "randomize", "q"), "graph", "/run/randomize"),
    (change("run", "baseline", "q"), "hypothesis", "/run/baseline"),
    (change("require", "bounds", [{"metric": "error"}]), "choice", "/require/bounds/0"),
    (
        change("require", "bounds", 0, "metric", "loss"),
        "unknown-metric",
        "/require/bounds/0/metric",
    ),
    (change("require", "bounds", 0, "at_least", "90"), "type", "/require/bounds/0/at_least"),
    (change("require", "untested", 2), "value", "/require/untested"),
    (change("require", "refutation", {}), "missing-key", "/require/refutation"),
]


@pytest.mark.parametrize(("apply", "code", "place"), CASES, ids=[c[2] + " " + c[1] for c in CASES])
def test_each_fault_has_its_place(
    tmp_path: Path, apply: Callable[[Body], None], code: str, place: str
) -> None:
    body = claimed.body()
    apply(body)
    found = cs.check(claimed.write(tmp_path, body), allow_code=True)
    assert [(one.code, one.place) for one in found.faults] == [(code, place)]
    assert found.status == 2
    assert found.faults[0].message.endswith((".", "?"))
    assert place in str(found)


TEXTS = [
    ("claim.json", "{", "not JSON"),
    ("claim.json", "[]", "is not a table"),
    ("claim.json", '{"format": 1, "format": 1}', "given twice"),
    ("claim.json", '{"format": NaN}', "NaN is not a JSON number"),
    ("claim.json", '{"format": 1e999}', "not a finite number"),
    ("claim.json", "[" * 100_000, "nested"),
    ("claim.json", "[" * 200 + "]" * 200, "nested more than 100 deep"),
    ("claim.toml", "format = ", "not TOML"),
    ("claim.toml", "format = 1\nformat = 1", "not TOML"),
]


@pytest.mark.parametrize(("name", "text", "message"), TEXTS)
def test_what_is_not_a_table_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    found = cs.check(claimed.write(tmp_path, text, name))
    assert message in str(found)
    assert found.status == 2


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    assert [one.code for one in cs.check(tmp_path / "none.json").faults] == ["missing-file"]
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    assert [one.code for one in cs.check(tmp_path / "bytes.json").faults] == ["syntax"]


def test_claims_nested_too_deeply_for_a_reader_are_refused(tmp_path: Path) -> None:
    body = claimed.body()
    inner = body["hypotheses"][1]["root"]
    for _ in range(46):
        inner["children"] = [{"node": "a", "feature": "x"}]
        inner = inner["children"][0]
    found = cs.check(claimed.write(tmp_path, body), allow_code=True)
    assert {one.code for one in found.faults} <= {"syntax", "hypothesis"}
    assert found.status == 2


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    body = claimed.body()
    for apply in (
        change("metrics", "error", "target", "q"),
        change("hypotheses", 0, "claims", 1, "feature", "nearly"),
        change("hypotheses", 1, "name", "right"),
        change("require", "bounds", 0, "metric", "loss"),
    ):
        apply(body)
    with pytest.raises(cs.RunFileError, match=r"has 5 faults:") as caught:
        cs.RunFile.read(claimed.write(tmp_path, body))
    assert {one.place for one in caught.value.faults} == {
        "/metrics/error/target",
        "/hypotheses/0/claims/1/feature",
        "/hypotheses/1/name",
        "/require/bounds/0/metric",
        "/model/call",
    }
