from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.text import Text

import causal_scrubbing as cs
from causal_scrubbing._report import plot_laws, plot_scores

EVIL = "<script>alert('x')</script>&\""


class Reader(HTMLParser):
    """Tags met, text shown, and whatever the page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and not re.match("#|data:image/png", value):
                self.fetched.append(value)

    def handle_data(self, data) -> None:
        self.text.append(data)


def result(show=None, **options) -> cs.Result:
    x = torch.arange(12.0, dtype=torch.float64)
    data = cs.Dataset(x=x, y=x % 3, k=x % 2, show=show)
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={"a": (lambda x: x % 3, ["x"]), "out": (lambda a, x: a + 0 * x, ["a", "x"])},
        output="out",
    )
    root = cs.claim("out", cs.exact, cs.claim("a", "k", name=EVIL.replace("/", "")))
    h = cs.Hypothesis(graph, root, name=EVIL)
    return cs.scrub(h, data, metric={EVIL: cs.metrics.squared_error("y")}, samples=80, **options)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def test_the_page_escapes_all_that_users_named_and_fetches_nothing(tmp_path) -> None:
    path = result(show=lambda row: f"{EVIL} {row['x']:.0f}").report(tmp_path / "report.html")
    page = path.read_text(encoding="utf-8")
    reader = read(page)
    assert reader.tags.count("script") == 2  # the data and the page's own
    assert reader.fetched == []
    shown = "".join(reader.text)
    assert shown.count(EVIL) >= 3  # title, heading, metric
    assert EVIL not in page
    assert "@import" not in page


def test_the_page_says_what_the_result_says() -> None:
    one = result()
    shown = " ".join("".join(read(one.report()).text).split())
    for kind in ("model", "scrubbed", "randomized", "gap", "recovered"):
        assert str(getattr(one, kind)) in shown
    assert f"{one.stuck:.1%}" in shown
    assert " ".join(str(one.explain()).splitlines()[1].split()) in shown
    assert one.fingerprints["data"] in shown
    for note in one.notes:
        assert note in shown
    table = "".join(read(one._repr_html_()).text)
    assert str(one.recovered) in table


@pytest.mark.parametrize(
    "image", [np.eye(4), torch.rand(4, 4, 3), np.zeros((4, 4, 3))], ids=["gray", "tensor", "rgb"]
)
def test_inputs_may_be_images(image) -> None:
    page = result(show=lambda row: image).report()
    assert '"image":"data:image/png;base64,iVBOR' in page


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        ({"loss": cs.metrics.cross_entropy("y")}, True),
        ({"entropy": cs.metrics.to_model("distance")}, False),
    ],
)
def test_kl_is_told_where_a_metric_reads_logits_whatever_its_name(metric, told) -> None:
    data = cs.Dataset(x=[0.0, 1.0, 2.0, 3.0], y=[0, 1, 0, 1])
    graph = cs.Graph.build(
        inputs=["x"], nodes={"out": (lambda x: torch.stack([x, -x], 1), ["x"])}, output="out"
    )
    h = cs.Hypothesis(graph, cs.claim("out", "y"))
    one = cs.scrub(h, data, metric=metric, samples=40)
    assert (">kl</th>" in one.report()) == told


def test_settings_are_words_and_numbers_of_few_digits() -> None:
    page = result().report()
    footer = "".join(read(page[page.index("<footer>") : page.index("</footer>")]).text)
    assert "None" not in footer
    assert "{" not in footer
    assert not re.search(r"\D0\.0*[1-9]\d{3}", footer)


def test_a_loaded_run_has_a_page_without_its_data(tmp_path) -> None:
    one = result()
    one.save(tmp_path / "run")
    page = cs.load(tmp_path / "run").report()
    assert "The data was not at hand" in page
    assert str(one.scrubbed) in page


@pytest.mark.parametrize("name", [r"cost $\foo$", "a$x_{$"])
def test_a_dollar_in_a_name_begins_no_formula(name: str, tmp_path) -> None:
    data = cs.Dataset(x=torch.arange(12.0), y=torch.arange(12.0) % 3)
    graph = cs.Graph.build(inputs=["x"], nodes={"out": (lambda x: x % 3, ["x"])}, output="out")
    h = cs.Hypothesis(graph, cs.claim("out", "y", name=name), name=name)
    one = cs.scrub(h, data, {name: cs.metrics.squared_error("y")}, samples=40)
    one.plot().savefig(tmp_path / "picture.png")
    assert name in "".join(read(one.report()).text)


def test_a_page_is_the_same_each_time_and_names_its_pictures() -> None:
    one = result()
    page = one.report()
    assert one.report() == page
    pictures = re.findall(r"<svg[^>]*>", page[: page.index('<script type="application/json"')])
    assert len(pictures) == 1
    assert 'role="img" aria-label="&lt;script&gt;alert' in pictures[0]


def test_pictures_do_not_take_the_readers_style() -> None:
    one = result()
    plain = one.report()
    figure = one.plot()
    with plt.style.context("dark_background"), plt.rc_context({"font.size": 20}):
        styled = one.plot()
        assert styled.get_facecolor() == figure.get_facecolor() == (1, 1, 1, 1)
        for left, right in zip(styled.findobj(Text), figure.findobj(Text), strict=True):
            assert (left.get_color(), left.get_fontsize()) == (
                right.get_color(), right.get_fontsize()
            )  # fmt: skip
        out = io.BytesIO()
        styled.savefig(out, format="png")
        corner = plt.imread(io.BytesIO(out.getvalue()))[0, 0]
        assert corner.tolist() == [1, 1, 1, 1]
        assert one.report() == plain


def test_long_names_leave_room_for_the_picture() -> None:
    one = result()
    scores = one[one.metrics[0]]
    short = plot_scores(scores, title="t", metric="m")
    name = "the carry looks at a name that goes on " * 9
    long = plot_scores(scores, title=name, metric=name, caption="\n".join([name] * 4))
    for figure in (short, long):
        figure.draw_without_rendering()
        width, height = figure.get_size_inches() * figure.dpi
        axes: Any = figure.axes[0]
        title, label = figure.axes[0].title, figure.axes[0].xaxis.label
        for text in (axes._left_title, title, label):
            box = text.get_window_extent()
            assert box.x0 >= 0
            assert box.x1 <= width + 1
        assert figure.axes[0].get_window_extent().height > 60
    assert long.axes[0].get_xlabel().endswith(" ...")
    assert height > short.get_size_inches()[1] * short.dpi


def test_samples_of_few_values_are_bubbles_and_shares_start_at_zero() -> None:
    model = np.array([1.0] * 9)
    scrubbed = np.array([1.0] * 8 + [0.0])
    left: Any
    right: Any
    left, right = plot_laws(model, scrubbed, metric="right").axes
    assert left.get_ylim()[0] == 0
    assert left.lines[1].get_ydata()[0] == 0
    bubbles = right.collections[0]
    assert bubbles.get_offsets().tolist() == [[1, 0], [1, 1]]
    assert bubbles.get_sizes()[1] == 8 * bubbles.get_sizes()[0]
    assert "number of samples" in right.get_title(loc="right")
    one = plot_laws(model[:1], scrubbed[:1], metric="right").axes
    assert one[0].get_ylim()[0] == 0
    assert one[0].get_ylim()[1] == pytest.approx(1, abs=0.05)
    many = np.arange(200.0)
    assert not plot_laws(many, many, metric="m").axes[1].collections


def test_nothing_on_a_page_or_in_a_notebook_has_a_fixed_width_or_ground() -> None:
    page = result().report()
    style = page[page.index("<style>") : page.index("</style>")]
    assert re.search(r"^h1, .*\{ overflow-wrap: anywhere; min-width: 0; \}$", style, re.MULTILINE)
    assert "prefers-color-scheme: dark" in style
    assert "color:" not in result()._repr_html_()  # a dark notebook's own colours are readable


def leaf(**options) -> cs.Result:
    x = torch.arange(12.0, dtype=torch.float64)
    data = cs.Dataset(x=x, y=x % 3, odd=x % 2 == 1)
    graph = cs.Graph.build(inputs=["x"], nodes={"out": (torch.clone, ["x"])}, output="out")
    h = cs.Hypothesis(graph, cs.claim("out", cs.anything))
    return cs.scrub(h, data, metric=cs.metrics.squared_error("y"), samples=80, **options)


def test_a_page_compares_distributions_and_says_what_is_so_by_construction() -> None:
    told = "the law of the output under D_scrubbed equals that under D by construction"
    unkept = leaf(keep_outputs=False)
    for one in (unkept, leaf(keep_outputs=True)):
        assert told in str(one.compare_distributions())
        assert told in one.report()
        # On a subset it is not so: what is drawn for a row of it need not be in it.
        assert told not in str(one.on("odd").compare_distributions())
        assert told not in one.on("odd").report()
    page = leaf(keep_outputs=True).report()
    assert "output: 80 samples under D and under D_scrubbed" in page
    assert "output: not compared, outputs were not kept" in unkept.report()
    assert told not in result().report()
    assert str(leaf().compare_distributions().behaviour.distance)[:4] in page


def test_outputs_that_are_not_numbers_or_very_many_leave_a_page(monkeypatch) -> None:
    one = leaf(keep_outputs=True)
    assert one.outputs is not None
    one.outputs[0][0] = np.nan
    told = "output: not compared, on 1 of 80 samples it holds NaN or infinity"
    assert told in one.report()
    monkeypatch.setattr("causal_scrubbing._result.page.build.MOST_NUMBERS", 79)
    page = leaf(keep_outputs=True).report()
    assert "not compared on this page, as they are 80 numbers" in page


def test_one_sample_has_a_page() -> None:
    data = cs.Dataset(x=[0.0, 1.0], y=[0.0, 1.0])
    graph = cs.Graph.build(inputs=["x"], nodes={"out": (torch.clone, ["x"])}, output="out")
    h = cs.Hypothesis(graph, cs.claim("out", cs.anything))
    page = cs.scrub(h, data, metric=cs.metrics.squared_error("y"), samples=1).report()
    assert "1 sample of 2 rows" in page
    assert "1 samples" not in page
