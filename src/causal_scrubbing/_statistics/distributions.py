"""Behaviour and output under D against those under D_scrubbed, as distributions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from causal_scrubbing._display import Displayed
from causal_scrubbing._errors import MetricError
from causal_scrubbing._format import plain, plural, short
from causal_scrubbing._statistics.permute import share_as_extreme, signs
from causal_scrubbing._statistics.resample import stream
from causal_scrubbing._statistics.table import dense
from causal_scrubbing._statistics.values import FloatArray, IntArray, as_values, check_finite

PROBABILITIES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_SWAP = (
    "exact if swapping the model's and the scrubbed value of a sample leaves their joint law "
    "unchanged; of equal laws alone, right for large N"
)
_SWAP_POOLS = (
    "pools are swapped whole, since samples of one pool depend on each other; exact if swapping "
    "the model's and the scrubbed values of a pool leaves their joint law unchanged; of equal laws "
    "alone, right for many pools"
)
_KS = (
    "assumes that the two samples are independent of each other; here they share their reference "
    "rows, and where that makes them alike the test rejects too seldom"
)
_SCALAR = "it is for vectors; for scalars there is the Wasserstein distance"
_MAX_PAIRS = 10_000
_MAX_PAIRS_ENERGY = 1_500
_ENERGY_WORK = 5e8
_DIRECTIONS = 64
_CELLS = 1 << 21


@dataclass(frozen=True)
class TwoSampleTest:
    """A test of "both samples have one law".

    Attributes:
        name: Statistic and method.
        statistic: Its value; for tests on a random part of the pairs, on that part.
        p_value: Its p-value.
        pairs: How many pairs it used.
        assumption: What makes the p-value right.
        pools: How many pools they came from, which were swapped whole; 0 without pools.
    """

    name: str
    statistic: float
    p_value: float
    pairs: int
    assumption: str
    pools: int = 0


@dataclass(frozen=True)
class DistributionComparison(Displayed):
    """The law of one quantity in the model and in the scrubbed model.

    Attributes:
        name: What is compared.
        n: How many samples.
        width: Numbers a sample; 1 for scalars.
        probabilities: Of the quantiles; empty for vectors.
        model: Quantiles of the model's values.
        scrubbed: Quantiles of the scrubbed values.
        distance: Wasserstein-1 distance in the quantity's own unit; for vectors the mean over
            random directions of that distance between the projections (sliced).
        energy: Energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'| of vectors (V-statistic), on the
            pairs its test used; None for scalars.
        tests: Two-sample tests, each with its assumption.
        note: A remark a reader needs, or None.
    """

    name: str
    n: int
    width: int
    probabilities: tuple[float, ...]
    model: tuple[float, ...]
    scrubbed: tuple[float, ...]
    distance: float
    energy: float | None
    tests: tuple[TwoSampleTest, ...]
    note: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; ``energy_reason`` says why there is no energy distance."""
        values: dict[str, Any] = plain(self)
        values["energy_reason"] = None if self.energy is not None else _SCALAR
        return values

    def __repr__(self) -> str:
        return f"DistributionComparison({self.name}: {self.n} samples; print it to see it all)"

    def __str__(self) -> str:
        kind = "Wasserstein" if self.energy is None else "sliced Wasserstein"
        samples = plural(self.n, "sample")
        lines = [f"{self.name}: {self.n} {samples} under D and under D_scrubbed"]
        if self.probabilities:
            lines.append("quantile  " + "".join(f"{p:>10.0%}" for p in self.probabilities))
            lines.append("model     " + "".join(f"{short(value, 4):>10}" for value in self.model))
            lines.append(
                "scrubbed  " + "".join(f"{short(value, 4):>10}" for value in self.scrubbed)
            )
        lines.append(f"{kind} distance {short(self.distance, 4)}")
        if self.energy is not None:
            lines.append(f"energy distance {short(self.energy, 4)}")
        lines += [
            f"{test.name}: {short(test.statistic, 4)}, p = {short(test.p_value)} on {test.pairs} "
            + f"{plural(test.pairs, 'pair')} "
            + (f"from {test.pools} {plural(test.pools, 'pool')} " if test.pools else "")
            + f"({test.assumption})"
            for test in self.tests
        ]
        return "\n".join([*lines, self.note] if self.note else lines)


