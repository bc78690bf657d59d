"""Tests by swapping the two members of pairs.

Two runs on common reference rows give pairs. If which member came from which run makes no
difference, the pair is exchangeable: swapping its members leaves the joint law as it is. Then every
pattern of swaps is equally likely, and the share of patterns at least as extreme as the one seen
is an exact p-value for any statistic and any N (Fisher 1935, The Design of Experiments, 21;
Lehmann and Romano 2005, Testing Statistical Hypotheses, 15.2). Where only the means (or only the
two marginal laws) are equal, and not the pair exchangeable, the p-value is right for large N: a
swap turns the sign of the pair's difference, and random signs give differences of mean zero their
own variance.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from causal_scrubbing._statistics.resample import BLOCKS, stream
from causal_scrubbing._statistics.values import FloatArray, IntArray

_EXACT = 12
_CELLS = 1 << 21
_TIE = 1e-12


def signs(pairs: int, patterns: int, seed: int, name: str) -> npt.NDArray[np.int8]:
    """Random patterns of +1 and -1, ``[patterns, pairs]``."""
    flips = stream(seed, name).integers(0, 2, size=(patterns, pairs), dtype=np.int8)
    return flips * np.int8(2) - np.int8(1)


def share_as_extreme(observed: float, swapped: FloatArray) -> float:
    """The p-value of a Monte Carlo test; the pattern seen counts as one of them."""
    slack = _TIE * float(np.abs(swapped).max(initial=0.0))  # equal in theory, not to the last bit
    return float((1 + (swapped >= observed - slack).sum()) / (1 + len(swapped)))


def swap_test_of_mean(
    differences: FloatArray, *, seed: int, permutations: int, pools: IntArray | None = None
) -> tuple[float, int]:
    """Two-sided p-value of "the mean difference is zero", and how many patterns it rests on.

    Up to 12 pairs all patterns are tried. Above ``BLOCKS`` pairs, pairs are shuffled into blocks
    that are swapped as a whole: those patterns are a subgroup of all, so the test stays exact.
    With ``pools``, pools are swapped as a whole.

    Args:
        differences: First run minus second, ``[N]``.
        seed: Of the random patterns.
        permutations: How many random patterns.
        pools: The pool of each sample, ``[N]`` from 0.
    """
    if pools is None:
        sums = differences
        if len(sums) > BLOCKS:
            order = stream(seed, "~swap/blocks").permutation(len(sums))
            starts = np.linspace(0, len(sums), BLOCKS, endpoint=False).astype(np.int64)
            sums = np.add.reduceat(sums[order], starts)
    else:
        sums = np.bincount(pools, weights=differences).astype(np.float64)
    scale = float(np.abs(sums).sum())
    if scale == 0:
        return 1.0, 1
    observed = abs(float(sums.sum())) / scale
    if len(sums) <= _EXACT:
        patterns = np.array(list(itertools.product((1.0, -1.0), repeat=len(sums))))
        extreme = np.abs(patterns @ sums) / scale >= observed - _TIE
        return float(extreme.mean()), len(patterns)
    step = max(1, _CELLS // len(sums))
    rng = stream(seed, "~swap")
    swapped = np.empty(permutations)
    for start in range(0, permutations, step):
        size = (min(step, permutations - start), len(sums))
        flips = rng.integers(0, 2, size=size, dtype=np.int8).astype(np.float64) * 2 - 1
        swapped[start : start + len(flips)] = np.abs(flips @ sums) / scale
    return share_as_extreme(observed, swapped), permutations
