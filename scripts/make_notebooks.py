"""Make a notebook of each tutorial page, run it, and keep it with what it shows.

    python scripts/make_notebooks.py            # all, into docs/notebooks
    python scripts/make_notebooks.py models     # those named

A notebook has the page's text and its Python blocks. What the page says that a block prints is
left out, as the notebook's own outputs stand there. A line `<!-- notebook: EXPRESSION -->` of a
page is a cell of its own, whose value the notebook shows.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NOTEBOOKS = DOCS / "notebooks"
TUTORIALS = ("models", "language-models", "tutorial-vision")

_PART = re.compile(
    r"^<!-- notebook: (?P<shown>[^\n]+?) -->\n"
    r"|^```python\n(?P<code>.*?)^```\n"
    r"|^<!-- output -->\n```text\n.*?^```\n"
    r"|^<!-- (?:needs|as a notebook):?[^\n]*-->\n(?:\[[^\n]*\n)?",
    re.MULTILINE | re.DOTALL,
)


def cells(page: str) -> list[tuple[str, str]]:
    """The cells of a page's notebook: ("markdown" or "code", source)."""
    found: list[tuple[str, str]] = []

    def text(part: str) -> None:
        # A link to another page goes to its place beside the notebooks' folder.
        part = re.sub(r"\]\((?!https?:|#)([^)]+)\)", r"](../\1)", part.strip())
        if part:
            found.append(("markdown", part))

    done = 0
    for match in _PART.finditer(page):
        text(page[done : match.start()])
        source = match["code"] or match["shown"]
        if source:
            found.append(("code", source.strip("\n")))
        done = match.end()
    text(page[done:])
    return found


def notebook(parts: list[tuple[str, str]]) -> Any:
    """An empty notebook of cells."""
    import nbformat.v4

    made = [
        nbformat.v4.new_code_cell(source, id=f"cell-{i}")
        if kind == "code"
        else nbformat.v4.new_markdown_cell(source, id=f"cell-{i}")
        for i, (kind, source) in enumerate(parts)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": kernel})


def run(made: Any, seconds: int = 1800) -> Any:
    """Run a notebook in a folder of its own; nothing of this machine or of the time stays in it."""
    from nbclient import NotebookClient

    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            made, timeout=seconds, kernel_name="python3", record_timing=False,
            resources={"metadata": {"path": folder}},
        )  # fmt: skip
        client.execute()
    made.metadata.pop("language_info", None)
    for cell in made.cells:
        if cell.cell_type == "code":
            cell.outputs = kept(cell.outputs)
    return made


def kept(outputs: list[Any]) -> list[Any]:
    """The outputs without progress and warnings, printed text that came in parts as one."""
    found: list[Any] = []
    for one in outputs:
        progress = one.output_type == "display_data" and list(one.data) == ["text/plain"]
        if progress or one.get("name") == "stderr":
            continue
        if one.output_type == "stream" and found and found[-1].output_type == "stream":
            found[-1].text += one.text
        else:
            found.append(one)
    return found


def main() -> None:
    import nbformat

    NOTEBOOKS.mkdir(exist_ok=True)
    for name in sys.argv[1:] or TUTORIALS:
        parts = cells((DOCS / f"{name}.md").read_text())
        nbformat.write(run(notebook(parts)), NOTEBOOKS / f"{name}.ipynb")
        print(NOTEBOOKS / f"{name}.ipynb")


if __name__ == "__main__":
    main()
