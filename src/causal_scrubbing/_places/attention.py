"""Opening an attention, so that its queries, keys, values and pattern are tensors of their own.

Recurrent networks are opened likewise, at each step. Of attentions three kinds are known:
`torch.nn.MultiheadAttention`, which is run step by step; modules of transformers, whose own eager
attention is taken; and any other module, in which softmax and `scaled_dot_product_attention` are
watched. All is undone after the run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from causal_scrubbing._errors import GraphError
from causal_scrubbing._places.recurrent import Tell, by_steps, is_recurrent

_EAGER: Final = "eager_attention_forward"
_SETTING: Final = "_attn_implementation_internal"
_SOFTMAX: Final[tuple[object, ...]] = (functional.softmax, torch.softmax, Tensor.softmax)


def is_fused(module: torch.nn.Module) -> bool:
    """Whether a module computes attention without calling the modules inside it."""
    return type(module).forward is torch.nn.MultiheadAttention.forward


def hands_over(module: torch.nn.Module) -> bool:
    """Whether an attention's queries, keys and values can be told by head when it is opened."""
    return is_fused(module) or any(_home(cls) is not None for cls in type(module).__mro__)


def _home(cls: type) -> Any:
    """The module of transformers that has the eager attention of a class."""
    home = sys.modules.get(cls.__module__)
    return home if hasattr(home, _EAGER) else None


@contextmanager
def opened(model: torch.nn.Module, tells: Mapping[str, Tell]) -> Iterator[None]:
    """Open attentions, inside.

    Args:
        model: the model.
        tells: path of an attention -> what is told of its tensors.
    """
    chosen = {id(model.get_submodule(path)): tell for path, tell in tells.items()}
    with ExitStack() as stack:
        for path, tell in tells.items():
            _open(model.get_submodule(path), tell, stack)
        if chosen:
            _take_eager(model, chosen, stack)
        yield


def _open(module: torch.nn.Module, tell: Tell, stack: ExitStack) -> None:
    """Another forward for one module, until the stack is left."""
    own = module.forward

    def step_by_step(*args: Any, **kwargs: Any) -> Any:
        if is_recurrent(module):
            return by_steps(module, tell, *args, **kwargs)
        return multihead(module, tell, *args, **kwargs)

    def watched(*args: Any, **kwargs: Any) -> Any:
        with _Watch(tell):
            return own(*args, **kwargs)

    held = module.__dict__.get("forward")

    def back() -> None:
        if held is None:
            del module.__dict__["forward"]
        else:
            module.__dict__["forward"] = held

    stack.callback(back)
    stepped = is_fused(module) or is_recurrent(module)
    module.__dict__["forward"] = step_by_step if stepped else watched


def _take_eager(model: torch.nn.Module, chosen: Mapping[int, Tell], stack: ExitStack) -> None:
    """Let models of transformers use their eager attention, and tell what it is given."""
    for module in model.modules():
        config = getattr(module, "config", None)
        if getattr(config, _SETTING, None) is not None:
            stack.callback(setattr, config, _SETTING, getattr(config, _SETTING))
            setattr(config, _SETTING, "eager")
    done: set[str] = set()
    for module in [one for one in model.modules() if id(one) in chosen]:
        for cls in type(module).__mro__:
            home = _home(cls)
            if home is not None and cls.__module__ not in done:
                done.add(cls.__module__)
                own = getattr(home, _EAGER)
                stack.callback(setattr, home, _EAGER, own)
                setattr(home, _EAGER, _telling(own, chosen))


