"""What a run says of itself: how it was made, where its zero is, and what cannot be compared."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.text import Text

import causal_scrubbing as cs
from causal_scrubbing._format import share

C = cs.claim
error = cs.metrics.squared_error("x")


@pytest.fixture
def data() -> cs.Dataset:
    n = torch.arange(12)
    return cs.Dataset(x=n.double(), half=n % 2, third=n % 3, high=n > 5)


@pytest.fixture
def graph() -> cs.Graph:
    return cs.Graph.build(
        inputs=["x"],
        nodes={
            "a": (lambda x: x * 1, ["x"]),
            "b": (lambda x: x * 2, ["x"]),
            "y": (cs.add, ["a", "b"]),
        },
        output="y",
    )


def about(graph: cs.Graph, feature: cs.Feature = "half", **options) -> cs.Hypothesis:
    return cs.Hypothesis(graph, C("y", cs.exact, C("a", feature)), **{"name": "h", **options})


def pictured(result: cs.Result) -> str:
    figure = result.plot()
    found: list[Any] = figure.findobj(Text)
    texts = [text.get_text() for text in found]
    return " ".join("\n".join(texts).split())


# --- where 0% is -------------------------------------------------------------------------------


def test_a_run_says_what_zero_percent_is_everywhere(
    graph: cs.Graph, data: cs.Dataset, tmp_path: Path
) -> None:
    h = about(graph)
    plain = cs.scrub(h, data, error, samples=50)
    base = cs.scrub(h, data, error, samples=50, baseline=about(graph, cs.anything, name="mybase"))
    at = cs.scrub(h, data, error, samples=50, randomize="b")
    exact = cs.exact_scrub(h, data, error, baseline=about(graph, cs.anything, name="mybase"))
    assert str(plain).splitlines()[0] == "h: 50 samples of 12 rows, seed 0; unimportant: per-claim"
    base.save(tmp_path / "run")
    for text in (str(base), str(cs.load(tmp_path / "run")), str(exact)):
        assert "; baseline: mybase (scrubbed)" in text.splitlines()[0]
    assert str(at).splitlines()[0].endswith("; unimportant: per-claim; randomized at b")
    assert "; randomized at b" in str(cs.exact_scrub(h, data, error, randomize="b"))
    for run, told in ((base, "baseline: mybase (scrubbed)"), (at, "randomized at b")):
        assert told in pictured(run)
        assert told in run._repr_html_()
        assert told in run.report()
    assert "&#39;claims&#39;" not in base.report()  # a name, not the hypothesis as plain data


def test_percentages_with_other_zeros_are_not_subtracted(graph: cs.Graph, data: cs.Dataset) -> None:
    h = about(graph)
    base = about(graph, cs.anything, name="mybase")
    plain = cs.scrub(h, data, error, samples=200)
    same = cs.scrub(about(graph, "third"), data, error, samples=200)
    assert plain.recovered.defined
    assert cs.compare([plain, same]).differences[0].recovered.defined
    for run, told in (
        (cs.scrub(h, data, error, samples=200, baseline=base), r"baseline: mybase \(scrubbed\)"),
        (cs.scrub(h, data, error, samples=200, randomize="b"), "randomized at b"),
        (
            cs.scrub(about(graph, within="third"), data, error, samples=200),
            "randomized at y within third",
        ),
    ):
        found = cs.compare([plain, run])
        assert found.differences[0].difference.defined
        assert not found.differences[0].recovered.defined
        zeros = f"randomized at y in run 1, {told} in run 2"
        assert re.search(rf"note: run 2 \(h\): recovered, first - it: .*{zeros}", str(found))


# --- what cannot be compared, and how it can -----------------------------------------------------


def test_runs_on_other_rows_are_told_why(graph: cs.Graph, data: cs.Dataset) -> None:
    one, two = cs.scrub([about(graph), about(graph, "third", name="k")], data, error, samples=99)
    with pytest.raises(cs.ScrubError, match=r"run 2 \(k\) .* on all its samples and run 1 on 'h"):
        cs.compare([one.on("high"), two])
    other = cs.scrub(about(graph), data, error, samples=99, seed=3)
    with pytest.raises(cs.ScrubError, match=r"it has seed 3 and run 1 seed 0. Run both with"):
        cs.compare([one, other])
    assert cs.compare([one.on("high"), two.on("high")]).samples == len(one.on("high"))


def test_a_metric_of_two_names_is_compared_by_both(graph: cs.Graph, data: cs.Dataset) -> None:
    outside = cs.scrub(about(graph), data, {"loss": error}, samples=60)
    scored = graph.append("loss", lambda y, x: (y - x) ** 2, parents=["y", "x"])
    h = cs.Hypothesis(scored, C("loss", cs.exact, C("x", cs.exact), about(graph).root), name="in")
    inside = cs.scrub(h, data, samples=60, randomize="y")
    with pytest.raises(
        cs.ScrubError,
        match=r"run 2 \(h\): no metric is called 'output'; .*metric=\['output', 'loss'\]",
    ):
        cs.compare([inside, outside])
    found = cs.compare([inside, outside], metric=["output", "loss"])
    change = inside.scrubbed.mean - outside.scrubbed.mean
    assert found.differences[0].difference.mean == pytest.approx(change)
    assert str(found).startswith("output / loss, 60 common samples")
    with pytest.raises(cs.ScrubError, match="names 1 metrics for 2 runs"):
        cs.compare([inside, outside], metric=["loss"])


# --- vectors -------------------------------------------------------------------------------------


def both(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    return torch.stack([output, (output - rows["x"]) ** 2], 1)


def test_the_numbers_of_a_vector_have_estimates_tables_and_pictures(
    graph: cs.Graph, data: cs.Dataset, tmp_path: Path
) -> None:
    result = cs.scrub(about(graph), data, {"two": both, "one": error}, samples=300)
    parts = result["two"].components
    assert len(parts) == 2
    assert parts[1] == result["two[1]"]
    assert result["two[1]"].scrubbed.mean == pytest.approx(result["one"].scrubbed.mean)
    assert result["two"].recovered.defined
    assert result["one"].components == ()
    text = str(result)
    assert len(re.findall("note: .*a vector of 2 numbers", text)) == 1
    assert "result['two'].components" in text
    row = f"two[1] {result['two[1]'].model} {result['two[1]'].scrubbed}"
    assert row in " ".join(text.split())
    shown = pictured(result)
    assert "undefined" not in shown
    assert str(result["two[0]"].model) in shown
    assert "two[1]" in result.report()
    assert pickle.loads(pickle.dumps(result["two"])) == result["two"]
    result.save(tmp_path / "run")
    assert cs.load(tmp_path / "run")["two"].components[0] == parts[0]
    with pytest.raises(cs.ScrubError, match=r"'two\[2\]'; there is two \(a vector: two\[0\]"):
        result["two[2]"]


def test_vectors_are_compared_number_by_number(graph: cs.Graph, data: cs.Dataset) -> None:
    runs = cs.scrub([about(graph), about(graph, "third")], data, {"two": both}, samples=80)
    with pytest.raises(
        cs.ScrubError,
        match=r"metric 'two' of run 1 \(h\) is a vector of 2 numbers.*metric='two\[0\]'",
    ):
        cs.compare(runs)
    found = cs.compare(runs, metric="two[0]")
    change = runs[0]["two[0]"].scrubbed.mean - runs[1]["two[0]"].scrubbed.mean
    assert found.differences[0].difference.mean == pytest.approx(change)
    with pytest.raises(cs.ScrubError, match=r"Name one of them, like 'two\[0\]'"):
        runs[0].compare_functions()
    assert runs[0].compare_functions("two[0]").mean_change.defined


# --- tables --------------------------------------------------------------------------------------


def test_tied_claims_have_a_column_each(graph: cs.Graph, data: cs.Dataset, tmp_path: Path) -> None:
    root = C("y", cs.exact, C("a", "half", tie="t"), C("b", "half", tie="t"))
    h = cs.Hypothesis(graph, root)
    result = cs.scrub(h, data, error, samples=40)
    result.save(tmp_path / "run")
    for run in (result, cs.load(tmp_path / "run")):
        assert run.draws["y/b"].equals(run.draws["y/a"].rename("y/b"))
    assert "y/a, y/b (tie t)" in str(h.agreement(data))
    assert "y/a, y/b (tie t)" in result.report()
    exact = C("y", cs.exact, C("a", cs.exact, tie="t"), C("b", "half", tie="t"))
    never = cs.scrub(cs.Hypothesis(graph, exact), data, error, samples=40)
    assert never.never_swapped == ("y/a", "y/b")


def test_means_by_row_come_near_the_exact_ones(graph: cs.Graph, data: cs.Dataset) -> None:
    h = about(graph, "third")
    metric: dict[str, Any] = {"error": error, "two": both}
    table = cs.scrub(h, data, metric, samples=20_000).by_row()
    exact = cs.exact_scrub(h, data, metric).by_row()
    assert table["samples"].sum() == 20_000
    assert list(table.index) == list(exact.index)
    np.testing.assert_allclose(table["model"], exact["model"])
    np.testing.assert_allclose(table["scrubbed"], exact["scrubbed"], rtol=0.15, atol=3)
    vector = cs.scrub(h, data, metric, samples=50).by_row("two")
    assert list(vector.columns) == ["samples", "scrubbed.0", "scrubbed.1", "model.0", "model.1"]


# --- notes ---------------------------------------------------------------------------------------


def test_others_on_a_leaf_is_accepted_without_effect_and_said_so(
    graph: cs.Graph, data: cs.Dataset
) -> None:
    idle = cs.Hypothesis(graph, C("y", cs.exact, C("a", "half", others="third")))
    plain = cs.Hypothesis(graph, C("y", cs.exact, C("a", "half")))
    assert "a carries half  [others third, without effect on a leaf]" in str(idle)
    runs = cs.scrub([idle, plain], data, error, samples=50)
    assert runs[0].draws.equals(runs[1].draws)
    assert runs[0].scrubbed == runs[1].scrubbed
    for notes in (idle.agreement(data).notes, runs[0].notes):
        assert any(note.startswith("y/a: others=third has no effect") for note in notes)
    assert not any("no effect" in note for note in runs[1].notes)
    assert cs.permits(idle, plain, data).relation == "equal"
    assert cs.exact_scrub(idle, data, error).expectation == pytest.approx(
        cs.exact_scrub(plain, data, error).expectation
    )
    made = cs.Hypothesis(graph, C("y", cs.exact, C("a", "half", cs.nothing, others="third")))
    assert not any("no effect" in note for note in made.agreement(data).notes)


def test_a_tie_that_ties_nothing_is_noted(graph: cs.Graph, data: cs.Dataset) -> None:
    h = cs.Hypothesis(graph, C("y", cs.exact, C("a", "half", tie="t")))
    assert any("y/a: tie='t' ties it to nothing" in note for note in h.agreement(data).notes)
    tied = cs.Hypothesis(graph, C("y", cs.exact, C("a", "half", tie="t"), C("b", "x", tie="t")))
    assert not any("ties it" in note for note in tied.agreement(data).notes)


def test_a_label_left_unclaimed_has_a_note_of_its_own() -> None:
    data = cs.Dataset(x=[0.0, 1.0, 2.0], mask=[0.0, 1.0, 1.0], label=[0.0, 1.0, 0.0])
    graph = cs.Graph.build(
        inputs=["x", "mask", "label"],
        nodes={
            "e": (lambda x: x * 1, ["x"]),
            "out": (lambda e, mask: e * mask, ["e", "mask"]),
            "loss": (lambda out, label: (out - label) ** 2, ["out", "label"]),
        },
        output="loss",
    )
    root = C("loss", cs.exact, C("out", cs.exact, C("e", "x")))
    notes = cs.scrub(cs.Hypothesis(graph, root), data, samples=20, randomize="out").notes
    (layout,) = (note for note in notes if "scrambles layout" in note)
    (label,) = (note for note in notes if "another row's label" in note)
    assert "'mask' at loss/out" in layout
    assert "label" not in layout
    assert "reaches the inputs label;" in label


def test_a_report_that_is_written_returns_its_path(
    graph: cs.Graph, data: cs.Dataset, tmp_path: Path
) -> None:
    result = cs.scrub(about(graph), data, error, samples=20)
    path = result.report(tmp_path / "report.html")
    assert path == tmp_path / "report.html"
    written, told = path.read_text(encoding="utf-8"), result.report()
    assert written.partition("<svg")[0] == told.partition("<svg")[0]


def test_the_share_of_stuck_samples_is_said_to_be_about_every_claim(
    graph: cs.Graph, data: cs.Dataset
) -> None:
    result = cs.scrub(about(graph), data, error, samples=20)
    told = f"samples in which every claim could only keep its own row: {result.stuck:.1%}"
    assert told in str(result)
    assert told.split(":")[0] in result.report()


def test_small_texts(graph: cs.Graph, data: cs.Dataset) -> None:
    assert repr(cs.free(graph)) == "free(graph of 4 nodes, output 'y')"
    assert dir(cs.metrics) == sorted(cs.metrics.__all__)
    joint = cs.exact_scrub(about(graph, "third"), data, error).joint
    assert str(joint).startswith("joint distribution of the data of 2 draws, as ")
    assert "probability" in str(joint)
    assert str(joint).endswith("more rows: .table()")
    assert "\n" not in repr(joint)


# --- what is never rounded away -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "places", "shown"),
    [
        (0, 0, "0%"), (1, 0, "100%"), (0.004, 0, "<1%"), (0.996, 0, ">99%"), (0.5, 0, "50%"),
        (0.0004, 1, "<0.1%"), (0.99999, 1, ">99.9%"), (0.0005, 2, "0.05%"), (1.0, 1, "100.0%"),
    ],
)  # fmt: skip
def test_only_none_reads_0_and_only_all_reads_100_percent(value, places, shown) -> None:
    assert share(value, places) == shown


def test_almost_all_stuck_is_not_shown_as_all(graph: cs.Graph, data: cs.Dataset) -> None:
    run = cs.scrub(about(graph), data, error, samples=60)
    almost = replace(run, stuck=0.9996)
    told = "samples in which every claim could only keep its own row: >99.9%"
    for text in (str(almost), pictured(almost), almost._repr_html_(), almost.report()):
        assert told in text.replace("&gt;", ">").replace("</dt><dd>", ": ")
    rows = cs.Dataset(x=torch.arange(1000).double(), key=(torch.arange(1000) - 2).clamp(min=0))
    assert ">99% of the data is alone in its class of key" in str(
        about(graph, "key").agreement(rows)
    )


def test_a_notebook_and_a_page_say_what_was_never_tested(graph: cs.Graph, data: cs.Dataset) -> None:
    run = cs.scrub(about(graph, "x"), data, error, samples=40)
    told = "claims never swapped, each row alone: y/a"
    stuck = "samples in which every claim could only keep its own row"
    for text in (str(run), run._repr_html_(), run.report()):
        assert told in text
        assert stuck in text
    assert f"{stuck}: 100.0%" in run._repr_html_()


def test_tables_and_pictures_call_the_mean_of_a_baseline_so(
    graph: cs.Graph, data: cs.Dataset
) -> None:
    base = about(graph, cs.anything, name="mybase")
    plain = cs.scrub(about(graph), data, error, samples=60)
    run = cs.scrub(about(graph), data, error, samples=600, baseline=base)
    exact = cs.exact_scrub(about(graph), data, error, baseline=base)
    shown = re.sub(r"<(script|style).*?</\1>", "", run.report(), flags=re.DOTALL)
    for text in (str(run), pictured(run), run._repr_html_(), shown, str(exact)):
        assert "baseline" in text
        assert "randomized" not in text
    assert "randomized" in pictured(plain)
    functions = run.compare_functions()
    assert "(baseline mybase's: " in str(functions)
    assert "baseline mybase" in shown
    assert "random row" not in str(functions) + shown
    assert "(a random row's: " in str(plain.compare_functions())


def test_a_long_vector_says_that_it_is_cut(graph: cs.Graph, data: cs.Dataset) -> None:
    def many(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        return output[:, None] * torch.arange(12)

    def few(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        return many(output, rows)[:, :8]

    told = "of its 12 numbers the first 8 are shown, v[0] to v[7]"
    run = cs.scrub(about(graph), data, {"v": many}, samples=20)
    for text in (str(run), run._repr_html_(), run.report()):
        assert told in text
    assert "are shown" not in str(cs.scrub(about(graph), data, {"v": few}, samples=20))


# --- one of a thing, and things of one name -------------------------------------------------------


def test_one_of_a_thing_is_not_said_in_the_plural(data: cs.Dataset) -> None:
    graph = cs.Graph.build(inputs=["x"], nodes={"y": (torch.clone, ["x"])}, output="y")
    h = cs.Hypothesis(graph, C("y", cs.anything), name="h")
    run = cs.scrub(h, data, error, samples=1)
    texts = [
        str(run), run.report(), repr(h), repr(graph), str(run.explain()),
        str(run.compare_functions()), str(run.compare_distributions()), repr(run.explain()),
        str(cs.ablate(graph, ["x"], data, metric=error, samples=1)), str(cs.compare([run, run])),
        str(cs.scrub(h, data[:1], error, samples=2)), repr(data[:1]),
    ]  # fmt: skip
    for text in texts:
        found = re.search(r"(?<![\d.,])1 (samples|rows|claims|nodes|inputs|pairs|sums)\b", text)
        assert found is None, text[max(found.start() - 40, 0) : found.end() + 40]
    assert "1 sample of 12 rows" in texts[0]
    assert "1 claim," in texts[2]


def test_runs_of_one_name_are_told_apart_by_number(graph: cs.Graph, data: cs.Dataset) -> None:
    runs = cs.scrub([about(graph), about(graph, "third"), about(graph)], data, error, samples=30)
    told = [line for line in str(cs.compare(runs)).splitlines() if line.startswith("swaps")]
    assert told[0].startswith("swaps: run 1 (h) and run 2 (h) are not comparable")
    assert told[1] == "swaps: run 1 (h) and run 3 (h) permit the same swaps"
    other = cs.scrub(about(graph, name="k"), data, error, samples=30)
    assert "swaps: h and k permit the same swaps" in str(cs.compare([runs[0], other]))
    unknown = replace(runs[1], hypothesis=None)
    assert str(cs.compare([runs[0], unknown, runs[2]])).splitlines()[-1] == told[1]


def test_results_are_short_as_a_notebooks_last_line(graph: cs.Graph, data: cs.Dataset) -> None:
    h = about(graph)
    runs = cs.scrub([h, about(graph, "third")], data, error, samples=60)
    found = [
        cs.compare(runs), runs[0].compare_functions(), runs[0].compare_distributions(),
        runs[0].compare_distributions().behaviour, runs[0].explain(), h.agreement(data),
        runs[0].worst_cases(), runs[0].split_variance(),
        cs.interchange(h, data, output="half", read=lambda y: y % 2),
        cs.controls(h, data, error, samples=60),
        cs.refute(h, data, error, budget=600, samples=60, features=["third"], activations=()),
        cs.discover(graph, data, metric=error, features=["third"], samples=600),
    ]  # fmt: skip
    for one in found:
        assert repr(one).startswith(f"{type(one).__name__}(")
        assert "; print it to see" in repr(one)
        assert len(repr(one)) < 150
    assert repr(found[0]) == "Comparison(2 runs, squared_error(x); print it to see them)"


def test_many_claims_never_swapped_are_counted_not_all_named() -> None:
    names = [f"n{i}" for i in range(20)]
    nodes = {name: (torch.sin, ["x"]) for name in names}
    graph = cs.Graph.build(
        inputs=["x"], nodes={**nodes, "y": (lambda *v: sum(v), names)}, output="y"
    )
    h = cs.Hypothesis(graph, C("y", cs.exact, *(C(name, cs.exact) for name in names)))
    result = cs.scrub(h, cs.Dataset(x=torch.arange(5.0)), lambda out, rows: out, samples=20)
    assert len(result.never_swapped) == 20
    assert "each row alone: y/n0, y/n1, y/n2, y/n3, y/n4, y/n5, y/n6 and 13 more" in str(result)
