"""A dictionary of features: any encode and decode pair, its features in named groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch

from causal_scrubbing._errors import GraphError
from causal_scrubbing._nodes import as_linear

Map: TypeAlias = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, eq=False)
class Dictionary:
    """Features of an activation; made by `dictionary`, used by `Graph.split_sum`."""

    encode: Map
    decode: Map
    groups: Mapping[str, tuple[int, ...]]
    other: str | None


def dictionary(
    encode: Map, decode: Map, groups: Mapping[str, Sequence[int]], *, other: str | None = "other"
) -> Dictionary:
    """A dictionary of features, such as a sparse autoencoder, for `Graph.split_sum`.

    The activation is y = sum of groups + other + error. A group is what its features add to the
    reconstruction, decode(its features alone) - decode(0); `other` is decode(encode(y)) less the
    groups, the decoder's constant included; the error is what is not reconstructed.

    Example::

        graph.split_sum("m3", cs.dictionary(sae.encode, sae.decode, {"names": [17, 402]}),
                        rest="error")

    Args:
        encode: activation [..., d] to features [..., m].
        decode: features [..., m] to activation [..., d].
        groups: features by the name of the group; each once, and none in two groups.
        other: name of the features that are in no group; None leaves them in the error.

    Raises:
        GraphError: a group is empty, or a feature is in two, or twice in one.
    """
    found: dict[str, tuple[int, ...]] = {}
    owner: dict[int, str] = {}
    faults = []
    for name, features in groups.items():
        found[name] = tuple(int(f) for f in np.asarray(features, dtype=np.int64).reshape(-1))
        if not found[name]:
            faults.append(f"group {name!r} is empty")
        if min(found[name], default=0) < 0:
            faults.append(f"group {name!r} has a negative feature number")
        for feature, times in Counter(found[name]).items():
            if times > 1:
                faults.append(f"feature {feature} is twice in {name!r}")
            if owner.setdefault(feature, name) != name:
                faults.append(f"feature {feature} is both in {owner[feature]!r} and in {name!r}")
    if other is not None and other in found:
        faults.append(f"other={other!r} is also the name of a group")
    if not found and other is None:
        faults.append("there is no group and no other")
    if faults:
        raise GraphError("dictionary: " + "; ".join(faults) + ".")
    return Dictionary(encode, decode, found, other)


@dataclass(frozen=True, eq=False)
class GroupOf:
    """What some features alone add to the reconstruction."""

    decode: Map
    features: tuple[int, ...]

    def __call__(self, code: torch.Tensor) -> torch.Tensor:
        if max(self.features) >= code.shape[-1]:
            raise ValueError(
                f"the dictionary has {code.shape[-1]} features, none of number {max(self.features)}"
            )
        index = torch.tensor(self.features, device=code.device)
        chosen = code.index_select(-1, index)
        linear = as_linear(self.decode)
        if linear is not None:
            return torch.nn.functional.linear(chosen, linear.weight.index_select(1, index))
        nothing = torch.zeros_like(code)
        return self.decode(nothing.index_copy(-1, index, chosen)) - self.decode(nothing)


@dataclass(frozen=True, eq=False)
class OtherOf:
    """The reconstruction less the groups."""

    decode: Map

    def __call__(self, code: torch.Tensor, *groups: torch.Tensor) -> torch.Tensor:
        out = self.decode(code)
        for group in groups:
            out = out - group
        return out
