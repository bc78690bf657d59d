"""Shows the examples of docstrings as code in the reference; used when the site is built."""

from __future__ import annotations

import re
from typing import Any

import griffe

_LITERAL = re.compile(r"^Example::\n\n((?:(?:[ ]{4}.*)?\n)*(?:[ ]{4}.*\n?))", re.MULTILINE)
_DOCTEST = re.compile(r"^Example:\n(?=\s+>>>)", re.MULTILINE)


def as_code(text: str) -> str:
    """``Example::`` with a literal block as a fence, ``Example:`` with a doctest as a section."""

    def fenced(match: re.Match[str]) -> str:
        lines = [line.removeprefix("    ") for line in match[1].rstrip().splitlines()]
        return "\n".join(["Example:", "", "```python", *lines, "```", "", ""])

    literal = _LITERAL.sub(fenced, text + "\n")
    return _DOCTEST.sub("Examples:\n", literal).rstrip()


class Examples(griffe.Extension):
    """Rewrites every docstring before it is parsed."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = as_code(obj.docstring.value)