def compare_distributions(
    name: str,
    model: Any,
    scrubbed: Any,
    *,
    seed: int = 0,
    permutations: int = 999,
    pools: IntArray | None = None,
    note: str | None = None,
) -> DistributionComparison:
    """Compare the laws of a quantity on the same reference rows, with and without scrubbing.

    The two samples are paired by reference row, so a test that shuffles all values between them
    would use the wrong variance. The tests here swap within pairs instead, and say when they are
    exact. Scalars: Wasserstein-1 and Kolmogorov-Smirnov by swaps (up to 10,000 random pairs), and
    the textbook Kolmogorov-Smirnov test with the independence it assumes. Vectors: energy distance
    by swaps (up to 1,500 random pairs; Székely and Rizzo 2013, Energy Statistics).

    Samples of one pool depend on each other, so with `pools` all pairs of a pool are swapped
    together, and the textbook test, which takes samples for independent, is left out.

    Args:
        name: What is compared, for messages and the table.
        model: Values under D, ``[N]``, or ``[N, ...]`` for vectors (flattened).
        scrubbed: Values under D_scrubbed on the same reference rows, same shape.
        seed: Of swaps, directions and choice of pairs.
        permutations: Swap patterns of each test; the smallest p-value is 1 / (permutations + 1),
            and with P pools about 1 / 2^(P - 1).
        pools: The pool of each sample, ``[N]``, as in :class:`Triples`.
        note: A remark to print with the result, such as that a leaf root's output has the
            model's law by construction.

    Raises:
        MetricError: If the shapes differ or a value is not finite.
    """
    from scipy import stats

    left, right = _flat(name, model), _flat(name, scrubbed)
    if left.shape != right.shape:
        raise MetricError(
            f"{name!r}: the model's values have shape {list(left.shape)} and the scrubbed "
            f"{list(right.shape)}; both must be on the same samples"
        )
    check_finite(name, "model", left)
    check_finite(name, "scrubbed", right)
    n, width = left.shape
    if width == 1:
        x, y = left[:, 0], right[:, 0]
        tests = _swap_scalars(x, y, seed, permutations, pools)
        if pools is None:
            tests += (_independent(x, y),)
        return DistributionComparison(
            name,
            n,
            width,
            PROBABILITIES,
            tuple(np.quantile(x, PROBABILITIES).tolist()),
            tuple(np.quantile(y, PROBABILITIES).tolist()),
            float(stats.wasserstein_distance(x, y)),
            None,
            tests,
            note,
        )
    test = _swap_vectors(left, right, seed, permutations, pools)
    sliced = _sliced_wasserstein(left, right, seed)
    return DistributionComparison(name, n, width, (), (), (), sliced, test.statistic, (test,), note)


def _flat(name: str, values: Any) -> FloatArray:
    if getattr(values, "ndim", 1) > 2:
        values = values.reshape(len(values), -1)
    array = as_values(name, values)
    return array[:, None] if array.ndim == 1 else array


def _choose(n: int, most: int, seed: int) -> Any:
    if n <= most:
        return slice(None)
    return stream(seed, "~pairs").choice(n, size=most, replace=False)


def _units(n: int, chosen: Any, pools: IntArray | None) -> tuple[IntArray, int]:
    """What is swapped together: for each pair chosen its unit ``[n]``, and how many are pools."""
    if pools is None:
        return np.arange(n), 0
    units = dense(pools[chosen])
    return units, int(units.max()) + 1


