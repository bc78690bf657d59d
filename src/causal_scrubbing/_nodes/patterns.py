"""Names with wildcards: ``*`` any run of characters, ``{i}`` a number that names can share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import lru_cache

from causal_scrubbing._errors import GraphError

_TOKEN = re.compile(r"\*|\{(\w*)\}")


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str, capture: bool = False) -> re.Pattern[str]:
    """A pattern as a regular expression over whole names.

    ``*`` matches any characters, ``{i}`` a number; the same ``{i}`` twice is the same number, while
    ``{}`` and ``{0}`` have no name and are any number each time.
    With `capture`, wildcards without a name are groups too.
    """
    out, last, seen = [], 0, set[str]()
    for token in _TOKEN.finditer(pattern):
        out.append(re.escape(pattern[last : token.start()]))
        name = token[1]
        if token[0] == "*":
            out.append("(.*)" if capture else ".*")
        elif not name.isidentifier():  # {}, and {0}, which names no group
            out.append(r"(\d+)" if capture else r"\d+")
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


def check_texts(call: str, names: Iterable[object]) -> None:
    """Refuse names that are not texts.

    Args:
        call: what they were given to, for messages.
        names: the names.

    Raises:
        GraphError: one is not a text.
    """
    for name in names:
        if not isinstance(name, str):
            raise GraphError(f"{call}: {name!r} cannot name a node: give it a string.")


def is_pattern(text: str) -> bool:
    """Whether a text has a wildcard in it."""
    return _TOKEN.search(text) is not None


def has_number(text: str) -> bool:
    """Whether a text has a place for a number, ``{}``."""
    return any(token[0] != "*" for token in _TOKEN.finditer(text))


def wildcards(text: str) -> int:
    """How many places for a number a text has."""
    return sum(token[0] != "*" for token in _TOKEN.finditer(text))


def fill(text: str, values: Sequence[int]) -> str:
    """The text with a number of its own in each place for one."""
    waiting = iter(values)
    return _TOKEN.sub(lambda token: token[0] if token[0] == "*" else str(next(waiting)), text)


def number(text: str, value: int) -> str:
    """The text with a number in each place for one."""
    return _TOKEN.sub(lambda token: token[0] if token[0] == "*" else str(value), text)


def substitute(pattern: str, name: str, template: str) -> str | None:
    """The template with what a name has where the pattern has wildcards; None if it does not match.

    Wildcards are taken by name, ``{i}``, and those without one, ``*`` and ``{}``, in order.
    """
    match = compile_pattern(pattern, capture=True).fullmatch(name)
    if match is None:
        return None
    named = match.groupdict()
    unnamed = iter(
        text for i, text in enumerate(match.groups(), 1) if i not in match.re.groupindex.values()
    )
    return _TOKEN.sub(
        lambda token: named[token[1]] if token[1] in named else next(unnamed, token[0]), template
    )


def hint(name: str, known: Iterable[str]) -> str:
    """A question to end an error with, the known names nearest to a wrong one; empty if none is."""
    bare = name.replace("*", "").replace("{}", "")
    near = get_close_matches(bare, list(known), n=4, cutoff=0.4)
    return f" Did you mean {', '.join(map(repr, near))}?" if near else ""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for an error: the known names nearest to a wrong one, or the first few."""
    known = list(known)
    near = hint(name, known)
    if near:
        return near.lstrip()
    shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f"There is {shown}."
