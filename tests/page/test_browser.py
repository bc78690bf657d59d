"""The page of a run as a person meets it, in a browser without a screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from browsing import launched, serious

import causal_scrubbing as cs

HOSTILE = [
    "<script>window.hit=1</script>", "</script><script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>", "\"><svg onload=window.hit=1>", "' onclick='window.hit=1",
    "javascript:window.hit=1", "<!--", "-->", "]]>", "<![CDATA[", "&lt;b&gt;", "{{ 7 * 7 }}",
    "{% raw %}", "${window.hit=1}", "`${window.hit=1}`", "\u2028\u2029", "\u202egnp.exe",
    "</style><style>*{display:none}", "<iframe src=https://example.com>", "\\u003cscript\\u003e",
    "a\x00b\x07", "<a href='data:text/html,x'>",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as made:
        yield made


class Opened:
    """A page that is open, with what it logged and asked for."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.page = browser.new_page(**options)
        self.logged: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.logged.append(message.text))
        self.page.on("pageerror", lambda error: self.logged.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_function("document.documentElement.dataset.ready", timeout=20_000)
        self.milliseconds = int(self.page.evaluate("document.documentElement.dataset.ready"))

    def texts(self, selector: str) -> list[str]:
        return [text.strip() for text in self.page.locator(selector).all_inner_texts()]

    def leaves_nothing(self, path: Path) -> None:
        assert self.logged == []
        assert {url for url in self.asked if not url.startswith(("data:", "blob:"))} == {
            path.as_uri()
        }


def small(show: Any = None) -> cs.Result:
    a, b = torch.randint(100, (2, 600), generator=torch.Generator().manual_seed(0))
    data = cs.Dataset(a=a, b=b, total=a + b, carries=a % 10 + b % 10 >= 10, show=show)
    graph = cs.Graph.build(
        inputs=["a", "b"],
        nodes={
            "carry": (lambda a, b: (a % 10 + b % 10) // 10, ["a", "b"]),
            "tens": (lambda a, b: a // 10 + b // 10, ["a", "b"]),
            "digit": (lambda a, b: (a + b) % 10, ["a", "b"]),
            "sum": (lambda c, t, d: 10 * (t + c) + d, ["carry", "tens", "digit"]),
        },
        output="sum",
    )
    root = cs.claim(
        "sum", cs.exact, cs.claim("carry", lambda rows: rows["a"] % 10 >= 5),
        cs.claim("digit", cs.exact), others="total",
    )  # fmt: skip
    h = cs.Hypothesis(graph, root, name="carry looks at a")
    return cs.scrub(h, data, cs.metrics.squared_error("total"), samples=400, seed=0)


@pytest.fixture(scope="module")
def run_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small().report(tmp_path_factory.mktemp("page") / "r.html")


def test_the_graph_is_drawn_and_a_click_opens_its_claim(browser, run_page) -> None:
    opened = Opened(browser, run_page)
    assert opened.page.locator("#graph g.box").count() == 4  # three claims, unimportant parts
    opened.page.locator('#graph g.box[data-name="carry"]').click()
    panel = opened.page.locator("#graph .panel").inner_text()
    assert "sum/carry" in panel
    assert "of samples" in panel
    assert "Some classes" in panel
    opened.page.locator('#graph g.box[data-name="digit"]').press("Enter")
    assert "sum/digit" in opened.page.locator("#graph .panel").inner_text()
    opened.page.get_by_role("button", name="Whole model").click()
    assert opened.page.locator("#graph g.box").count() == 5  # both inputs are one
    opened.page.get_by_placeholder("node or feature").fill("tens")
    assert opened.texts("#graph .bar [role=status]") == ["1 found"]
    opened.leaves_nothing(run_page)


def test_stepping_shows_another_datum(browser, run_page) -> None:
    opened = Opened(browser, run_page)
    first = opened.page.locator("#stepper").inner_text()
    opened.page.get_by_role("button", name="Next", exact=True).click()
    second = opened.page.locator("#stepper").inner_text()
    assert second != first
    opened.page.get_by_role("button", name="Previous").click()
    assert opened.page.locator("#stepper").inner_text() == first
    opened.page.get_by_role("button", name="Best").click()
    assert opened.page.locator("#stepper").inner_text() != first
    opened.page.get_by_role("button", name="Worst", exact=True).click()
    assert opened.page.locator("#stepper").inner_text() == first
    assert "agrees with" in first
    assert opened.page.locator("#stepper mark").count() >= 0
    opened.leaves_nothing(run_page)


def test_the_table_sorts_filters_and_opens_a_sample(browser, run_page) -> None:
    opened = Opened(browser, run_page)

    def column(number: int) -> list[float]:
        cells = opened.texts(f"#table .line > span:nth-child({number})")
        return [float(text) for text in cells]

    worse = column(6)
    assert worse == sorted(worse, reverse=True)
    assert len(set(worse)) > 1 or worse[0] > 0
    heading = opened.page.locator("#table .head").get_by_role("button", name="row", exact=True)
    heading.click()
    heading.click()
    assert column(2) == sorted(column(2))
    opened.page.locator("#table select").select_option(label="worse")
    status = opened.texts("#table [role=status]")[0]
    assert status.endswith("of 400 samples")
    assert not status.startswith("400 ")
    opened.page.locator("#table .line").first.click()
    opened.page.locator("#table input[type=search]").fill("carries=False")
    assert opened.texts("#table [role=status]")[0] != status
    assert opened.page.locator("#field svg circle").count() > 4
    assert opened.page.locator("#distributions svg").count() == 5  # three, and two in the key
    opened.leaves_nothing(run_page)


@pytest.fixture(scope="module")
def positions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of a run with a claim for each of six positions, with controls, and of two runs."""
    tokens = torch.randint(0, 4, (200, 6), generator=torch.Generator().manual_seed(0))
    weights = [0, 0, 3, 0, 2, 0]
    nodes = {f"p{i}": (lambda t, i=i: weights[i] * t[:, i].double(), ["tokens"]) for i in range(6)}
    nodes["out"] = (lambda *values: sum(values), list(nodes))
    graph = cs.Graph.build(inputs=["tokens"], nodes=nodes, output="out")
    data = cs.Dataset(tokens=tokens, odd=tokens % 2)
    h, other = (
        cs.Hypothesis(
            graph,
            cs.claim("out", cs.exact, *cs.each("p{i}", f"{field}[{{i}}]", range(6))),
            name=f"{field} {HOSTILE[2]}",
        )
        for field in ("odd", "tokens")
    )
    metric = {"change": cs.metrics.to_model("squared_error")}
    results = cs.scrub([h, other], data, metric, samples=300)
    controls = cs.controls(h, data, metric, samples=300, random=0)
    folder = tmp_path_factory.mktemp("positions")
    return {
        "run": results[0].report(folder / "run.html", controls=controls),
        "compare": cs.compare(results).report(folder / "compare.html"),
    }


def test_claims_of_each_are_a_strip_coloured_by_controls(browser, positions) -> None:
    opened = Opened(browser, positions["run"])
    assert opened.page.locator("#graph g.box").count() == 2
    cells = opened.page.locator('#graph g.box[data-name="6 × p#"] rect:not(.frame, .tint)')
    colours = [str(cell.get_attribute("class")) for cell in cells.all()]
    assert [colour[:3] for colour in colours] == ["c-n", "c-n", "c-b", "c-n", "c-b", "c-n"]
    cells.nth(2).click()
    assert "out/p2" in opened.page.locator("#graph .panel").inner_text()
    opened.page.locator('#graph g.box[data-name="6 × p#"]').press("Enter")
    assert opened.page.locator("#graph g.box").count() == 7
    opened.page.get_by_text("variants of the hypothesis").click()
    shown = opened.page.get_by_label("Controls of the hypothesis").inner_text()
    assert "out/p4 carries exact" in shown
    opened.leaves_nothing(positions["run"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_two_runs_is_for_everyone(browser, positions, scheme) -> None:
    path = positions["compare"]
    page = browser.new_page(color_scheme=scheme, viewport={"width": 390, "height": 844})
    logged: list[str] = []
    page.on("console", lambda message: logged.append(message.text))
    page.goto(path.as_uri())
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) == 0
    assert page.locator("circle.dot").count() == 2
    assert page.evaluate("window.hit") is None
    page.close()
    assert logged == []
    page = browser.new_page(color_scheme=scheme, bypass_csp=True)
    page.goto(path.as_uri())
    assert serious(page, scheme) == []


def test_hostile_names_stay_text(browser, tmp_path) -> None:
    n = 66
    x = torch.arange(float(n))
    # Some names are refused before a page is made; as values all of them are shown.
    names = [name for name in HOSTILE if name.isprintable()]
    fields: dict[str, Any] = {name: [HOSTILE[i % len(HOSTILE)] for i in range(n)] for name in names}
    data = cs.Dataset(x=x, **fields, show=lambda row: " ".join(map(str, row.values())))
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={
            **{f"n{i}{name}": (lambda x: x % 3, ["x"]) for i, name in enumerate(names)},
            "out": (lambda *v: sum(v), [f"n{i}{name}" for i, name in enumerate(names)]),
        },
        output="out",
    )
    claims = [
        cs.claim(f"n{i}{name}", name, name=f"c{i}" + name.replace("/", ""))
        for i, name in enumerate(names[:-2])
    ]
    h = cs.Hypothesis(graph, cs.claim("out", cs.exact, *claims), name=" ".join(names))
    metrics = {name: cs.metrics.squared_error("x") for name in names}
    result = cs.scrub(h, data, metrics, samples=30)
    path = result.report(tmp_path / "r.html")
    opened = Opened(browser, path)
    assert opened.page.evaluate("window.hit") is None
    for box in opened.page.locator("#graph g.box").all()[:6]:
        box.dispatch_event("click")
    assert opened.page.evaluate("window.hit") is None
    assert opened.page.locator("iframe, a[href^=data], img[src=x], h1 *").count() == 0
    assert "window.hit=1" in opened.page.locator("h1").inner_text()
    opened.leaves_nothing(path)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_stands_in_the_way_of_a_screen_reader(browser, run_page, scheme) -> None:
    opened = Opened(browser, run_page, color_scheme=scheme, bypass_csp=True)
    assert serious(opened.page, scheme) == []


def test_a_narrow_page_does_not_scroll_sideways(browser, run_page) -> None:
    opened = Opened(browser, run_page, viewport={"width": 390, "height": 844})
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert opened.page.evaluate(wide) == 0
