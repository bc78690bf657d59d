"""Where a model's weights are, and where its inputs go."""

from __future__ import annotations

from typing import Any

import torch

from causal_scrubbing._errors import GraphError


def find_device(model: torch.nn.Module, *, several: bool) -> torch.device | None:
    """The device that a model's inputs go to; None if it has no weights.

    Args:
        model: the model.
        several: whether its weights may be spread over devices, as `accelerate` spreads them.

    Raises:
        GraphError: the weights are on several devices and may not be, or on the meta device.
    """
    hooks = [getattr(one, "_hf_hook", None) for one in model.modules()]
    dispatched = any(hook is not None for hook in hooks)
    found = list(dict.fromkeys(t.device for t in [*model.parameters(), *model.buffers()]))
    real = [device for device in found if device.type != "meta"]
    if len(real) < len(found) and not dispatched:
        raise GraphError(
            f"{'some' if real else 'all'} of the model's weights are on the meta device, which "
            "holds no numbers. Load them first: build the model without torch.device('meta'), or "
            "model.load_state_dict(weights, assign=True)."
        )
    if len(found) > 1 and not (several or dispatched):
        raise GraphError(
            f"the model's weights are on several devices ({', '.join(sorted(map(str, found)))}), "
            "which an export cannot follow: move it to one, or capture with method='hooks'."
        )
    for hook in hooks:
        given: Any = getattr(hook, "execution_device", None)
        if given is not None:
            return torch.device(given)
    return next(iter(real), None)
