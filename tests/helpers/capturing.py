"""Independent checks of a captured graph, made with plain hooks on the untouched model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import causal_scrubbing as cs

Run = Callable[[torch.nn.Module, Any], torch.Tensor]


def hooked(
    model: torch.nn.Module,
    run: Run,
    data: cs.Dataset,
    place: str,
    swap: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """The model's output with one tensor swapped by an ordinary hook.

    The place is a module path, ``path:input`` for its first argument, or ``path:output.0``.
    """
    path, _, side = place.partition(":")
    module = model.get_submodule(path)

    def before(_: torch.nn.Module, args: Any, kwargs: Any) -> Any:
        if args:
            return (swap(args[0]), *args[1:]), kwargs
        first = next(iter(kwargs))
        return args, {**kwargs, first: swap(kwargs[first])}

    def after(_: torch.nn.Module, args: Any, output: Any) -> Any:
        if isinstance(output, torch.Tensor):
            return swap(output)
        return type(output)([swap(output[0]), *output[1:]])

    if side == "input":
        handle = module.register_forward_pre_hook(before, with_kwargs=True)
    else:
        handle = module.register_forward_hook(after)
    try:
        return run(model, data)
    finally:
        handle.remove()


def state(model: torch.nn.Module) -> Any:
    """What a capture must leave as it was: hooks, modes, attributes, weights and their places."""
    return [
        (
            path,
            id(module),
            module.training,
            sorted(module.__dict__),
            dict(module._forward_hooks),
            dict(module._forward_pre_hooks),
            {
                k: (id(v), v.data_ptr(), v._version)
                for k, v in module._parameters.items()
                if v is not None
            },
            {
                k: (id(v), v.data_ptr(), v._version)
                for k, v in module._buffers.items()
                if v is not None
            },
        )
        for path, module in model.named_modules()
    ]


def assert_close(found: torch.Tensor, expected: torch.Tensor, what: str) -> None:
    torch.testing.assert_close(
        found, expected, rtol=1e-4, atol=1e-5, msg=lambda text: f"{what}: {text}"
    )


def check_swap(
    graph: cs.Graph,
    model: torch.nn.Module,
    run: Run,
    data: cs.Dataset,
    name: str,
    place: str,
) -> None:
    """A node given other rows' values equals a hook that puts them there; gradients too."""
    kept: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.detach().clone())
        return tensor

    with torch.no_grad():
        hooked(model, run, data, place, keep)
    assert_close(graph.values(data, [name])[name], kept[0], f"{name} itself")
    one = kept[0].flip(0).clone().requires_grad_()
    two = one.detach().clone().requires_grad_()
    expected = hooked(model, run, data, place, lambda _: one.clone())
    found = graph.values(data, given={name: two})[graph.output]
    assert_close(found, expected, f"output with {name} swapped")
    weight = torch.linspace(-1, 1, expected.numel()).reshape(expected.shape)
    (expected * weight).sum().backward()  # type: ignore[no-untyped-call]
    (found * weight).sum().backward()  # type: ignore[no-untyped-call]
    assert one.grad is not None
    assert two.grad is not None
    assert_close(two.grad, one.grad, f"gradient with respect to {name}")
