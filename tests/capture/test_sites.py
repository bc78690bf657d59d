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


class Residual(nn.Module):
    """A block in the way of torchvision's: one nonlinearity, called twice, written in place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += x
        return self.relu(y)


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.branch1 = nn.Conv2d(4, 2, 1)
        self.branch2 = nn.Sequential(nn.Conv2d(4, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.branch1(x), self.branch2(x)], 1)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.layer1 = nn.Sequential(Residual(4), Residual(4))
        self.mixed = Inception()
        self.head = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.mixed(self.layer1(self.conv(x))).mean((2, 3)))


@pytest.mark.parametrize("method", ["export", "hooks"])
def test_convolutions_stages_and_branches(method: str) -> None:
    torch.manual_seed(0)
    model = Net().eval()
    data = cs.Dataset(x=torch.randn(6, 3, 8, 8))
    sites = cs.sites.convs(model)
    block = ["conv1", "bn1", "relu", "conv2", "bn2"]
    assert list(sites) == [
        "conv", "layer1", *(f"layer1.{i}.{name}" for i in range(2) for name in block),
        "mixed.branch1", "mixed.branch2", *(f"mixed.branch2.{i}" for i in range(3)),
    ]  # fmt: skip
    graph = cs.capture(model, data[:3], sites=sites, output="logits", method=method)
    with torch.no_grad():
        torch.testing.assert_close(graph(data), model(data["x"]))
    assert graph.parents("layer1.0.relu#1") == ("conv", "layer1.0.bn2")
    assert graph.parents("layer1.1.relu#1") == ("layer1.0.relu#1", "layer1.1.bn2")
    assert graph.parents("mixed.branch2.2") == ("mixed.branch2.1",)
    assert graph.parents("logits") == ("mixed.branch1", "mixed.branch2")
    graph = graph.split("layer1.1.conv1", axis=1, into={"c{}": 4})
    assert len(graph.parents("layer1.1.bn1")) == 4
    with pytest.raises(cs.GraphError, match="Linear has no convolution that is a module"):
        cs.sites.convs(nn.Linear(2, 2))
