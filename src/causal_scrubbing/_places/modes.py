"""Modules that in training mode draw random numbers or mix rows."""

from __future__ import annotations

import torch


def random_modules(model: torch.nn.Module) -> list[str]:
    """Paths of the modules in whose present mode a row's value is no function of the row."""
    return [
        path or type(module).__name__
        for path, module in model.named_modules()
        if module.training and _differs_in_training(module)
    ]


def _differs_in_training(module: torch.nn.Module) -> bool:
    if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
        return True
    if isinstance(module, torch.nn.modules.dropout._DropoutNd):
        return module.p > 0
    return getattr(module, "dropout", 0) != 0 and isinstance(
        module, (torch.nn.RNNBase, torch.nn.MultiheadAttention)
    )