def _telling(own: Callable[..., Any], chosen: Mapping[int, Tell]) -> Callable[..., Any]:
    def attend(module: Any, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        tell = chosen.get(id(module))
        if tell is not None:
            query, key, value = tell("q", query), tell("k", key), tell("v", value)
        return own(module, query, key, value, *args, **kwargs)

    return attend


class _Watch(TorchFunctionMode):
    """Tells the result of a softmax over the last of three or more axes, and opens fused calls."""

    def __init__(self, tell: Tell) -> None:
        super().__init__()
        self._tell = tell

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if func is functional.scaled_dot_product_attention:
            return fused(self._tell, *args, **named)
        found = func(*args, **named)
        if func in _SOFTMAX and isinstance(found, Tensor) and found.ndim > 2:
            dim = named.get("dim", args[1] if len(args) > 1 else -1)
            if dim in (-1, found.ndim - 1):
                return self._tell("pattern", found)
        return found


def fused(
    tell: Tell,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """What `scaled_dot_product_attention` computes, step by step.

    Args:
        tell: what is told of q [..., heads, length, width], k, v and the pattern
            [..., heads, length, other length].
        query: [..., heads, length, width].
        key: [..., heads or groups, other length, width].
        value: as the key.
        attn_mask: True where attention is allowed, or what is added to the scores.
        dropout_p: rate of dropout, which eval mode makes 0.
        is_causal: whether a position sees no later one.
        scale: of the scores; 1 / sqrt(width) if None.
        enable_gqa: whether several heads share a key and a value.
    """
    query, key, value = tell("q", query), tell("k", key), tell("v", value)
    if enable_gqa:
        key, value = (
            one.repeat_interleave(query.shape[-3] // one.shape[-3], -3) for one in (key, value)
        )
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    scores = query @ key.transpose(-2, -1) * factor
    if is_causal:
        shape = (query.shape[-2], key.shape[-2])
        late = torch.ones(shape, dtype=torch.bool, device=query.device).tril().logical_not()
        scores = scores.masked_fill(late, -torch.inf)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(attn_mask.logical_not(), -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    pattern = torch.ops.aten._safe_softmax.default(scores, -1)
    pattern = functional.dropout(tell("pattern", pattern), dropout_p, training=dropout_p > 0)
    found: Tensor = pattern @ value
    return found


def multihead(
    module: Any,
    tell: Tell,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """What `torch.nn.MultiheadAttention` computes, step by step; arguments as its forward's.

    Its output projection is called as a module, on [batch, length, width], all heads side by side.

    Raises:
        GraphError: it has learned extra keys, or its input has no batch.
    """
    if query.ndim != 3 or module.bias_k is not None or module.add_zero_attn:
        raise GraphError(
            "sites inside nn.MultiheadAttention need an input with a batch axis, and no "
            "add_bias_kv or add_zero_attn; take its output as the site."
        )
    inputs = [query, key, value]
    if not module.batch_first:
        inputs = [one.transpose(0, 1) for one in inputs]
    if module.in_proj_weight is not None:
        weights = module.in_proj_weight.chunk(3)
    else:
        weights = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
    bias = module.in_proj_bias
    biases = (None, None, None) if bias is None else bias.chunk(3)
    q, k, v = (
        tell(
            name,
            _by_heads(functional.linear(one, weight, shift), module.num_heads),
        )
        for name, one, weight, shift in zip("qkv", inputs, weights, biases, strict=True)
    )
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    if attn_mask is not None:
        mask = _added(attn_mask, scores)
        scores = scores + (mask if mask.ndim == 2 else mask.view(scores.shape))
    if key_padding_mask is not None:
        scores = scores + _added(key_padding_mask, scores)[:, None, None]
    pattern = tell("pattern", scores.softmax(-1))
    weighed = functional.dropout(pattern, module.dropout, module.training)
    out = module.out_proj((weighed @ v).transpose(1, 2).flatten(2))
    shown = None
    if need_weights:
        shown = pattern.mean(1) if average_attn_weights else pattern
    return (out if module.batch_first else out.transpose(0, 1)), shown


def _by_heads(value: Tensor, heads: int) -> Tensor:
    """[batch, length, width] to [batch, heads, length, width / heads]."""
    batch, length, width = value.shape
    return value.reshape(batch, length, heads, width // heads).transpose(1, 2)


def _added(mask: Tensor, scores: Tensor) -> Tensor:
    """A mask as what is added to the scores; in torch's masks True is left out."""
    if mask.dtype != torch.bool:
        return mask.to(scores.dtype)
    return torch.zeros_like(mask, dtype=scores.dtype).masked_fill(mask, -torch.inf)
