"""Reading what may be damaged: every fault is one error that names the file."""

from __future__ import annotations

import json
import struct
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from causal_scrubbing._errors import CausalScrubbingError, ScrubError

_FAULTS: Final = (
    OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError,
    MemoryError, struct.error, NotImplementedError,
)  # fmt: skip
_LIBRARIES: Final = ("pyarrow", "safetensors", "safetensors_rust", "_safetensors_rust")


class reading:
    """A context in which whatever a damaged file raises is one error that names the file.

    Args:
        file: what is read.
        advice: what to do.
    """

    def __init__(
        self, file: Path | str, advice: str = "Copy the folder again, or make the run once more."
    ) -> None:
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


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Args:
        file: which.

    Raises:
        ScrubError: it is not there, not JSON, or not an object.
    """
    with reading(file):
        content = file.read_bytes()
    return json_object(content, file)


def json_object(content: bytes, file: Path | str) -> dict[str, Any]:
    """A JSON object.

    Args:
        content: of a file.
        file: which, for messages.

    Raises:
        ScrubError: it is not JSON, or not an object.
    """
    with reading(file):
        found = json.loads(content.decode("utf-8"))
        if not isinstance(found, dict):
            raise ValueError(f"it holds {type(found).__name__}, not an object")
        return found
