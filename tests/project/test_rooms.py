"""The rooms of the package: which may import which, only by their faces, none too large.

What is held here is read from the code's own imports, those for type checking included.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "causal_scrubbing"
TESTS = Path(__file__).parents[1]
NAME = "causal_scrubbing"
ROOMS = [
    "_errors", "_format", "_display", "_executors",
    "_files", "_data", "_nodes", "_graph", "_places", "_sites",
    "_capture", "_hypothesis", "_algebra", "_sampling", "_expressions", "_positions", "_engine",
    "_exact", "_statistics", "_metrics", "_simulate", "_report", "_page", "_result",
    "_scrub", "_ablate", "_path_patch", "_trials", "_refute", "_controls", "_discover",
    "_interchange", "_claims", "_gallery", "_systems", "_cli",
]  # fmt: skip
"""From the ground up: a room imports only rooms that stand before it."""

PUBLIC_ONLY = {"_gallery", "_systems"}
"""Rooms that use nothing but the public names."""

FACES = {"", "_names", "_public", "__main__", "gallery"}
"""What shows rooms to users and holds nothing of its own."""


def module_name(file: Path) -> str:
    """The dotted name of a file."""
    parts = (NAME, *file.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(file): file for file in sorted(PACKAGE.rglob("*.py"))}


def imports(source: str, module: str, *, package: bool) -> Iterator[str]:
    """What a file imports of this package, as dotted names of modules, lazy imports included."""
    here = module.split(".") if package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == NAME)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            start = ".".join([*base, *((node.module or "").split(".") if node.module else [])])
            if start.split(".")[0] != NAME:
                continue
            for alias in node.names:
                whole = f"{start}.{alias.name}"
                # A name that a face shows is the face's, though a file there has the same name.
                shown = start != NAME and start.count(".") == 1 and shows(start, alias.name)
                yield whole if whole in FILES and not shown else start


def shows(room: str, name: str) -> bool:
    """Whether a room's face defines a name."""
    file = FILES.get(room)
    if file is None:
        return False
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and any(
            (a.asname or a.name) == name for a in node.names
        ):
            return True
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return True
    return False


def room_of(module: str) -> str:
    """The room of a module: the first part of its name inside the package."""
    return module.split(".")[1] if "." in module else ""


ARROWS = [
    (module, target)
    for module, file in FILES.items()
    for target in dict.fromkeys(
        imports(file.read_text(), module, package=file.name == "__init__.py")
    )
]


def test_every_folder_is_a_room_with_its_place() -> None:
    found = {room_of(module) for module in FILES if room_of(module).startswith("_")}
    assert found - FACES == set(ROOMS)


def test_imports_run_one_way_and_through_faces() -> None:
    faults = []
    for module, target in ARROWS:
        room, other = room_of(module), room_of(target)
        if room in FACES or room == other:
            continue  # a public face shows rooms and holds nothing of its own
        if room in PUBLIC_ONLY:
            if other not in {"", "gallery"}:
                faults.append(f"{module} imports {target}: it may use the public names only")
        elif other in FACES:
            if room != "_cli":
                faults.append(f"{module} imports the public face")
        elif ROOMS.index(other) >= ROOMS.index(room):
            faults.append(f"{module} imports {target}, which stands later")
        elif target.count(".") > 1:
            faults.append(f"{module} imports {target}: only the face of {other} is for others")
    assert not faults, "\n".join(faults)


def is_face(module: str) -> bool:
    """Whether a module is the face of a room, or of one entry of the gallery."""
    parts = module.split(".")[1:]
    return len(parts) < 2 or (len(parts) == 2 and parts[0] in PUBLIC_ONLY and parts[1][0] != "_")


def test_tests_import_only_faces() -> None:
    faults = [
        f"{file.relative_to(TESTS)} imports {target}"
        for file in sorted(TESTS.rglob("*.py"))
        for target in dict.fromkeys(imports(file.read_text(), file.stem, package=False))
        if not is_face(target)
    ]
    assert not faults, "\n".join(faults)


def test_no_files_import_each_other_in_a_circle() -> None:
    tree = nx.DiGraph(
        (module, target)
        for module, target in ARROWS
        # A face shows its files, and gallery entries use the public face that lists them.
        if FILES[module].name != "__init__.py" and room_of(module) not in PUBLIC_ONLY
    )
    circles = [sorted(c) for c in nx.strongly_connected_components(tree) if len(c) > 1]
    assert not circles, "\n".join(map(str, circles))


def test_no_room_holds_more_than_a_tenth_of_the_lines() -> None:
    lines: dict[str, int] = {}
    for module, file in FILES.items():
        lines[room_of(module)] = lines.get(room_of(module), 0) + len(file.read_text().splitlines())
    most = sum(lines.values()) / 10
    large = {room: count for room, count in lines.items() if count > most}
    assert not large, f"a tenth is {most:.0f} lines: {large}"


def test_no_module_is_too_long_to_read_in_one_sitting() -> None:
    long = {m: n for m, f in FILES.items() if (n := len(f.read_text().splitlines())) > 500}
    assert not long, f"make each a folder of the same name: {long}"


# The checks above are only as good as their reading of imports: one line of each form.
@pytest.mark.parametrize(
    ("line", "target"),
    [
        ("import causal_scrubbing._engine", "causal_scrubbing._engine"),
        ("import causal_scrubbing as cs", "causal_scrubbing"),
        ("from causal_scrubbing import _scrub", "causal_scrubbing._scrub"),
        ("from causal_scrubbing._nodes.node import Node", "causal_scrubbing._nodes.node"),
        ("from causal_scrubbing._nodes import node", "causal_scrubbing._nodes.node"),
        ("from causal_scrubbing._graph import Graph", "causal_scrubbing._graph"),
        ("from causal_scrubbing import scrub", "causal_scrubbing"),
        ("from .. import _cli", "causal_scrubbing._cli"),
        ("from .._data import Dataset", "causal_scrubbing._data"),
        ("from .node import Node", "causal_scrubbing._nodes.node"),
        ("if True:\n    from causal_scrubbing import _cli", "causal_scrubbing._cli"),
        ("import torch", None),
    ],
)
def test_every_form_of_import_is_read(line: str, target: str | None) -> None:
    found = list(imports(line, "causal_scrubbing._nodes.core", package=False))
    assert found == ([] if target is None else [target])
