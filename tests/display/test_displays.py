"""What notebooks show of every public object, and the pictures and tables made of them."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.text import Text

import causal_scrubbing as cs
from causal_scrubbing._display import Bar, Box, plot_forest, plot_layers, to_latex, to_markdown

EVIL = "<script>alert('x')</script>&_$|"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.styles: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        if tag != "img":  # it has no end
            self.open.append(tag)
        self.styles += [value for name, value in attrs if name == "style" and value]

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every public object that a person meets."""
    x = torch.arange(24.0)
    data = cs.Dataset(x=x, y=x % 3, k=(x % 2).long(), **{EVIL: (x % 4).long()})
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={
            "a": (lambda x: x % 3, ["x"]), "b": (lambda x: x % 2, ["x"]),
            "out": (lambda a, b: a + b, ["a", "b"]),
        },
        output="out",
    )  # fmt: skip
    claim = cs.claim("a", EVIL, name=EVIL.replace("/", ""))
    h = cs.Hypothesis(graph, cs.claim("out", cs.exact, claim), name=EVIL)
    other = cs.Hypothesis(graph, cs.claim("out", cs.exact, cs.claim("b", "k")), name="other")
    metric = cs.metrics.squared_error("y")
    results = cs.scrub([h, other], data, metric, samples=60)
    result, second = results
    exact = cs.exact_scrub(h, data, metric=metric)
    folder = tmp_path_factory.mktemp("shown")
    plain = cs.Hypothesis(graph, cs.claim("out", cs.exact, cs.claim("a", "k")), name="plain")
    plain.save(folder / "h.json")
    other.save(folder / "other.json")
    controls = cs.controls(h, data, metric=metric, samples=40)
    effects = cs.path_patch(graph, data, metric, senders="a", receivers=["out"], samples=40)
    summed = data.with_fields(t=x % 3 + x % 2, a=x % 3, b=x % 2)
    third = cs.claim("out", "t", cs.claim("a", "a"), cs.claim("b", "b"))
    exchanged = cs.interchange(
        cs.Hypothesis(graph, third), summed, output="t", read=lambda out: out, samples=20
    )
    refutation = cs.refute(h, data, metric=metric, features=["k", "y"], budget=2000, samples=100)
    return {
        "Dataset": data,
        "Graph": graph,
        "Claim": h.root,
        "Hypothesis": h,
        "Agreement": h.agreement(data),
        "Explanation": cs.explain(h, data, samples=60),
        "Result": result,
        "Results": results,
        "Verification": cs.verify(result.save(folder / "run")),
        "Swaps": result.swaps,
        "Comparison": cs.compare([result, second]),
        "Distributions": result.compare_distributions(),
        "FunctionComparison": result.compare_functions(),
        "VarianceSplit": result.split_variance(),
        "WorstCases": result.worst_cases(),
        "Refutation": refutation,
        "Controls": controls,
        "Control": controls.rows[0],
        "PathEffects": effects,
        "PathEffect": effects.rows[0],
        "Interchange": exchanged,
        "Exchanged": exchanged.rows[0],
        "Discovery": cs.discover(graph, data, metric, features=["y"], depth=1, most=2, samples=40),
        "Diff": cs.diff(folder / "h.json", folder / "other.json"),
        "ExactResult": exact,
        "Entropy": cs.entropy(h, data),
        "Ablation": cs.ablate(graph, ["a"], data, kind="mean", metric=metric, samples=40),
        "Equality": cs.check_equal(graph, graph, data),
        "Specificity": cs.permits(h, other, data),
        "Estimate": result.gap,
        "Scores": result[result.metrics[0]],
    }


def test_every_object_has_a_static_display_and_a_short_name(shown) -> None:
    for kind, one in shown.items():
        assert type(one).__name__ == kind
        page = one._repr_html_()
        tags = Tags()
        tags.feed(page)
        assert tags.open == [], kind
        assert "script" not in tags.tags, kind
        # The notebook's own colours, light or dark: only the edge of a note has one of its own.
        for style in tags.styles:
            assert "background" not in style, kind
            assert not style.startswith("color"), kind
        assert len(page) > 40, kind
        assert len(repr(one)) <= 240, kind
        assert "\n" not in repr(one), kind
        assert "object at 0x" not in repr(one), kind


