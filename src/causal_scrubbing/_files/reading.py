"""Reading what may be damaged: every fault is one error that names the file."""

from __future__ import annotations

import json
import struct
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from causal_scrubbing._errors import CausalScrubbingError, ScrubError
from causal_scrubbing._files.schema import ADVICE

_FAULTS: Final = (
    OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError,
    MemoryError, struct.error, NotImplementedError,
)  # fmt: skip
DEEPEST: Final = 100
"""How deeply what is read may be nested: claims are a flat list."""

_LIBRARIES: Final = ("pyarrow", "safetensors", "safetensors_rust", "_safetensors_rust")


class reading:
    """A context in which whatever a damaged file raises is one error that names the file.

    Args:
        file: what is read.
        advice: what to do.
    """

    def __init__(self, file: Path | str, advice: str = ADVICE) -> None:
        self.file, self.advice = file, advice

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, CausalScrubbingError):
            return
        if isinstance(error, _FAULTS) or is_library_error(error):
            reason = (str(error).splitlines() or [""])[0][:200]
            raise ScrubError(
                f"{self.file} cannot be read ({type(error).__name__}: {reason}). {self.advice}"
            ) from error


def is_library_error(error: BaseException) -> bool:
    """Whether a reader of Parquet or safetensors raised an error of its own kind."""
    return type(error).__module__.partition(".")[0] in _LIBRARIES


def digest(content: bytes) -> str:
    """The SHA-256 of a file's content, as written in seals."""
    return sha256(content).hexdigest()


def read_json(file: Path, advice: str = ADVICE) -> dict[str, Any]:
    """A JSON object from a file.

    Args:
        file: which.
        advice: what to do where it is damaged.

    Raises:
        ScrubError: it is not there, not JSON, or not an object; it is nested too deeply.
    """
    with reading(file, advice):
        content = file.read_bytes()
    return json_object(content, file, advice)


def json_object(content: bytes, file: Path | str, advice: str = ADVICE) -> dict[str, Any]:
    """A JSON object.

    Args:
        content: of a file.
        file: which, for messages.
        advice: what to do where it is damaged.

    Raises:
        ScrubError: it is not JSON, not an object, or nested more than 100 deep.
    """
    with reading(file, advice):
        return parsed_object(content)


def parsed_object(content: bytes) -> dict[str, Any]:
    """A JSON object from the content of a file.

    Raises:
        ValueError: it is not JSON, not an object, or nested more than 100 deep.
        RecursionError: it is nested far deeper.
    """
    found = json.loads(content.decode("utf-8"))
    if not isinstance(found, dict):
        raise ValueError(f"it holds {type(found).__name__}, not an object")
    if depth_of(found) > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    return found


def depth_of(body: object) -> int:
    """How deeply lists and objects are nested, counted to one more than is allowed."""
    depth, level = 0, [body]
    while level and depth <= DEEPEST:
        depth += 1
        inner: list[object] = []
        for one in level:
            if isinstance(one, dict):
                inner += one.values()
            elif isinstance(one, list):
                inner += one
        level = inner
    return depth
