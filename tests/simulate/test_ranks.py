"""A model that two ranks hold between them gives the numbers of one that is whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HELPER = Path(__file__).parents[1] / "helpers" / "ranks.py"


@pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
    reason="this torch has no gloo, by which processes of one machine speak",
)
def test_sharded_and_tensor_parallel_models_give_the_numbers_of_one_process(tmp_path) -> None:
    ranks = [
        subprocess.Popen(
            [sys.executable, str(HELPER), str(rank), "2", str(tmp_path / "meeting")],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    told = [rank.communicate(timeout=240) for rank in ranks]
    for rank, (out, error) in zip(ranks, told, strict=True):
        assert rank.returncode == 0, error
        found = json.loads(out.splitlines()[-1])
        assert found["shared out"], "every rank held all weights"
        assert found["fsdp"] < 1e-5
        assert found["tensor"] < 1e-5
        assert "save the result on one of them" in found["out"]
        assert "the ranks are its workers already" in found["executor"]
