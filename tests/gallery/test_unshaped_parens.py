"""The training of checkers that nobody shaped: many models in one batch, and what is logged."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from causal_scrubbing._gallery.parens import generate, model, tokenize

ROOT = Path(__file__).parents[2]
LOGS = ROOT / "scripts" / "unshaped-parens"


def test_models_in_one_batch_say_what_each_says_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    train = importlib.import_module("train_unshaped_parens")
    source = torch.Generator().manual_seed(0)
    singles = [train.initial(seed) for seed in range(2)]
    for weights in singles:
        for name, value in weights.items():
            weights[name] = value + 0.1 * torch.randn(value.shape, generator=source)
    stacked = {name: torch.stack([one[name] for one in singles]) for name in singles[0]}
    tokens = tokenize(generate(40, np.random.default_rng(0)))[:, :30]
    said = train.all_logits(stacked, tokens)
    for place, weights in enumerate(singles):
        torch.testing.assert_close(said[place], model.logits(weights, tokens), atol=1e-5, rtol=0)
    for name in ("train_unshaped_parens", "train_paren_checker"):
        sys.modules.pop(name, None)


def test_the_log_holds_every_rung_of_every_model() -> None:
    lines = [json.loads(line) for line in (LOGS / "rungs.jsonl").read_text().splitlines()]
    last = max(line["step"] for line in lines)
    assert len({line["model"] for line in lines if line["step"] == last}) >= 3
    for line in lines:
        assert {"1a", "1b", "2a", "2b", "3b", "4"} <= set(line["recovered"])
