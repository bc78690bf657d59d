from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

import causal_scrubbing as cs

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
    assert "script" not in reader.tags
    assert reader.fetched == []
    shown = "".join(reader.text)
    assert shown.count(EVIL) >= 4  # title, heading, metric, worst inputs
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
def test_worst_inputs_may_be_images(image) -> None:
    page = result(show=lambda row: image).report()
    assert 'src="data:image/png;base64,iVBOR' in page


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
    assert ("kl" in read(one.report()).text) == told


def test_settings_are_words_and_numbers_of_few_digits() -> None:
    page = result().report()
    footer = "".join(read(page[page.index("<footer>") :]).text)
    assert "None" not in footer
    assert "{" not in footer
    assert not re.search(r"\D0\.0*[1-9]\d{3}", footer)


def test_a_loaded_run_has_a_page_without_its_data(tmp_path) -> None:
    one = result()
    one.save(tmp_path / "run")
    page = cs.load(tmp_path / "run").report()
    assert "Worst inputs" not in page
    assert str(one.scrubbed) in page


@pytest.mark.parametrize("name", [r"cost $\foo$", "a$x_{$"])
def test_a_dollar_in_a_name_begins_no_formula(name: str, tmp_path) -> None:
    data = cs.Dataset(x=torch.arange(12.0), y=torch.arange(12.0) % 3)
    graph = cs.Graph.build(inputs=["x"], nodes={"out": (lambda x: x % 3, ["x"])}, output="out")
    h = cs.Hypothesis(graph, cs.claim("out", "y", name=name), name=name)
    one = cs.scrub(h, data, {name: cs.metrics.squared_error("y")}, samples=40)
    one.plot().savefig(tmp_path / "picture.png")
    assert name in "".join(read(one.report()).text)
