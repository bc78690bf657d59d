"""The pool of features a search draws on: dataset fields and the user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from causal_scrubbing._data import Dataset, Feature, distinct, exact, feature_name, is_feature
from causal_scrubbing._errors import CausalScrubbingError, HypothesisError


@dataclass(frozen=True, eq=False)
class PoolFeature:
    """A feature of the pool.

    Attributes:
        name: how it is told.
        feature: the feature.
        node: the node in whose activations it was found; None for others.
    """

    name: str
    feature: Feature
    node: str | None = None


def check_features(pool: Sequence[PoolFeature], data: Dataset) -> None:
    """Refuse features that cannot be used on the data.

    Raises:
        HypothesisError: naming each, with what is wrong.
    """
    faults = []
    for one in pool:
        try:
            data.classes(one.feature)
        except CausalScrubbingError as error:
            faults.append(f"features: {one.name}: {error}")
    if faults:
        raise HypothesisError(faults)


def named_features(features: Sequence[Feature] | Mapping[str, Feature]) -> list[PoolFeature]:
    """The user's features, by name.

    Raises:
        HypothesisError: one is no feature.
    """
    listed = isinstance(features, Mapping | list | tuple)
    pairs = (
        list(features.items())
        if isinstance(features, Mapping)
        else [(feature_name(one), one) for one in features]
        if listed
        else []
    )
    wrong = [one for _, one in pairs if not is_feature(one)]
    if not listed or wrong:
        raise HypothesisError(
            [
                f"features={features!r} must be a list or a mapping of features: field names, "
                "functions of a Dataset, or tuples of them."
            ]
        )
    return [PoolFeature(name, one) for name, one in pairs]


def field_features(data: Dataset) -> list[PoolFeature]:
    """The dataset's fields that have several rows in a class on average."""
    found = []
    for name in data.field_names:
        try:
            if 1 < data.classes(distinct(name)).count <= len(data) / 4:
                data.classes(name)
                found.append(PoolFeature(name, name))
        except CausalScrubbingError:
            continue  # with NaN, or classes that rounding has split, it is not a feature
    return found


def with_exact(pool: Sequence[PoolFeature]) -> list[PoolFeature]:
    """The pool and `exact`, the addition that forbids every swap of a block."""
    return [PoolFeature("exact", exact), *pool]
