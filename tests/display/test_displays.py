"""What notebooks show of every public object, and the pictures and tables made of them."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

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
        self.open.append(tag)
        self.styles += [value for name, value in attrs if name == "style" and value]

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
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
    result, second = cs.scrub([h, other], data, metric, samples=60)
    exact = cs.exact_scrub(h, data, metric=metric)
    return {
        "Dataset": data,
        "Graph": graph,
        "Claim": h.root,
        "Hypothesis": h,
        "Agreement": h.agreement(data),
        "Explanation": cs.explain(h, data, samples=60),
        "Result": result,
        "Comparison": cs.compare([result, second]),
        "Distributions": result.compare_distributions(),
        "FunctionComparison": result.compare_functions(),
        "VarianceSplit": result.split_variance(),
        "WorstCases": result.worst_cases(),
        "Refutation": cs.refute(
            h, data, metric=metric, features=["k", "y"], budget=2000, samples=100
        ),
        "Controls": cs.controls(h, data, metric=metric, samples=40),
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
        if kind not in ("Equality", "Specificity", "Estimate", "Scores", "Claim"):
            assert len(repr(one)) < 400, kind


def test_tables_are_written_for_papers_and_notes(shown) -> None:
    for kind in ("Result", "Comparison", "Agreement", "Refutation", "Controls", "Entropy"):
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
    figure = effects.plot()
    drawn = figure.axes[0].images[0].get_array()
    assert drawn.shape == (2, 3)
    assert drawn[1, 2] == pytest.approx(effects["a1.h2", "out"].effect.mean)
    assert figure._repr_png_().startswith(b"\x89PNG")
