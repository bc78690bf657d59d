"""The repository keeps its own rules: sorted names, a whole reference, documented dependencies."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import causal_scrubbing as cs
from causal_scrubbing._names import ROOM_OF

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "causal_scrubbing"


def requirement_names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\s\[<>=!~;]", line, maxsplit=1)[0].lower() for line in requirements}


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [name for group in project["optional-dependencies"].values() for name in group]
    return requirement_names(project["dependencies"] + extras)


def public_imports() -> list[ast.ImportFrom]:
    """The lines that make names public: errors in `__init__.py`, the rest in `_public.py`."""
    lines = [
        node
        for file in ("__init__.py", "_public.py")
        for node in ast.parse((PACKAGE / file).read_text()).body
        if isinstance(node, ast.ImportFrom)
    ]
    rooms = [line for line in lines if (line.module or "").startswith("causal_scrubbing.")]
    return [line for line in rooms if line.module != "causal_scrubbing._names"]


def test_public_names_are_explicit_and_sorted() -> None:
    names: list[str] = []
    for line in public_imports():
        for alias in line.names:
            assert alias.asname == alias.name, f"write `{alias.name} as {alias.name}`"
            names.append(alias.name)
    assert len(names) == len(set(names))
    assert {"scrub", "Hypothesis", "DataError"} <= set(names)


def test_public_names_are_what_the_package_has_and_star_imports() -> None:
    names = {alias.name for line in public_imports() for alias in line.names}
    assert names == {name for name in dir(cs) if not name.startswith("_")} - {"gallery"}
    everything: dict[str, object] = {}
    exec("from causal_scrubbing import *", everything)
    assert names <= set(everything)
    with pytest.raises(AttributeError, match=r"'causal_scrubbing' has no attribute 'scrup'"):
        cs.scrup  # noqa: B018


def test_a_public_name_is_loaded_from_the_room_that_types_say() -> None:
    said = {
        alias.name: str(line.module).split(".")[1]
        for line in public_imports()
        for alias in line.names
    }
    errors = {name: room for name, room in said.items() if room == "_errors"}
    assert said == {**errors, **ROOM_OF}


def test_everything_public_is_in_the_reference() -> None:
    listed = re.findall(
        r"^::: [\w.]*\.(\w+)$", (ROOT / "docs" / "reference.md").read_text(), re.MULTILINE
    )
    assert len(listed) == len(set(listed))
    public = {alias.name for line in public_imports() for alias in line.names}
    assert not public - set(listed), "docs/reference.md lacks these: one line each"


def test_every_dependency_is_pinned_and_has_its_reason() -> None:
    pins = requirement_names((ROOT / "constraints.txt").read_text().splitlines())
    reasons = (ROOT / "docs" / "dependencies.md").read_text()
    assert declared() <= pins, f"constraints.txt lacks {declared() - pins}"
    unexplained = {name for name in declared() if f"`{name}`" not in reasons}
    assert not unexplained, f"docs/dependencies.md lacks {unexplained}"


def test_no_dependency_is_explained_that_is_not_one() -> None:
    rows = re.findall(
        r"^\| (`[^|]+`) \|", (ROOT / "docs" / "dependencies.md").read_text(), re.MULTILINE
    )
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert named == declared()


STANDARD = sys.stdlib_module_names | {"causal_scrubbing"}
NAMES = {"yaml": "pyyaml", "PIL": "pillow", "ray": "ray"}
"""Import names that differ from the name on the package index."""

OPTIONAL = {"ray", "submitit", "IPython", "tqdm", "transformers", "transformer_lens", "polars"}
"""Imported only where a user has them already, or as an extra."""


def imported(folder: Path) -> set[str]:
    """Top-level names that the files of a folder import, wherever in them."""
    found = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add((node.module or "").split(".")[0])
    return found - STANDARD


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = requirement_names(project["dependencies"])
    used = {NAMES.get(name, name).lower() for name in imported(PACKAGE) - OPTIONAL}
    assert used - needed == set(), "imported, but not in the dependencies of pyproject.toml"
    assert needed - used == set(), "declared, but nowhere imported"


def test_one_version_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert cs.__version__ == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    try:
        installed = metadata.version("causal-scrubbing")
    except metadata.PackageNotFoundError:
        pytest.skip("the package runs from its source folder, it is not installed")
    assert installed == version