BARE = {"Dictionary", "Fault", "Ground", "Options", "RunFile", "Where"}
"""Public classes that no one is given to look at: arguments, and parts of what has a display."""

ELSEWHERE = {"Check", "Explanation", "Finding", "Rerun", "SiteMap", "Verdict"}
"""Shown by tests beside what makes them, or already above under what holds them."""


def test_every_public_class_has_a_display(shown) -> None:
    public = {name: getattr(cs, name) for name in dir(cs) if not name.startswith("_")}
    classes = {
        name
        for name, one in public.items()
        if isinstance(one, type) and not issubclass(one, (Exception, Warning))
    }
    without = {name for name in classes if not hasattr(public[name], "_repr_html_")}
    assert without == BARE
    assert classes - BARE - ELSEWHERE <= set(shown)


def test_a_graph_and_a_hypothesis_are_pictures_that_need_no_script_and_no_theme(shown) -> None:
    for kind in ("Graph", "Hypothesis"):
        page = shown[kind]._repr_html_()
        address = re.search(
            r'<img alt="[^"]+" width="\d+" [^>]*src="data:image/svg\+xml;base64,([^"]+)"', page
        )
        assert address is not None
        svg = ElementTree.fromstring(base64.b64decode(address[1]))
        kinds = [one.tag.split("}")[1] for one in svg.iter()]
        assert kinds.count("rect") == (4 if kind == "Graph" else 3)
        assert set(kinds) == {"svg", "path", "rect", "text"}
        for one in svg.iter("{http://www.w3.org/2000/svg}text"):
            assert one.get("fill") in ("#1a202c", "#4a5568")  # dark, on boxes that are light
    words = [one.text for one in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert [word for word in words if word.startswith("<script>")]


def test_a_large_graph_is_words() -> None:
    nodes = {f"n{i}": (lambda x: x, ["x"]) for i in range(90)}
    nodes["out"] = (lambda *values: sum(values), list(nodes))
    page = cs.Graph.build(inputs=["x"], nodes=nodes, output="out")._repr_html_()
    assert "<img" not in page
    assert "n89" in page


def test_claims_made_by_each_are_one_box(shown) -> None:
    nodes = {f"p{i}": (lambda x: x, ["x"]) for i in range(5)}
    nodes["out"] = (lambda *values: sum(values), [*nodes, "x"])
    graph = cs.Graph.build(inputs=["x"], nodes=nodes, output="out")
    h = cs.Hypothesis(graph, cs.claim("out", cs.exact, *cs.each("p{i}", "x", range(5))))
    texts = [text.get_text() for text in h.plot().axes[0].texts]
    assert sorted(texts) == ["exact\nout", "unimportant\n1 node", "x\n5 of p{i}"]


def test_several_results_are_a_list_and_a_table(shown) -> None:
    results: Any = shown["Results"]
    assert issubclass(type(results), list)
    assert list(results) == [results[0], results[1]]
    assert isinstance(results[:1], type(results))
    assert results[:1] == [results[0]]
    frame = results.to_frame()
    assert list(frame["run"]) == [EVIL, "other"]
    assert frame["scrubbed"][1] == results[1].scrubbed.mean
    assert "alert(&#x27;x" in results._repr_html_()
    assert str(results[1].scrubbed) in str(results)
    assert repr(results) == f"Results(2: {EVIL[:27]}...; other)"
    axes = results.plot().axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [EVIL, "other"]


def test_tables_are_written_for_papers_and_notes(shown) -> None:
    for kind in (
        "Result",
        "Results",
        "Comparison",
        "Agreement",
        "Refutation",
        "Controls",
        "Entropy",
    ):
        one = shown[kind]
        frame = one.to_frame()
        assert isinstance(frame, pd.DataFrame)
        latex, notes = one.to_latex(), one.to_markdown()
        assert latex.startswith("\\begin{tabular}"), kind
        assert latex.count("\\\\\n") == len(frame) + 1, kind
        widths = {line.replace("\\|", "").count("|") for line in notes.splitlines()}
        assert len(widths) == 1, kind
        assert len(notes.splitlines()) == len(frame) + 2, kind
    frame = shown["Result"].to_frame()
    assert frame["scrubbed"][0] == shown["Result"].scrubbed.mean
    assert frame["gap_low"][0] == shown["Result"].gap.interval[0]


def test_names_are_escaped_in_exports() -> None:
    frame = pd.DataFrame({"a|b_c": ["50% & {x}", "new\nline"], "v": [0.5, float("nan")]})
    assert "50\\% \\& \\{x\\} & 0.5 \\\\" in to_latex(frame)
    assert to_markdown(frame).splitlines() == [
        "| a\\|b_c | v |", "| --- | --- |", "| 50% & {x} | 0.5 |", "| new line |  |",
    ]  # fmt: skip


def test_every_picture_shows_itself(shown) -> None:
    result = shown["Result"]
    figures = [
        shown["Graph"].plot(), shown["Hypothesis"].plot(), result.plot(),
        result.plot(list(result.metrics)), result.plot(by="x"), result.plot(by=EVIL),
        result.plot_claims(), result.plot_convergence(), result.plot_cancellation(),
        result.show_sample(3), shown["Comparison"].plot(), shown["Controls"].plot(),
        shown["Refutation"].plot(),
    ]  # fmt: skip
    for figure in figures:
        assert hasattr(figure, "_repr_png_")
    for figure in figures[:2] + figures[9:10]:
        assert figure._repr_png_().startswith(b"\x89PNG")


LONG = "a name of a hypothesis that goes on and on until no line of a picture has room for it, " * 3


@pytest.fixture(scope="module")
def positions() -> cs.Result:
    """A run with a claim for each of six positions, of which two matter; its names are long."""
    tokens = torch.randint(0, 4, (200, 6), generator=torch.Generator().manual_seed(0))
    weights = [0, 0, 3, 0, 2, 0]
    nodes = {f"p{i}": (lambda t, i=i: weights[i] * t[:, i].double(), ["tokens"]) for i in range(6)}
    nodes["out"] = (lambda *values: sum(values), list(nodes))
    graph = cs.Graph.build(inputs=["tokens"], nodes=nodes, output="out")
    data = cs.Dataset(tokens=tokens, odd=tokens % 2)
    claims = cs.each("p{i}", "odd[{i}]", range(6))
    h = cs.Hypothesis(graph, cs.claim("out", cs.exact, *claims), name=LONG)
    return cs.scrub(h, data, {LONG: cs.metrics.to_model("squared_error")}, samples=300)


def test_positions_are_a_strip_with_dots_where_the_cost_is_told_from_0(positions, shown) -> None:
    figure = positions.plot_positions()
    axes = figure.axes[0]
    drawn = np.asarray(axes.images[0].get_array())[0]
    assert len(drawn) == 6
    assert axes.get_title(loc="left") == "out: p# carries odd[#]"
    assert [label.get_text() for label in axes.get_xticklabels()] == list("012345")
    assert set(axes.lines[0].get_xdata()) == {2, 4}
    assert drawn[2] > drawn[4] > 0
    with pytest.raises(cs.ScrubError, match="no two claims of one parent differ by a number"):
        shown["Result"].plot_positions()


def test_no_text_of_a_picture_is_cut_at_its_edge(positions, shown) -> None:
    h, data = positions.hypothesis, positions.data
    metric = {LONG: cs.metrics.to_model("squared_error")}
    others = cs.Hypothesis(h.graph, cs.claim("out", cs.exact, cs.nothing), name=f"the other {LONG}")
    second = cs.scrub(others, data, metric, samples=300)
    figures = {
        "graph": h.graph.plot(), "hypothesis": h.plot(), "scores": positions.plot(),
        "metrics": positions.plot([LONG]), "claims": positions.plot_claims(),
        "positions": positions.plot_positions(), "convergence": positions.plot_convergence(),
        "cancellation": positions.plot_cancellation(), "sample": positions.show_sample(0),
        "by": positions.plot(by="tokens[2]"), "compare": cs.compare([positions, second]).plot(),
        "controls": shown["Controls"].plot(), "refutation": shown["Refutation"].plot(),
        "paths": shown["PathEffects"].plot(), "results": shown["Results"].plot(),
    }  # fmt: skip
    for kind, figure in figures.items():
        figure.draw_without_rendering()
        width, height = figure.get_size_inches() * figure.dpi
        # Ticks outside the axes have labels too, which are not drawn.
        unseen = {label for one in figure.axes for label in one.get_xticklabels()}
        for one in figure.axes:
            low, high = sorted(one.get_ylim())
            for label in one.get_yticklabels():
                if not one.axison or not low <= label.get_position()[1] <= high:
                    unseen.add(label)
        for text in set(figure.findobj(Text)) - unseen:
            if text.get_text().strip():
                box = text.get_window_extent()
                seen = (box.x0 >= -2, box.x1 <= width + 2, box.y0 >= -2, box.y1 <= height + 2)
                assert all(seen), (kind, text.get_text(), box)


def test_a_field_is_drawn_where_its_samples_are(shown) -> None:
    result = shown["Result"]
    axes = result.plot(by=EVIL).axes[0]
    samples = result.samples
    codes = np.arange(24)[samples["reference"]] % 4
    line = axes.containers[0].lines[0]
    assert len(line.get_xdata()) == 4
    means = [samples["model"][codes == k].mean() for k in range(4)]
    assert list(line.get_ydata()) == pytest.approx(means)


def test_pictures_say_what_cannot_be_drawn(shown) -> None:
    result = shown["Result"]
    with pytest.raises(cs.ScrubError, match="there is no sample 60; they are 0 to 59"):
        result.show_sample(60)
    with pytest.raises(cs.DataError, match="has no field 'none'"):
        result.plot(by="none")


def test_layers_stand_to_the_right_of_what_they_read() -> None:
    boxes = {
        "a": Box(text="a"), "b": Box(text="b", parents=("a",)),
        "c": Box(text="c", parents=("a", "b")),
    }  # fmt: skip
    axes = plot_layers(boxes, title="t").axes[0]
    places = {text.get_text(): text.get_position()[0] for text in axes.texts}
    assert places == {"a": 0, "b": 1, "c": 2}
    assert len(axes.lines) == 2  # a to c follows from the others


def test_a_forest_has_a_line_for_each_estimate() -> None:
    bars = [
        Bar(label="one", mean=1, low=0, high=2, text="1"),
        Bar(label="$two$", mean=float("nan"), low=float("nan"), high=float("nan")),
    ]
    axes = plot_forest(bars, title="t", axis="x", guides=()).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "$two$"]
    assert [text.get_text() for text in axes.texts] == ["1", "undefined"]


def test_path_effects_are_a_heatmap_of_layer_and_head() -> None:
    x = torch.arange(12.0)
    names = [f"a{layer}.h{head}" for layer in range(2) for head in range(3)]
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={
            **{name: (lambda x, i=i: i * x, ["x"]) for i, name in enumerate(names)},
            "out": (lambda *values: sum(values), names),
        },
        output="out",
    )
    metric = cs.metrics.to_model("squared_error")
    effects = cs.path_patch(
        graph, cs.Dataset(x=x), metric, senders="a*.h*", receivers=["out"], samples=40
    )
    figure: Any = effects.plot()
    drawn: Any = figure.axes[0].images[0].get_array()
    assert drawn.shape == (2, 3)
    assert drawn[1, 2] == pytest.approx(effects["a1.h2", "out"].effect.mean)
    assert figure._repr_png_().startswith(b"\x89PNG")
