"""A ready map of any convolutional network, read off its module tree."""

from __future__ import annotations

import re
from typing import Final

import torch
from torch import nn

from causal_scrubbing._errors import GraphError
from causal_scrubbing._sites.site_map import SiteMap

_CONVOLUTIONS: Final = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d,
    nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
)  # fmt: skip
_NORMS: Final = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.GroupNorm,
)
_NONLINEARITIES: Final = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish,
    nn.Hardtanh, nn.Sigmoid, nn.Tanh, nn.Softplus,
)  # fmt: skip
_BRANCH: Final = re.compile(r"(?:^|\.)(?:branch|denselayer|conv_branch|path)[\w]*$", re.IGNORECASE)


def convs(model: torch.nn.Module) -> SiteMap:
    """Stages, branches, convolutions, and what is before and after their nonlinearities.

    Node names are module paths: ``layer1`` (a stage: a part of the model with convolutions inside
    several blocks), ``inception3a.branch2`` (a branch of a concatenation), ``layer1.0.conv1``,
    ``layer1.0.bn1`` (where a normalisation follows a convolution: before the nonlinearity) and
    ``layer1.0.relu`` (after it). A nonlinearity that is called several times, as in residual
    networks, gives ``layer1.0.relu#0`` and ``#1``; one that is a function, not a module, has no
    place: ``path:input`` of the convolution that reads it is the same tensor. Channels are axis 1.

    Example::

        sites = cs.sites.convs(model)
        graph = cs.capture(model, data[:2], sites=sites, output="logits")
        graph = graph.split("layer1.0.conv1", axis=1, into={"c{}": 64})

    Raises:
        GraphError: the model has no convolution that is a module.
    """
    modules = dict(model.named_modules())
    if not any(isinstance(one, _CONVOLUTIONS) for one in modules.values()):
        raise GraphError(
            f"{type(model).__name__} has no convolution that is a module, so it has no map of "
            "them; write one by hand, or mark tensors in its forward with cs.site."
        )
    kinds = (*_CONVOLUTIONS, *_NONLINEARITIES)
    chosen = [
        path
        for path, module in modules.items()
        if path
        and (
            isinstance(module, kinds)
            or _follows_convolution(modules, path)
            or _is_part(path, module)
        )
    ]
    return SiteMap({path: path for path in chosen})


def _is_part(path: str, module: nn.Module) -> bool:
    """Whether a module is a stage, or a branch of a concatenation."""
    below = [one for one in module.modules() if one is not module]
    if not any(isinstance(one, _CONVOLUTIONS) for one in below):
        return False
    blocks = [one for one in module.children() if list(one.children())]
    return bool(_BRANCH.search(path)) or (isinstance(module, nn.Sequential) and bool(blocks))


def _follows_convolution(modules: dict[str, nn.Module], path: str) -> bool:
    """Whether a module is a normalisation that stands behind a convolution."""
    parent, _, name = path.rpartition(".")
    if not isinstance(modules[path], _NORMS) or parent not in modules:
        return False
    beside = list(modules[parent].named_children())
    at = [child for child, _ in beside].index(name)
    return at > 0 and isinstance(beside[at - 1][1], _CONVOLUTIONS)
