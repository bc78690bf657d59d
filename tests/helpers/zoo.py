"""Tiny modules, one for each hazard a capture can meet."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Mlp(nn.Module):
    """No hazard: two layers and a way around them."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(4, 8)
        self.down = nn.Linear(8, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x + self.down(torch.relu(self.up(x))))


class Attention(nn.Module):
    """Attention written by hand with einsum and a mask from the inputs."""

    def __init__(self, vocab: int = 11, width: int = 8, heads: int = 2, layers: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.embed = nn.Embedding(vocab, width)
        self.place = nn.Parameter(torch.randn(16, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.unembed = nn.Linear(width, 5, bias=False)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        x = self.embed(tokens) + self.place[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, mask)
        return self.unembed(self.norm(x))


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        rows, length, width = x.shape
        shape = (rows, length, self.heads, width // self.heads)
        n = self.ln1(x)
        q, k, v = self.q(n).view(shape), self.k(n).view(shape), self.v(n).view(shape)
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / shape[-1] ** 0.5
        if mask is not None:
            scores = scores.masked_fill(mask[:, None, None, :], -1e9)
        z = torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), v).reshape(rows, length, width)
        x = x + self.out(z)
        return x + self.mlp(self.ln2(x))


class Reused(nn.Module):
    """One module called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(torch.tanh(self.layer(x)))


class TupleOutput(nn.Module):
    """A submodule that returns a tuple, of which both parts are used."""

    def __init__(self) -> None:
        super().__init__()
        self.both = _Both()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, (two, _) = self.both(x)
        return one * two


class _Both(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> Any:
        return self.a(x), (self.b(x), None)


class DictOutput(nn.Module):
    """A submodule that returns a dict, and a model that does."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = _Dict()
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        found = self.inner(x)
        return {"logits": self.head(found["hidden"]), "extra": found["scale"]}


class _Dict(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        hidden = self.layer(x)
        return {"hidden": hidden, "scale": hidden.mean(-1)}


class InPlace(nn.Module):
    """Overwrites tensors in place, a slice of one too."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.one(x)
        y[:, 0] = 0.5
        y += self.two(x)
        return self.act(y.mul_(2)) + 1


class Buffers(nn.Module):
    """Reads a buffer, a plain tensor attribute and a constant made on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.scale: torch.Tensor
        self.shift: torch.Tensor
        self.register_buffer("scale", torch.arange(1.0, 5.0))
        self.register_buffer("shift", torch.ones(4), persistent=False)
        self.plain = torch.full((4,), 0.25)
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x * self.scale + self.shift) * self.plain
        return y + torch.tensor([1.0, 2.0, 3.0, 4.0])


class KeywordInputs(nn.Module):
    """A submodule that is called by keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = _Keyword()

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.inner(right=y, left=torch.sin(x))


class _Keyword(nn.Module):
    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return left * 2 + right**2


class ShapeOnly(nn.Module):
    """Reads only the shape of one branch's value."""

    def __init__(self) -> None:
        super().__init__()
        self.shape, self.value = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        shaped = self.shape(x)
        base = (
            torch.zeros_like(shaped) + torch.ones(shaped.shape[0], 1) + shaped.new_full((4,), 3.0)
        )
        return base + self.value(y)


class Mark(nn.Module):
    """Marks an operation that is no module."""

    def __init__(self, site: Any) -> None:
        super().__init__()
        self.site = site
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(2):
            x = self.site(torch.tanh(self.layer(x)), "hidden")
        return self.site(x * 3, "tripled") + x


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 6)
        self.lstm = nn.LSTM(6, 5, batch_first=True, num_layers=2)
        self.head = nn.Linear(5, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        states, (last, _) = self.lstm(self.embed(tokens))
        return self.head(states[:, -1]) + self.head(last[-1])


class Convolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.conv1(image)))
        x = x + torch.relu(self.conv2(x))
        return self.head(x.mean((2, 3)))


class TorchEncoder(nn.Module):
    """torch's own encoder layer, whose fused path would skip the modules inside."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.encoder(x)


class Branching(nn.Module):
    """Decides by a value what to run: cannot be a graph."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = _Branch()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


class _Branch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.sum() > 0 else x


class FixedRows(nn.Module):
    """Writes the number of rows down as a number."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.zeros(int(x.shape[0]), 4)


class NeverCalled(nn.Module):
    """Has a module whose weights are used but which is not called."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.layer.weight


class Noisy(nn.Module):
    """Draws random numbers whatever the mode."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.randn_like(x)
