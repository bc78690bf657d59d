"""A unit of a convolutional network as a module of its own: maps, the unit's weights, one number.

Two networks have the form: `Small`, trained by ``scripts/train_curve_cnn.py`` and shipped, and the
first layers of InceptionV3 in `_inception`. Their units read 5 by 5 places of the maps before them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

HERE = Path(__file__).parent
ANGLES = 12


@dataclass(frozen=True, eq=False)
class Network:
    """What is known of a network.

    Attributes:
        name: in words.
        maps: images [n, channels, size, size] -> the maps that the units read, [n, c, side, side].
        weight: of the units, [units, c, 5, 5].
        bias: [units].
        first: what the network calls the first of these units.
        size: pixels along a side of its images.
        cell: pixels from one place of the maps to the next.
        channels: of its images.
    """

    name: str
    maps: nn.Module
    weight: Tensor
    bias: Tensor
    first: int
    size: int
    cell: int
    channels: int


def read(maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Units at the middle of maps [n, c, side, side], [n, units]."""
    middle, reach = maps.shape[-1] // 2, weight.shape[-1] // 2
    near = slice(middle - reach, middle + reach + 1)
    return torch.relu(torch.einsum("nchw,uchw->nu", maps[:, :, near, near], weight) + bias)


class Unit(nn.Module):
    """One unit of a network, at the middle of the image."""

    def __init__(self, network: Network, number: int) -> None:
        super().__init__()
        self.maps = network.maps
        self.register_buffer("weight", network.weight[[number]])
        self.register_buffer("bias", network.bias[[number]])

    def forward(self, image: Tensor) -> Tensor:
        """Activations [n] of images [n, channels, size, size]."""
        return read(self.maps(image), self.get_buffer("weight"), self.get_buffer("bias"))[:, 0]


class Small(nn.Module):
    """Tells the angle of a curve anywhere in a 43 by 43 image, or that it is a straight line."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(
            nn.Conv2d(1, 12, 7, stride=2), nn.ReLU(), nn.Conv2d(12, 24, 3, stride=2), nn.ReLU()
        )
        self.curves = nn.Conv2d(24, 32, 5)
        self.read = nn.Linear(32, ANGLES + 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the angle in 12 parts of the circle, the first centred on 0, then of none."""
        logits: Tensor = self.read(torch.relu(self.curves(self.maps(image))).amax(dim=(2, 3)))
        return logits


def load_small(folder: Path = HERE) -> Network:
    """The shipped network."""
    small = Small()
    small.load_state_dict(load_file(folder / "weights.safetensors"))
    small.eval().requires_grad_(False)
    weight, bias = small.curves.weight.data, small.curves.bias
    assert bias is not None
    return Network(
        "the small network", small.maps, weight, bias.data, first=0, size=43, cell=4, channels=1
    )
