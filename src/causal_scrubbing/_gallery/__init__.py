"""Ready, documented experiments, each on the public face alone.

A new entry is one file (or folder) here with an ``ENTRY`` and one line in `MODULES`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Final

from causal_scrubbing import CausalScrubbingError
from causal_scrubbing._gallery._entry import Entry as Entry
from causal_scrubbing._gallery._entry import Options as Options
from causal_scrubbing._gallery._entry import Outcome as Outcome

MODULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "parens": "parens",
        "four-inputs": "four_inputs",
        "superposition": "superposition",
        "sharing": "sharing",
        "hash-game": "hash_game",
        "sine-cosine": "sine_cosine",
        "cancellation": "cancellation",
        "too-vague": "too_vague",
        "ablation-pitfalls": "ablation_pitfalls",
        "approximation": "approximation",
        "trivial-rewrites": "trivial_rewrites",
    }
)
"""Entry name -> module of this package that holds its ``ENTRY``."""

_RUNNER = '''"""Run the copied gallery entry {name!r}: python {file}"""

from argparse import ArgumentParser
from pathlib import Path

from {module} import ENTRY

from causal_scrubbing.gallery import Options

if __name__ == "__main__":
    parser = ArgumentParser(description=ENTRY.summary)
    parser.add_argument("--samples", type=int, help="the entry's own number if left out")
    outcome = ENTRY.run(Options(samples=parser.parse_args().samples, progress=print))
    print(outcome.text)
    for path in outcome.save(Path("out"), ENTRY.name):
        print("wrote", path)
'''


class GalleryError(CausalScrubbingError):
    """The gallery has no such entry, or it cannot be copied there."""


def names() -> tuple[str, ...]:
    """Names of all entries, in reading order."""
    return tuple(MODULES)


def load(name: str) -> Entry:
    """An entry by name.

    Raises:
        GalleryError: there is none; near names are given.
    """
    module = import_module(f"{__name__}.{_module(name)}")
    entry: Entry = module.ENTRY
    return entry


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
    module = _module(name)
    here = Path(__file__).parent
    source = here / module if (here / module).is_dir() else here / f"{module}.py"
    target, script = folder / source.name, folder / f"run_{module}.py"
    for path in (target, script):
        if path.exists():
            raise GalleryError(f"{path} exists; choose another folder, nothing was overwritten.")
    folder.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copyfile(source, target)
    script.write_text(_RUNNER.format(name=name, file=script.name, module=module), encoding="utf-8")
    return script


def _module(name: str) -> str:
    if name not in MODULES:
        near = get_close_matches(name, MODULES, n=3)
        hint = f"Did you mean {', '.join(near)}?" if near else f"There is {', '.join(MODULES)}."
        raise GalleryError(f"the gallery has no entry {name!r}. {hint}")
    return MODULES[name]
