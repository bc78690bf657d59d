"""The repository keeps its own rules: room order, module size, documented dependencies."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "causal_scrubbing"
ROOMS = [
    "_errors",
    "_format",
    "_files",
    "_data",
    "_graph",
    "_capture",
    "_hypothesis",
    "_algebra",
    "_sampling",
    "_engine",
    "_exact",
    "_statistics",
    "_metrics",
    "_simulate",
    "_report",
    "_result",
    "_scrub",
    "_ablate",
    "_path_patch",
    "_trials",
    "_refute",
    "_controls",
    "_discover",
    "_interchange",
    "_gallery",
    "_systems",
    "_cli",
]
MODULES = sorted(PACKAGE.rglob("*.py"))
PUBLIC_ONLY = {"_gallery", "_systems"}


def room_of(module: Path) -> str:
    """The room a file belongs to: the first part of its path inside the package."""
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(source: str, folder: tuple[str, ...]) -> set[str]:
    """Names of the package's rooms that a file imports; "" is the package's public face."""
    here = ("causal_scrubbing", *folder)
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        dotted: list[tuple[str, ...]] = []
        if isinstance(node, ast.Import):
            dotted = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            start = base + tuple((node.module or "").split("."))
            start = tuple(part for part in start if part)
            dotted = [start] if len(start) > 1 else [(*start, a.name) for a in node.names]
        for parts in dotted:
            if parts[0] == "causal_scrubbing":
                name = parts[1] if len(parts) > 1 else ""
                found.add(name if name.startswith("_") else "")
    return found


def requirement_names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\s\[<>=!~;]", line, maxsplit=1)[0].lower() for line in requirements}


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [name for group in project["optional-dependencies"].values() for name in group]
    return requirement_names(project["dependencies"] + extras)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_rooms_import_only_backwards(module: Path) -> None:
    room = room_of(module)
    if not room.startswith("_") or room in {"__init__", "__main__"}:
        return  # a public face: it shows rooms and holds nothing of its own
    folder = module.relative_to(PACKAGE).parts[:-1]
    imports = imported_rooms(module.read_text(), folder) - {room}
    if room in PUBLIC_ONLY:
        assert imports <= {""}, f"{room} may use the public names only, it imports {imports}"
        return
    allowed = set(ROOMS[: ROOMS.index(room)]) | ({""} if room == "_cli" else set())
    assert imports <= allowed, f"{room} may not import {sorted(imports - allowed)}"


# The check above is only as good as its reading of imports: one line of each form.
@pytest.mark.parametrize(
    ("line", "rooms"),
    [
        ("import causal_scrubbing._engine", {"_engine"}),
        ("import causal_scrubbing as cs", {""}),
        ("from causal_scrubbing import _scrub", {"_scrub"}),
        ("from causal_scrubbing._graph.node import Node", {"_graph"}),
        ("from causal_scrubbing import scrub", {""}),
        ("from .. import _cli", {"_cli"}),
        ("from .._data import Dataset", {"_data"}),
        ("from .node import Node", {"_graph"}),
        ("import torch", set()),
    ],
)
def test_the_room_check_sees_every_form_of_import(line: str, rooms: set[str]) -> None:
    assert imported_rooms(line, ("_graph",)) == rooms


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_is_too_long_to_read_in_one_sitting(module: Path) -> None:
    lines = len(module.read_text().splitlines())
    assert lines <= 500, f"{module.name} has {lines} lines: make it a folder of the same name"


def test_public_names_are_explicit_and_sorted() -> None:
    names: list[str] = []
    for node in ast.parse((PACKAGE / "__init__.py").read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module != "__future__":
            for alias in node.names:
                assert alias.asname == alias.name, f"write `{alias.name} as {alias.name}`"
                names.append(alias.name)
    assert len(names) == len(set(names))


def test_everything_public_is_in_the_reference() -> None:
    listed = re.findall(
        r"^::: [\w.]*\.(\w+)$", (ROOT / "docs" / "reference.md").read_text(), re.MULTILINE
    )
    assert len(listed) == len(set(listed))
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    public = {
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }
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


def test_one_version_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    try:
        installed = metadata.version("causal-scrubbing")
    except metadata.PackageNotFoundError:
        pytest.skip("the package runs from its source folder, it is not installed")
    assert installed == version
