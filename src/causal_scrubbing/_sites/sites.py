"""Ready site maps for known families: `capture(..., sites=cs.sites.heads_and_mlps(model))`.

Each function looks at the model's module tree, finds its blocks in a table of layouts, and returns
a plain mapping from node names to places, which may be edited before use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch

from causal_scrubbing._errors import GraphError
from causal_scrubbing._places import hands_over
from causal_scrubbing._sites.convs import convs as convs
from causal_scrubbing._sites.layouts import EMBEDDINGS, GROUPS, HEADS, LAYOUTS, MIXERS, Layout
from causal_scrubbing._sites.site_map import SiteMap, Splits


class _Stack:
    """A list of equal blocks in a model, and its layout."""

    def __init__(self, path: str, length: int, layout: Layout, first: int, name: str) -> None:
        self.path, self.length, self.layout, self.name = path, length, layout, name
        # The first block that has the layout: in some models not all blocks do.
        self.first = f"{path}.{first}"

    def site(self, letter: str, place: str) -> tuple[str, str]:
        return f"{self.name}{letter[0]}{{i}}{letter[1:]}", f"{self.path}.{{i}}.{place}"

    def crossed(self, place: str) -> str | None:
        if self.layout.cross is None:
            return None
        return place.replace(*self.layout.cross)


def heads_and_mlps(model: torch.nn.Module) -> SiteMap:
    """Embeddings, every attention's heads side by side (``a{i}.z``) and every MLP (``m{i}``).

    What mixes positions in another way (a state space, a recurrence) is ``s{i}``.

    A second attention, over an encoder, is ``x{i}.z``; with several stacks names begin with
    ``enc.`` or ``dec.``. Split ``a*.z`` to have heads: `SiteMap.splits` says how many and where.

    Raises:
        GraphError: the family is unknown; its module tree and how to write a map are shown.
    """

    def choose(stack: _Stack) -> dict[str, str]:
        return {
            **_attention(stack, {"z": ".z"}),
            **_mixers(model, stack),
            **_one(stack, "m", stack.layout.mlp),
        }

    return _make(model, choose)


def qkv(model: torch.nn.Module) -> SiteMap:
    """`heads_and_mlps`, and every attention's queries, keys and values (``a{i}.q`` and so on).

    Where one module makes the three it is ``a{i}.qkv``, in the model's own order. With
    grouped-query attention keys and values have fewer heads, and `SiteMap.splits` says so.
    """

    def choose(stack: _Stack) -> dict[str, str]:
        parts = {"q": ".q", "k": ".k", "v": ".v", "qkv": ".qkv", "z": ".z"}
        return {**_attention(stack, parts), **_one(stack, "m", stack.layout.mlp)}

    return _make(model, choose)


def patterns(model: torch.nn.Module) -> SiteMap:
    """`heads_and_mlps`, and each attention's pattern, and what it is computed from.

    ``a{i}.pattern`` is [batch, head, destination, source]: what each head weighs its values by.
    ``a{i}.q``, ``a{i}.k`` and ``a{i}.v`` are [batch, head, position, width] where the attention
    hands them over (`torch.nn` and most of transformers), after position embeddings such as rotary
    ones; elsewhere they are the outputs of the projections. With grouped-query attention keys and
    values have fewer heads, and `SiteMap.splits` says so. While such a graph is captured or run, a
    model of transformers uses its own eager attention, from which fused ones differ by rounding.

    Example::

        sites = cs.sites.patterns(model)
        graph = cs.capture(model, data[:2], sites=sites, forward=..., output="logits")
        for nodes, (axis, into) in sites.splits.items():
            graph = graph.split(nodes, axis=axis, into=into)
        rows = {"last": -1}                                   # a row of a pattern: a destination
        graph = graph.split("a0.pattern.h1", axis=2, into=rows, rest="rest")

    Raises:
        GraphError: the family is unknown, or has no attention.
    """

    def choose(stack: _Stack) -> dict[str, str]:
        parts = {"q": ".q", "k": ".k", "v": ".v", "qkv": ".qkv"}
        attention = _path_of_attention(stack.layout)
        found: dict[str, str] = {}
        if attention is not None:
            if stack.layout.pattern is None:
                inner = {"pattern": f"{attention}:pattern"}
                if hands_over(model.get_submodule(f"{stack.first}.{attention}")):
                    inner |= {part: f"{attention}:{part}" for part in "qkv"}
                    parts = {}
            else:
                inner = {"pattern": stack.layout.pattern}
            for letter in ("a", "x"):
                for part, place in inner.items():
                    crossed = place if letter == "a" else stack.crossed(place)
                    if crossed is not None:
                        found.update([stack.site(f"{letter}.{part}", crossed)])
        own = {**_attention(stack, {**parts, "z": ".z"}), **_mixers(model, stack)}
        return {**found, **own, **_one(stack, "m", stack.layout.mlp)}

    made = _make(model, choose)
    if not any(name.endswith(".pattern") for name in made):
        raise GraphError(
            f"{type(model).__name__} has no attention that a ready map knows, so no patterns."
        )
    return made


def neurons(model: torch.nn.Module) -> SiteMap:
    """`heads_and_mlps`, and every MLP's hidden activations (``m{i}.n``)."""

    def choose(stack: _Stack) -> dict[str, str]:
        return {
            **_attention(stack, {"z": ".z"}),
            **_one(stack, "m.n", stack.layout.neurons),
            **_one(stack, "m", stack.layout.mlp),
        }

    return _make(model, choose)


