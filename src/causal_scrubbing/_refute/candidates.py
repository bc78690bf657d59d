"""What a search tries: the pool of features, the additions, the changes that permit more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from causal_scrubbing._data import Dataset
from causal_scrubbing._hypothesis import Hypothesis
from causal_scrubbing._refute.options import SearchSettings
from causal_scrubbing._trials import (
    FEWEST,
    Addition,
    PoolFeature,
    additions,
    check_features,
    cuts,
    draws_several,
    field_features,
    found_features,
    named_features,
    rounds,
)

MOST = 1000
"""Additions made where no budget says how many can be raced."""

MOST_NODES = 12
"""Nodes in whose activations features are sought unless they are named."""


@dataclass(eq=False)
class Candidates:
    """The candidates of a search.

    Attributes:
        named: dataset fields and the user's features.
        added: additions, which only forbid swaps.
        cut: changes that permit more; with `improve` only `separate`, which is always shown.
        notes: what was not tried, and why.
    """

    named: list[PoolFeature]
    added: list[Addition] = field(default_factory=list)
    cut: list[Addition] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def named_pool(data: Dataset, settings: SearchSettings) -> list[PoolFeature]:
    """The dataset's fields and the user's features, checked.

    Raises:
        HypothesisError: one cannot be used on the data.
    """
    own = named_features(settings.features)
    check_features(own, data)
    return [*(field_features(data) if settings.fields else []), *own]


def shown_apart(h: Hypothesis) -> bool:
    """Whether the estimate under `separate` is another one."""
    return h.unimportant != "separate" and draws_several(h)


def candidates(
    h: Hypothesis,
    data: Dataset,
    named: Sequence[PoolFeature],
    settings: SearchSettings,
    *,
    improve: bool,
    fit: bool = True,
) -> Candidates:
    """All candidates of a search.

    Args:
        h: the hypothesis searched around.
        data: the dataset.
        named: features that are not found in activations.
        settings: of the search.
        improve: whether only what forbids swaps is wanted.
        fit: whether to look for features in activations, which runs the model.
    """
    made = Candidates(list(named))
    pool = list(named)
    if fit:
        nodes, skipped = look_at(h, settings.activations)
        if skipped:
            made.notes.append(
                f"features were sought in the activations of {len(nodes)} nodes, and not in those "
                f"of {len(skipped)} further unimportant ones ({', '.join(skipped[:6])}"
                f"{', ...' if len(skipped) > 6 else ''}). activations= names nodes to look in."
            )
        pool += found_features(
            h.graph, data, nodes, named, settings.seed, settings.device, made.notes
        )
    made.added, notes = additions(h, data, pool, settings.rivals, settings.seed, most(settings))
    made.notes += notes
    made.cut = cuts(h, data)
    if improve:
        made.cut = made.cut[:1] if shown_apart(h) else []
    return made


def most(settings: SearchSettings) -> int:
    """How many additions are made: what the budget can race, and at most `MOST` without one."""
    if settings.budget is None:
        return MOST
    count = settings.keep + 1
    race = settings.budget - settings.budget // 10  # a tenth is for pairs
    while FEWEST * (2 * count) * rounds(2 * count, settings.keep) <= race:
        count *= 2
    return count


def look_at(h: Hypothesis, activations: str | Sequence[str]) -> tuple[list[str], list[str]]:
    """The nodes in whose activations features are sought, and those passed over."""
    if activations != "auto":
        return (list(h.graph.find(activations)) if activations else []), []
    exact_root = h.tree.claims[0].claim.node if len(h.tree.claims) > 1 else None
    claimed = dict.fromkeys(e.claim.node for e in h.tree.claims if e.claim.node != exact_root)
    loose = dict.fromkeys(n for b in h.tree.blocks for _, n in b.others if n not in claimed)
    space = max(0, MOST_NODES - len(claimed))
    step = max(1, -(-len(loose) // space)) if space else len(loose) + 1
    chosen = [*list(claimed)[:MOST_NODES], *list(loose)[::step][:space]]
    # Integer inputs (token ids) have no geometry to look for directions in.
    inputs = {n for n in (*claimed, *loose) if h.graph.nodes[n].is_input}
    skipped = [n for n in (*claimed, *loose) if n not in chosen and n not in inputs]
    return [n for n in chosen if n not in inputs], skipped
