"""Notebooks: those of the tutorials are in step with their pages, and displays work in one."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def loaded(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


maker = loaded("make_notebooks", ROOT / "scripts" / "make_notebooks.py")
pages = loaded("pages_of_the_docs", Path(__file__).with_name("test_pages.py"))


@pytest.mark.parametrize("name", maker.TUTORIALS)
def test_the_notebook_of_a_tutorial_is_in_step_with_its_page(name: str) -> None:
    page = (ROOT / "docs" / f"{name}.md").read_text()
    book = json.loads((ROOT / "docs" / "notebooks" / f"{name}.ipynb").read_text())
    held = [(cell["cell_type"], "".join(cell["source"])) for cell in book["cells"]]
    assert held == maker.cells(page), f"run scripts/make_notebooks.py {name}"
    outputs = [one for cell in book["cells"] for one in cell.get("outputs", ())]
    assert not [one for one in outputs if one["output_type"] == "error"]
    printed = ["".join(one["text"]) for one in outputs if one["output_type"] == "stream"]
    said = [block.body for block in pages.blocks(page) if block.note == "output"]
    assert len(printed) == len(said)
    for one, other in zip(printed, said, strict=True):
        assert pages.same_lines(pages.tidy(one), pages.tidy(other))
    kinds = {kind for one in outputs for kind in one.get("data", ())}
    assert {"text/html", "image/png"} <= kinds
    assert f"notebooks/{name}.ipynb" in page


def test_every_tutorial_has_a_notebook() -> None:
    nav = (ROOT / "mkdocs.yml").read_text().partition("  - Tutorials:\n")[2]
    named = re.findall(r"([\w-]+)\.md$", nav.partition("  - How-to")[0], re.MULTILINE)
    assert named == list(maker.TUTORIALS)


CELLS = [
    "import causal_scrubbing as cs\n"
    "data = cs.Dataset(x=list(range(12)), k=[i % 2 for i in range(12)])\n"
    'graph = cs.Graph.build(inputs=["x"], nodes={"a": (lambda x: x % 2, ["x"]), '
    '"out": (lambda a, x: (a + x).float(), ["a", "x"])}, output="out")\n'
    'h = cs.Hypothesis(graph, cs.claim("out", cs.exact, cs.claim("a", "k")), name="h")\n'
    'g = cs.Hypothesis(graph, cs.claim("out", cs.exact, cs.nothing), name="g")\n'
    'results = cs.scrub([h, g], data, cs.metrics.squared_error("x"), samples=40, progress=False)',
    "data", "graph", "h", "h.agreement(data)", "results", "results[0]", "results[0].recovered",
    "cs.compare(results)", "results[0].compare_functions()", "graph.plot()",
    "results[0].plot(by='k')",
]  # fmt: skip


def test_a_notebook_shows_each_object_richly() -> None:
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    pytest.importorskip("nbclient", reason="nbclient is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the kernel's own packages
        book = maker.run(maker.notebook([("code", cell) for cell in CELLS]), seconds=120)
    shown: list[dict[str, Any]] = []
    for cell in book.cells[1:]:
        assert [one.output_type for one in cell.outputs] == ["execute_result"], cell.source
        shown.append(cell.outputs[0].data)
    for cell, data in zip(CELLS[1:-2], shown[:-2], strict=True):
        assert set(data) == {"text/html", "text/plain"}, cell
        assert "<script" not in data["text/html"]
        assert len(data["text/plain"]) < 240
    for data in shown[-2:]:
        assert set(data) == {"image/png", "text/plain"}
    assert "data:image/svg+xml;base64," in shown[1]["text/html"]
    assert shown[4]["text/plain"] == "Results(2: h; g)"


def test_the_pictures_of_the_method_page_are_those_of_the_code() -> None:
    drawn = loaded("draw_method", ROOT / "scripts" / "draw_method.py")
    docs = ROOT / "docs"
    assert (docs / "method-tree.svg").read_text() == drawn.tree_picture()
    assert (docs / "method-sample.svg").read_text() == drawn.sample_picture()
    page = (docs / "method.md").read_text()
    assert page.index("method-tree.svg") < page.index("method-sample.svg")
