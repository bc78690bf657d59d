"""Ready, documented experiments, each on the public face alone.

A new entry is one file (or folder) here, or among the larger systems, with an ``ENTRY`` and one
line in `MODULES`.
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Final

from causal_scrubbing._gallery._entry import Entry as Entry
from causal_scrubbing._gallery._entry import Need as Need
from causal_scrubbing._gallery._entry import Options as Options
from causal_scrubbing._gallery._entry import Outcome as Outcome
from causal_scrubbing._gallery._needs import GalleryError as GalleryError
from causal_scrubbing._gallery._needs import check_options as check_options
from causal_scrubbing._gallery._needs import how_to_have as how_to_have
from causal_scrubbing._gallery._needs import missing as missing
from causal_scrubbing._gallery._needs import provide as provide

_HERE, _SYSTEMS = "causal_scrubbing._gallery", "causal_scrubbing._systems"

MODULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "parens": f"{_HERE}.parens",
        "induction": f"{_SYSTEMS}.induction",
        "modular-addition": f"{_SYSTEMS}.modular_addition",
        "ioi": f"{_SYSTEMS}.ioi",
        "curve-detector": f"{_SYSTEMS}.curve_detector",
        "four-inputs": f"{_HERE}.four_inputs",
        "superposition": f"{_HERE}.superposition",
        "sharing": f"{_HERE}.sharing",
        "unimportant-inputs": f"{_HERE}.unimportant_inputs",
        "random-model": f"{_HERE}.random_model",
        "hash-game": f"{_HERE}.hash_game",
        "sine-cosine": f"{_HERE}.sine_cosine",
        "cancellation": f"{_HERE}.cancellation",
        "too-vague": f"{_HERE}.too_vague",
        "ablation-pitfalls": f"{_HERE}.ablation_pitfalls",
        "approximation": f"{_HERE}.approximation",
        "trivial-rewrites": f"{_HERE}.trivial_rewrites",
        "ground-truth": f"{_SYSTEMS}.ground_truth",
    }
)
"""Entry name -> module that holds its ``ENTRY``."""

_RUNNER = '''"""Run the copied gallery entry {name!r}: python {file}"""

from argparse import ArgumentParser
from pathlib import Path

from {module} import ENTRY

from causal_scrubbing.gallery import Options

if __name__ == "__main__":
    parser = ArgumentParser(description=ENTRY.summary)
    parser.add_argument("--samples", type=int, help="the entry's own number if left out")
{more}    outcome = ENTRY.run(Options(**vars(parser.parse_args()), progress=print))
    print(outcome.text)
    for path in outcome.save(Path("out"), ENTRY.name):
        print("wrote", path)
'''


def names() -> tuple[str, ...]:
    """Names of all entries, in reading order."""
    return tuple(MODULES)


def load(name: str) -> Entry:
    """An entry by name.

    Raises:
        GalleryError: there is none; near names are given.
    """
    entry: Entry = import_module(_module(name)).ENTRY
    return entry


def titles() -> dict[str, str]:
    """The title of each entry by name, read from its source: no entry is loaded.

    Example:
        >>> titles()["sharing"]
        'g = p q with p = q: together, per-claim and separate give 1, 1 and 0'
    """
    return {name: _title(_source(name).read_text(encoding="utf-8")) for name in MODULES}


def _title(source: str) -> str:
    for line in ast.parse(source).body:
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "ENTRY":
            given = line.value.keywords if isinstance(line.value, ast.Call) else []
            title: str = next(ast.literal_eval(k.value) for k in given if k.arg == "title")
            return title
    raise AssertionError("every module of the gallery makes its ENTRY")


def copy(name: str, folder: Path) -> Path:
    """Copy an entry's source to a folder as a starting point that runs.

    Args:
        name: the entry.
        folder: made if missing; nothing in it is overwritten.

    Returns:
        The script to run.

    Raises:
        GalleryError: there is no such entry, or it is there already.
    """
    file = _source(name)
    source = file.parent if file.name == "__init__.py" else file
    module = source.stem
    target, script = folder / source.name, folder / f"run_{module}.py"
    for path in (target, script):
        if path.exists():
            raise GalleryError(f"{path} exists; choose another folder, nothing was overwritten.")
    folder.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copyfile(source, target)
    more = "".join(
        f'    parser.add_argument("--{option}", type=Path, help="in place of the entry\'s own")\n'
        for option in sorted(load(name).takes)
    )
    filled = _RUNNER.format(name=name, file=script.name, module=module, more=more)
    script.write_text(filled, encoding="utf-8")
    return script


def write_files(name: str, options: Options, folder: Path) -> list[Path]:
    """Write an entry's hypotheses as files.

    Args:
        name: the entry, or "all" for every one that has such files.
        options: how it is run.
        folder: made if missing; each entry of "all" has a folder of its own there.

    Returns:
        The run files, which `cs.check` takes.

    Raises:
        GalleryError: there is no such entry, or it has no such files.
    """
    if name == "all":
        entries = [load(each) for each in MODULES]
        written: list[Path] = []
        for entry in entries:
            if entry.claims is not None:
                written += entry.claims(options, folder / entry.name)
        return written
    found = load(name).claims
    if found is None:
        have = ", ".join(each for each in MODULES if load(each).claims is not None)
        raise GalleryError(f"{name!r} has no hypotheses as files; {have} have.")
    return found(options, folder)


def _source(name: str) -> Path:
    """The file that makes an entry's ``ENTRY``."""
    *_, room, module = _module(name).split(".")
    folder = Path(__file__).parents[1] / room
    whole = folder / module / "__init__.py"
    return whole if whole.is_file() else folder / f"{module}.py"


def _module(name: str) -> str:
    if name not in MODULES:
        near = get_close_matches(name, MODULES, n=3)
        hint = f"Did you mean {', '.join(near)}?" if near else f"There is {', '.join(MODULES)}."
        raise GalleryError(f"the gallery has no entry {name!r}. {hint}")
    return MODULES[name]
