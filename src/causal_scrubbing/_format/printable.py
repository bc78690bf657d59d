"""Text that a terminal or a table shows as one line, whatever was in it."""

from __future__ import annotations

import unicodedata

_UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def is_printable(text: str) -> bool:
    """Whether a text has no control characters, line breaks or marks that turn its direction."""
    return text.isprintable() or not any(unicodedata.category(c) in _UNSAFE for c in text)


def printable(text: str) -> str:
    r"""The text with control characters and line breaks written as escapes.

    Example:
        >>> print(printable("a\nb"))
        a\nb
    """
    if is_printable(text):
        return text
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in _UNSAFE else c
        for c in text
    )