def residual(model: torch.nn.Module) -> SiteMap:
    """The residual stream into every block (``r{i}``) and out of the last one (``r.end``)."""

    def choose(stack: _Stack) -> dict[str, str]:
        return {
            f"{stack.name}r{{i}}": f"{stack.path}.{{i}}:input",
            f"{stack.name}r.end": f"{stack.path}.{stack.length - 1}",
        }

    return _make(model, choose, embeddings=False)


def _make(
    model: torch.nn.Module, choose: Callable[[_Stack], dict[str, str]], embeddings: bool = True
) -> SiteMap:
    stacks = find_stacks(model)
    if not stacks:
        raise GraphError(unknown_family(model))
    places = _embeddings(model) if embeddings else {}
    splits: Splits = {}
    for stack in stacks:
        chosen = choose(stack)
        places.update(chosen)
        splits.update(_splits(model, stack, chosen))
    return SiteMap(places, splits)


def _attention(stack: _Stack, parts: Mapping[str, str]) -> dict[str, str]:
    """Places of a block's attention, and of its second one."""
    found: dict[str, str] = {}
    for letter in ("a", "x"):
        for part, end in parts.items():
            place = getattr(stack.layout, part)
            if place is not None and letter == "x":
                place = stack.crossed(place)
            if place is not None:
                found.update([stack.site(letter + end, place)])
    return found


def _one(stack: _Stack, letter: str, place: str | None) -> dict[str, str]:
    return {} if place is None else dict([stack.site(letter, place)])


def _mixers(model: torch.nn.Module, stack: _Stack) -> dict[str, str]:
    """What mixes positions without attention, in blocks that have such a module."""
    layout = stack.layout
    for name in MIXERS:
        taken = any(place.split(":")[0].split(".")[0] == name for place in layout.places)
        paths = [f"{stack.path}.{i}.{name}" for i in range(stack.length)]
        if not taken and any(path in dict(model.named_modules()) for path in paths):
            return dict([stack.site("s", name)])
    return {}


def _splits(model: torch.nn.Module, stack: _Stack, chosen: Mapping[str, str]) -> Splits:
    """How many heads the chosen places have, from the model's configuration."""
    config = getattr(model, "config", None) or getattr(model, "cfg", None)
    attention = _path_of_attention(stack.layout)
    if _first(config, HEADS) is None and attention is not None:
        config = model.get_submodule(f"{stack.first}.{attention}")
    for part in ("text_config", "vision_config"):
        if _first(config, HEADS) is None:
            config = getattr(config, part, config)
    heads = _first(config, HEADS)
    if stack.name == "dec.":
        heads = getattr(config, "decoder_attention_heads", heads)
    groups = 1 if getattr(config, "multi_query", False) else _first(config, GROUPS) or heads
    found: Splits = {}
    ends = ((".z", heads), (".q", heads), (".k", groups), (".v", groups), (".pattern", heads))
    for name, place in chosen.items():
        for end, count in ends:
            if name.endswith(end) and count is not None and count > 1:
                by_heads = end == ".pattern" or place.endswith((":q", ":k", ":v"))
                found[name] = (1 if by_heads else stack.layout.axis, {"h{}": count})
    return found


