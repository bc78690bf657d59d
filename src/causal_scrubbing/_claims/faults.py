"""What is wrong with a run file: every fault at once, each with its code, place and hint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from causal_scrubbing._errors import CausalScrubbingError


@dataclass(frozen=True)
class Fault:
    """One fault, as a program can act on it.

    Attributes:
        code: what kind of fault; the codes are listed in the schema of verdicts.
        place: where in the file, a JSON pointer (RFC 6901): "" is the whole file,
            "/hypotheses/0/claims/1/feature" a feature of it.
        message: what is wrong, in words.
        hint: what to do.
    """

    code: str
    place: str
    message: str
    hint: str = ""

    def to_dict(self) -> dict[str, str]:
        """The same as plain data."""
        return {
            "code": self.code,
            "place": self.place,
            "message": self.message,
            "hint": self.hint,
        }

    def __str__(self) -> str:
        hint = f" {self.hint}" if self.hint else ""
        return f"{self.place or '(the file)'}: {self.message}{hint} [{self.code}]"


class RunFileError(CausalScrubbingError):
    """A run file cannot be used; lists every fault found, each with its place.

    Attributes:
        faults: what is wrong.
    """

    def __init__(self, faults: Sequence[Fault], *, file: str = "the run file") -> None:
        self.faults = tuple(faults)
        count = len(self.faults)
        head = f"{file} has {count} fault{'' if count == 1 else 's'}:"
        super().__init__("\n".join([head, *(f"  {fault}" for fault in self.faults)]))


def pointer(*parts: object) -> str:
    """A JSON pointer to a place in a file.

    Args:
        parts: keys and numbers of entries, from the outside in.
    """
    escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in parts)
    return "".join(f"/{part}" for part in escaped)
