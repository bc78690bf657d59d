"""`path_patch`: the effect of each path between senders and receivers, with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from causal_scrubbing._data import Dataset, Feature, anything
from causal_scrubbing._graph import Graph
from causal_scrubbing._path_patch.paths import find_paths
from causal_scrubbing._path_patch.result import PathEffect, PathEffects
from causal_scrubbing._scrub import scrub
from causal_scrubbing._simulate import Metric


def path_patch(
    graph: Graph,
    data: Dataset,
    metric: Metric | Mapping[str, Metric] | None = None,
    *,
    senders: str | Sequence[str],
    receivers: str | Sequence[str],
    via: str | Sequence[str] = (),
    onward: str | Sequence[str] = "*",
    within: Feature = anything,
    self_draws: bool = True,
    samples: int = 200,
    seed: int = 0,
    **options: Any,
) -> PathEffects:
    """Swap one node's value where a second node reads it, and measure what changes.

    Path patching (Wang et al. 2022, "Interpretability in the wild", section 3.1; Goldowsky-Dill et
    al. 2023) as hypotheses: the receiver is on the reference row in everything but the sender,
    which is on a random other row; what lies downstream of the receiver is recomputed, or a part
    of it (`onward`). All pairs run in one scrub, on common random numbers, and share clean
    activations.

    Args:
        graph: the graph.
        data: the dataset; reference rows and other rows are draws from it.
        metric: as in `scrub`.
        senders: names or patterns of the nodes whose value is taken from another row.
        receivers: names or patterns of the nodes that read it, each by itself.
        via: nodes that a path from sender to receiver may pass; none, the default, is the direct
            edge alone; "*" is any.
        onward: nodes through which the receiver's change goes on to the output; the default, "*",
            is any. With `onward="m*"`, attention heads downstream are frozen and MLPs are not, as
            in section 3.1 of the paper; none leaves the receiver's own edge to the output. The
            fewer there are, the less is recomputed.
        within: a feature that the other row shares with the reference row.
        self_draws: whether the other row may be the row itself. Clean and corrupted prompts are
            pairs: ``within="pair", self_draws=False`` takes the partner.
        samples: N, for each pair.
        seed: with it a run is the same everywhere.
        **options: further arguments of `scrub`.

    Returns:
        `PathEffects`: a row for each pair that a path joins.

    Raises:
        GraphError: a pattern matches no node.
        ScrubError: no path joins any sender with any receiver, or an argument is wrong.

    Example::

        effects = cs.path_patch(graph, data, metric=cs.metrics.logit_difference("right", "wrong"),
                                senders="a*.z.h*", receivers=["logits"], samples=200)
        print(effects)
    """
    about: dict[str, Any] = {"within": within}
    if not self_draws:
        about["self_draws"] = False
    paths, notes = find_paths(graph, senders, receivers, (via, onward), about)
    options = {"keep_outputs": False, "compare": False, **options}
    results = scrub(
        [path.hypothesis for path in paths], data, metric, samples=samples, seed=seed, **options
    )
    rows = tuple(
        PathEffect(path.sender, path.receiver, dict(one.scores))
        for path, one in zip(paths, results, strict=True)
    )
    allowed, beyond = ((one,) if isinstance(one, str) else tuple(one) for one in (via, onward))
    return PathEffects(rows, allowed, samples, seed, tuple(notes), beyond)
