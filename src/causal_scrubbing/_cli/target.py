"""What a user's file says: hypotheses, data and metric as Python objects."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import CausalScrubbingError, ScrubError
from causal_scrubbing._graph import nearest
from causal_scrubbing._hypothesis import Hypothesis


@dataclass(frozen=True)
class Target:
    """Objects of a file, as `scrub` takes them.

    Attributes:
        hypotheses: name in the file -> hypothesis.
        data: the dataset.
        options: ``metric``, ``randomize`` and ``baseline`` where the file has them.
    """

    hypotheses: Mapping[str, Hypothesis]
    data: Dataset
    options: Mapping[str, Any]


def read_target(spec: str, names: Sequence[str]) -> Target:
    """Run a Python file and take its hypotheses, data and metric.

    Its folder stays on the path of modules, for what its functions import when they are called.

    Args:
        spec: ``FILE.py`` or ``FILE.py:name,name``.
        names: further names of hypotheses; all module-level ones if no name is given.

    Raises:
        ScrubError: no such file or name, it fails, or it holds no hypothesis or dataset.
    """
    file, listed = _parts(spec)
    wanted = [*filter(None, listed.split(",")), *names]
    module = _execute(Path(file))
    found: dict[str, Hypothesis] = {}
    datasets: dict[str, Dataset] = {}
    for key, value in module.items():
        if key.startswith("_"):
            continue
        if isinstance(value, Hypothesis):
            found[key] = value
        elif isinstance(value, Dataset):
            datasets[key] = value
        elif isinstance(value, Mapping) or (
            isinstance(value, Sequence) and not isinstance(value, str)
        ):
            pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
            found |= {f"{key}.{k}": v for k, v in pairs if isinstance(v, Hypothesis)}
    baseline = module.get("baseline")
    if not wanted:
        found = {key: value for key, value in found.items() if value is not baseline}
    if not found:
        raise ScrubError(
            f"{file} holds no hypothesis at module level; assign one: h = cs.Hypothesis(...)."
        )
    chosen = {}
    for name in wanted or found:
        if name not in found:
            raise ScrubError(f"{file} holds no hypothesis {name!r}. {nearest(name, found)}")
        chosen[name] = found[name]
    if "data" in datasets:
        data = datasets["data"]
    elif len(datasets) == 1:
        data = next(iter(datasets.values()))
    else:
        raise ScrubError(
            f"{file} holds {len(datasets)} datasets and none is called data; name the one to use: "
            "data = cs.Dataset(...)."
        )
    options = {
        k: module[k] for k in ("metric", "randomize", "baseline") if module.get(k) is not None
    }
    return Target(chosen, data, options)


def _parts(spec: str) -> tuple[str, str]:
    """File and names: cut at the last colon, so that a path may have colons of its own."""
    file, colon, listed = spec.rpartition(":")
    if not colon or Path(spec).is_file() or "/" in listed or "\\" in listed:
        return spec, ""
    return file, listed


def _execute(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ScrubError(f"there is no file {path}; give a Python file that makes hypotheses.")
    file = path.resolve()
    # Known by its own name, as when imported, unless that is another module's.
    name = file.stem if file.stem not in sys.modules else f"{file.stem} (the command's file)"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ScrubError(f"{path} is no Python file; its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and pickles look for what it defines
    # It may import what lies beside it, as when run by python itself, and do so when called later.
    sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    except CausalScrubbingError:
        raise
    except Exception as error:
        own = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)]
        place = f"{path}:{own[-1].lineno}: {own[-1].line}\n" if own else f"{path}: "
        raise ScrubError(f"{place}{type(error).__name__}: {error}") from error
    return vars(module)
