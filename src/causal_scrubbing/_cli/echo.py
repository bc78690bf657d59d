"""What the command prints: nothing that a terminal would obey, in any locale."""

from __future__ import annotations

import sys

import click

from causal_scrubbing._format import printable


def harmless(text: str) -> str:
    r"""The text with control characters other than line breaks and tabs written as escapes.

    Example:
        >>> print(harmless("a" + chr(27) + "[2J"))
        a\x1b[2J
    """
    lines = text.split("\n")
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in lines)


def echo(text: str, *, err: bool = False) -> None:
    """Print a text as a terminal can show it."""
    click.echo(harmless(text), err=err)


def take_any_locale() -> None:
    """Have characters that the locale lacks printed as escapes, not fail."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
