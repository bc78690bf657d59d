"""Why a step was made, in words."""

from __future__ import annotations

from collections.abc import Sequence

from causal_scrubbing._discover.partial_hypothesis import FeaturePool, Path
from causal_scrubbing._discover.scorer import Scored


def gain(one: Scored, than: Scored) -> str:
    """What a tree does better, with its standard error."""
    return f"{one.worth - than.worth:+.1f} ± {one.error(than):.1f} points"


def added(one: Scored, tried: Sequence[Scored], than: Scored, path: Path, pool: FeaturePool) -> str:
    """Why this was added of all that was tried.

    Args:
        one: what was chosen.
        tried: all that was scored.
        than: what there was before.
        path: of the claim that is explained.
        pool: the features.
    """
    better = [other for other in tried if other.is_better(than, len(tried))]
    top = max(better, key=lambda other: other.worth)
    if top is one:
        return f"the best of {len(tried)}: {gain(one, than)}"
    return (
        f"{gain(one, than)}; as good within the error as the best of {len(tried)}, "
        f"{pool.told(top.tree.at(path))} ({top.recovered:.1f}%, {top.bits:.2f} bits)"
    )


def of_everything(full: Scored, one: Scored, path: Path) -> str:
    """Why the least of everything the pool can say was taken."""
    all_of_it, kept = (len(each.tree.at(path).children or ()) for each in (full, one))
    return (
        f"no single addition helps; all {all_of_it} nodes with all features recover "
        f"{full.recovered:.1f}%, and {kept} of them {'is' if kept == 1 else 'are'} needed"
    )


def agreement(one: Scored, than: Scored) -> str:
    """Why the unimportant parents were said to agree."""
    return f"no claim helps; that they agree does: {gain(one, than)}"


def cut_back(one: Scored, than: Scored, path: Path) -> str:
    """Why less was claimed."""
    saved, lost = than.bits - one.bits, than.worth - one.worth
    fewer = than.claims - one.claims
    spared = f"{saved:.2f} bits" if saved > 0.005 else f"{fewer} claims" if fewer else "exact"
    return (
        f"other samples do not need it: {lost:.1f} ± {one.error(than):.1f} points lost, "
        f"{spared} spared"
    )
