from __future__ import annotations

import pytest
import torch
import zoo
from torch import nn

import causal_scrubbing as cs


class HookPoint(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class HookedBlock(nn.Module):
    """The module names of a TransformerLens block."""

    def __init__(self) -> None:
        super().__init__()
        self.attn = nn.Module()
        for name in ("hook_q", "hook_k", "hook_v", "hook_z"):
            setattr(self.attn, name, HookPoint())
        self.mlp = nn.Module()
        self.mlp.hook_post = HookPoint()
        self.hook_mlp_out = HookPoint()


class Hooked(nn.Module):
    def __init__(self, layers: int) -> None:
        super().__init__()
        self.hook_embed = HookPoint()
        self.blocks = nn.ModuleList(HookedBlock() for _ in range(layers))


def test_hook_points_are_a_layout_like_any_other() -> None:
    sites = cs.sites.qkv(Hooked(2))
    assert sites == {
        "embed": "hook_embed",
        "a{i}.q": "blocks.{i}.attn.hook_q",
        "a{i}.k": "blocks.{i}.attn.hook_k",
        "a{i}.v": "blocks.{i}.attn.hook_v",
        "a{i}.z": "blocks.{i}.attn.hook_z",
        "m{i}": "blocks.{i}.hook_mlp_out",
    }
    assert cs.sites.neurons(Hooked(1))["m{i}.n"] == "blocks.{i}.mlp.hook_post"
    assert cs.sites.residual(Hooked(3)) == {"r{i}": "blocks.{i}:input", "r.end": "blocks.2"}


def test_an_unknown_family_gets_its_module_tree_and_how_to_write_a_map() -> None:
    with pytest.raises(cs.GraphError, match=r"no ready map knows.*(?s:.)*blocks\.\{i\}\.ln1"):
        cs.sites.heads_and_mlps(zoo.Attention())


def test_a_map_is_a_dict_that_can_be_edited() -> None:
    sites = cs.sites.heads_and_mlps(Hooked(1))
    del sites["embed"]
    sites["first"] = "blocks.0:input"
    assert list(sites) == ["a{i}.z", "m{i}", "first"]
