"""Tiny modules that run and cannot be exported, one for each reason."""

from __future__ import annotations

import warnings

import torch
from torch import nn


class Loop(nn.Module):
    """Runs a row through a layer as often as its value says, counted with `.item()`."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = []
        for row in x:
            one, count = row, 0
            while one.norm().item() > 1 and count < 5:
                one, count = self.layer(one) * 0.5, count + 1
            found.append(one)
        return torch.stack(found)


class Around(nn.Module):
    """Another module between linear maps, and a way around it."""

    def __init__(self, inner: nn.Module, width: int = 4) -> None:
        super().__init__()
        self.a, self.b, self.o = nn.Linear(4, width), nn.Linear(width, width), nn.Linear(width, 2)
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.a(x)
        return self.o(self.b(h) + self.inner(h))


class Packed(nn.Module):
    """A recurrent network over sequences of different lengths, packed."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.gru = nn.GRU(4, 5, batch_first=True)
        self.head = nn.Linear(5, 2)

    def forward(self, tokens: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
        x = self.embed(tokens)
        packed = nn.utils.rnn.pack_padded_sequence(
            x, length.cpu(), batch_first=True, enforce_sorted=False
        )
        return self.head(self.gru(packed)[1][0])


class Sparse(nn.Module):
    """A product with a sparse matrix."""

    def __init__(self) -> None:
        super().__init__()
        dense = torch.randn(4, 4) * (torch.rand(4, 4) < 0.5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.matrix = dense.to_sparse_csr()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sparse.mm(self.matrix, x.T).T


class Wrapped(nn.Module):
    """What adapter libraries do: a layer held inside, a low-rank term added, by a hook too."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(4, 4)
        self.down, self.up = nn.Linear(4, 1, bias=False), nn.Linear(1, 4, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + self.up(self.down(x)) * 2
