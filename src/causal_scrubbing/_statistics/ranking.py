"""Orders that rounding does not decide."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

NEAR = 1e-6
"""Values closer than this share of their size count as equal."""


def ranked(values: npt.ArrayLike, near: float = NEAR) -> list[int]:
    """Indices by value, the largest first; values equal up to rounding by index.

    Equal values that were computed along different ways differ in their last bits, and the bits
    depend on the processor. Values are taken from large to small, and one that is within `near`
    of the one before it is in the same group; a group is listed in the order of its indices.

    Args:
        values: what to order by, [n]; NaN comes last.
        near: the share of their size within which two values are equal.

    Returns:
        All n indices.

    Example:
        >>> ranked([0.1 + 0.2, 1.0, 0.3])
        [1, 0, 2]
    """
    numbers = np.asarray(values, dtype=np.float64).reshape(-1)
    order = [int(i) for i in np.argsort(-numbers, kind="stable")]
    finite = np.abs(numbers[np.isfinite(numbers)])
    least = 1e-12 * float(finite.max()) if len(finite) else 0.0
    groups: list[list[int]] = []
    for i in order:
        if groups:
            last, this = float(numbers[groups[-1][-1]]), float(numbers[i])
            if last == this or last - this <= max(near * max(abs(last), abs(this)), least):
                groups[-1].append(i)
                continue
        groups.append([i])
    return [i for group in groups for i in sorted(group)]
