"""Which sites' values reach which, found by running the model with one of them changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from causal_scrubbing._capture.replay import Machine, fitted


def find_parents(
    machine: Machine, fields: Mapping[str, torch.Tensor], clean: Mapping[str, torch.Tensor]
) -> dict[str, list[str]]:
    """The sites and fields whose values reach each site directly.

    One of them is changed at a time, all sites passed later have their clean values put in place,
    and each site that another value arrives at is a child. What no change could be tried on, since
    the model fails on all of them, counts as reached.

    Args:
        machine: the model.
        fields: the example.
        clean: every site's value on it, in the order in which they are passed, the output's last.

    Returns:
        Name -> its parents, fields first, then sites in order.
    """
    parents: dict[str, list[str]] = {name: [] for name in clean}
    names = list(clean)
    with torch.no_grad():
        for field in fields:
            for child in _reached(machine, fields, clean, field, set(names)):
                parents[child].append(field)
        for i, source in enumerate(names[:-1]):
            for child in _reached(machine, fields, clean, source, set(names[i + 1 :])):
                parents[child].append(source)
    return parents


def _reached(
    machine: Machine,
    fields: Mapping[str, torch.Tensor],
    clean: Mapping[str, torch.Tensor],
    source: str,
    later: set[str],
) -> set[str]:
    """The later sites that a change of one site's value, or of one field's, shows at."""
    hit: set[str] = set()
    tried: set[str] = set()
    for changed in _changes(fields[source] if source in fields else clean[source]):
        if hit == later:
            break
        given = {**fields, source: changed} if source in fields else fields

        def act(tensor: torch.Tensor, name: str, changed: torch.Tensor = changed) -> torch.Tensor:
            if name == source:
                return fitted(changed, tensor)
            if name not in later or name == machine.output:
                return tensor
            tried.add(name)
            if not _same(tensor, clean[name]):
                hit.add(name)
            return fitted(clean[name], tensor)

        try:
            value = machine.follow(given, act)
        except Exception:
            continue
        tried.add(machine.output)
        if not _same(value, clean[machine.output]):
            hit.add(machine.output)
    return hit | (later - tried)


def _changes(clean: torch.Tensor) -> Iterator[torch.Tensor]:
    """Values to try in place of a clean one: other rows' first, which the model is made for."""
    generator = np.random.default_rng(0)
    yield clean.roll(1, 0)
    if clean.is_floating_point() or clean.is_complex():
        scale = max(float(clean.abs().nan_to_num(0, 0, 0).amax()) if clean.numel() else 1.0, 1.0)
        yield torch.as_tensor(generator.normal(size=tuple(clean.shape)) * scale).to(clean)
        # A comparison swallows a NaN, but seldom a change of sign.
        yield torch.where(clean == 0, torch.ones_like(clean), -clean)
        yield torch.full_like(clean, torch.nan)
        return
    flat = clean.reshape(-1)
    for _ in range(2):
        order = torch.as_tensor(generator.permutation(len(flat)), device=flat.device)
        yield flat[order].reshape(clean.shape)
    if clean.dtype == torch.bool:
        yield ~clean
        return
    yield clean + 1
    yield clean - 1
    for end in (clean.amax(), clean.amin()):
        yield end.expand_as(clean).clone()


def _same(one: torch.Tensor, two: torch.Tensor) -> bool:
    if one.shape != two.shape or one.dtype != two.dtype:
        return False
    return bool(((one == two) | (one.isnan() & two.isnan())).all())