def _swap_scalars(
    x: FloatArray, y: FloatArray, seed: int, permutations: int, pools: IntArray | None
) -> tuple[TwoSampleTest, ...]:
    chosen = _choose(len(x), _MAX_PAIRS, seed)
    x, y = x[chosen], y[chosen]
    n = len(x)
    units, whole = _units(n, chosen, pools)
    pooled = np.concatenate([x, y])
    order = np.argsort(pooled, kind="stable")
    unit = units[order % n]
    side = np.where(order < n, 1, -1).astype(np.int8)
    steps = np.diff(pooled[order])

    def distances(flips: npt.NDArray[np.int8]) -> tuple[FloatArray, FloatArray]:
        # The difference of the two counts up to each pooled value; it means something where the
        # next value is larger. Counts are integers: equal samples are at distance zero exactly.
        counts = np.cumsum(flips[:, unit] * side, axis=1, dtype=np.int32)
        gap = np.abs(counts[:, :-1]) / n
        return gap @ steps, np.where(steps > 0, gap, 0.0).max(axis=1, initial=0.0)

    flipped = int(units.max()) + 1
    observed = [float(values[0]) for values in distances(np.ones((1, flipped), np.int8))]
    swapped = np.empty((2, permutations))
    patterns = signs(flipped, permutations, seed, "~swap/scalars")
    step = max(1, _CELLS // (2 * n))
    for start in range(0, permutations, step):
        swapped[:, start : start + step] = distances(patterns[start : start + step])
    names = ("Wasserstein distance, swaps", "Kolmogorov-Smirnov, swaps")
    return tuple(
        TwoSampleTest(
            name, seen, share_as_extreme(seen, drawn), n, _SWAP_POOLS if whole else _SWAP, whole
        )
        for name, seen, drawn in zip(names, observed, swapped, strict=True)
    )


def _independent(x: FloatArray, y: FloatArray) -> TwoSampleTest:
    # The approximation is of no law at all for one pair.
    from scipy import stats

    result = stats.ks_2samp(x, y, method="asymp" if len(x) > 1 else "exact")
    return TwoSampleTest(
        "Kolmogorov-Smirnov, textbook", float(result.statistic), float(result.pvalue), len(x), _KS
    )


def _swap_vectors(
    x: FloatArray, y: FloatArray, seed: int, permutations: int, pools: IntArray | None
) -> TwoSampleTest:
    from scipy.spatial.distance import cdist

    most = min(_MAX_PAIRS_ENERGY, max(20, int((_ENERGY_WORK / x.shape[1]) ** 0.5)))
    chosen = _choose(len(x), most, seed)
    x, y = x[chosen], y[chosen]
    n = len(x)
    units, whole = _units(n, chosen, pools)
    # With signs s on the pooled values the energy distance is - sum s_i s_j |z_i - z_j| / n^2, and
    # a swap turns both signs of its pair; so all swaps are quadratic forms in one n x n matrix.
    across = cdist(x, y)
    matrix = cdist(x, x) + cdist(y, y) - across - across.T
    flips = signs(int(units.max()) + 1, permutations, seed, "~swap/vectors")
    patterns = np.concatenate([np.ones((1, n)), flips[:, units]])
    energies = -((patterns @ matrix) * patterns).sum(axis=1) / n**2
    observed = float(max(energies[0], 0.0))
    p_value = share_as_extreme(observed, energies[1:])
    return TwoSampleTest(
        "energy distance, swaps", observed, p_value, n, _SWAP_POOLS if whole else _SWAP, whole
    )


def _sliced_wasserstein(x: FloatArray, y: FloatArray, seed: int) -> float:
    chosen = _choose(len(x), _MAX_PAIRS, seed)
    directions = stream(seed, "~directions").normal(size=(x.shape[1], _DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    left, right = (np.sort(values[chosen] @ directions, axis=0) for values in (x, y))
    return float(np.abs(left - right).mean())
