"""Names with wildcards: ``*`` any run of characters, ``{i}`` a number that names can share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache

_TOKEN = re.compile(r"\*|\{(\w*)\}")


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression over whole names.

    ``*`` matches any characters, ``{i}`` a number; the same ``{i}`` twice is the same number.
    """
    out, last, seen = [], 0, set[str]()
    for token in _TOKEN.finditer(pattern):
        out.append(re.escape(pattern[last : token.start()]))
        name = token[1]
        if token[0] == "*":
            out.append(".*")
        elif not name:
            out.append(r"\d+")
        elif name in seen:
            out.append(f"(?P={name})")
        else:
            seen.add(name)
            out.append(rf"(?P<{name}>\d+)")
        last = token.end()
    out.append(re.escape(pattern[last:]))
    return re.compile("".join(out))


def matches(pattern: str, name: str) -> bool:
    """Whether a name matches a pattern as a whole; a name always matches itself."""
    return pattern == name or compile_pattern(pattern).fullmatch(name) is not None


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for an error: the known names nearest to a wrong one, or the first few."""
    known = list(known)
    near = get_close_matches(name.replace("*", "").replace("{}", ""), known, n=4, cutoff=0.4)
    if near:
        return "Did you mean " + ", ".join(near) + "?"
    shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f"There is {shown}."
