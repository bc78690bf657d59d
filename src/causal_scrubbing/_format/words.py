"""Numbers in words: shares in percent, counts with their nouns, names in a list."""

from __future__ import annotations

from collections.abc import Sequence


def share(value: float, places: int = 1) -> str:
    """A share in percent, of which only none at all reads 0% and only all 100%.

    Those two mean "never" and "always", so what merely rounds to them is shown as ``<0.1%`` and
    ``>99.9%``.

    Args:
        value: from 0 to 1.
        places: decimals of the percentage.
    """
    text, step = f"{100 * value:.{places}f}", 10.0**-places
    if value > 0 and float(text) == 0:
        return f"<{step:.{places}f}%"
    if value < 1 and float(text) == 100:
        return f">{100 - step:.{places}f}%"
    return f"{text}%"


def plural(number: int, noun: str, many: str | None = None) -> str:
    """The noun for a number of things: ``many``, or the noun with an s, unless there is one."""
    return noun if number == 1 else many or f"{noun}s"


def listed(names: Sequence[str], most: int = 8) -> str:
    """Names with commas; where they are more than `most`, some of them and how many more."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