def _path_of_attention(layout: Layout) -> str | None:
    """The module in a block that computes the pattern."""
    if layout.attention is not None or layout.z is None:
        return layout.attention
    return layout.z.partition(":")[0].rpartition(".")[0]


def _first(config: Any, names: tuple[str, ...]) -> int | None:
    for name in names:
        value = getattr(config, name, None)
        if isinstance(value, int):
            return value
    return None


def _embeddings(model: torch.nn.Module) -> dict[str, str]:
    paths = [path for path, _ in model.named_modules()]
    found: dict[str, str] = {}
    for name, ends in EMBEDDINGS.items():
        for end in ends:
            hits = [path for path in paths if path.rsplit(".", 1)[-1] == end]
            if hits:
                found[name] = min(hits, key=lambda path: path.count("."))
                break
    return found


def find_stacks(model: torch.nn.Module) -> list[_Stack]:
    """The lists of blocks whose layout is known."""
    modules = dict(model.named_modules(remove_duplicate=False))
    found: list[tuple[str, int, Layout, int]] = []
    for path, module in model.named_modules():
        length = len(list(module.children()))
        if not isinstance(module, (torch.nn.ModuleList, torch.nn.Sequential)) or not length:
            continue
        fits = (
            (layout, block)
            for layout in LAYOUTS
            for block in range(length)
            if _has(modules, f"{path}.{block}", layout)
        )
        hit = next(fits, None)
        if hit is not None:
            found.append((path, length, *hit))
    paths = [path for path, *_ in found]
    return [
        _Stack(path, length, _fitting(modules, path, layout), first, _stack_name(path, paths))
        for path, length, layout, first in found
    ]


def _has(modules: Mapping[str, torch.nn.Module], block: str, layout: Layout) -> bool:
    if layout.only is not None and not type(modules.get(block)).__name__.startswith(layout.only):
        return False
    return all(f"{block}.{place.split(':')[0]}" in modules for place in layout.places)


def _fitting(modules: Mapping[str, torch.nn.Module], path: str, layout: Layout) -> Layout:
    """The layout without a second attention that the blocks do not have."""
    if layout.cross is not None and f"{path}.0.{layout.cross[1]}" not in modules:
        return replace(layout, cross=None)
    return layout


def _stack_name(path: str, found: list[str]) -> str:
    """What names of a stack's nodes begin with: nothing if it is the only one."""
    if len(found) == 1:
        return ""
    for word, name in (("encoder", "enc."), ("decoder", "dec."), ("vision", "vision.")):
        same = [other for other in found if word in other]
        if word in path and len(same) == 1:
            return name
    numbers = re.findall(r"\d+", path)
    return "s" + ".".join(numbers) + "." if numbers else path.replace(".", "_") + "."


def unknown_family(model: torch.nn.Module) -> str:
    """The error for a model with no known layout: its module tree, and how to write a map."""
    shown: dict[str, str] = {}
    for path, module in model.named_modules():
        pattern = re.sub(r"(?<=\.)\d+(?=\.|$)", "{i}", path)
        shown.setdefault(pattern, type(module).__name__)
    tree = "\n".join(f"  {path} ({kind})" for path, kind in list(shown.items())[1:60])
    return (
        f"no ready map knows how {type(model).__name__} is laid out. A map is a dict from node "
        "names to module paths, with {i} for the number of the block; path:input is what flows "
        "into a module. For attention take what its output projection reads, for an MLP its "
        "output:\n"
        '  sites={"embed": "embed", "a{i}.z": "blocks.{i}.attn.out:input",\n'
        '         "m{i}": "blocks.{i}.mlp"}\n'
        f"The modules are:\n{tree}"
    )
