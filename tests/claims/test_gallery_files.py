"""The paren checker's hypotheses as files, and models in folders: the numbers of their twins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import claimed
import numpy as np
import pytest
import torch

import causal_scrubbing as cs
from causal_scrubbing import gallery
from causal_scrubbing._gallery import parens
from causal_scrubbing._systems import modular_addition

SAMPLES = 60


def check_twins(
    file: Path, twins: Mapping[str, cs.Hypothesis], data: cs.Dataset, metric: Mapping[str, Any]
) -> None:
    """What the files give is what the same hypotheses give in Python, to the last digit."""
    found = cs.check(file, allow_code=True, memory="1GiB")
    assert not found.faults, str(found)
    assert found.verdicts
    for verdict in found.verdicts:
        twin = cs.scrub(twins[verdict.name], data, metric, samples=SAMPLES, seed=3, memory="1GiB")
        assert verdict.result is not None
        assert verdict.result.fingerprints["data"] == data.fingerprint
        assert verdict.result.draws.equals(twin.draws)
        assert verdict.result.samples.equals(twin.samples)
        assert dict(verdict.estimates) == {k: v.to_dict() for k, v in twin.scores.items()}


def test_parens_in_files_give_the_numbers_of_their_python_twins(tmp_path: Path) -> None:
    weights = parens.load_weights(parens.HERE)
    strings = parens.generate(120, np.random.default_rng(0))
    (tmp_path / "strings.json").write_text(json.dumps([[string] for string in strings]))
    options = gallery.Options(samples=SAMPLES, seed=3, data=tmp_path / "strings.json")
    (file,) = gallery.write_files("parens", options, tmp_path / "files")
    twins = parens.hypotheses(parens.build_graph(weights))
    body = json.loads(file.read_text())
    assert [one["name"] for one in body["hypotheses"]] == list(twins)
    body["hypotheses"] = [
        one for one in body["hypotheses"] if one["name"] in ("1b", "2b routes", "3a")
    ]
    file.write_text(json.dumps(body))
    metric = {
        "loss": cs.metrics.cross_entropy("balanced"),
        "accuracy": cs.metrics.accuracy("balanced"),
    }
    check_twins(file, twins, parens.dataset(strings, weights), metric)


def test_modular_addition_in_files_gives_the_numbers_of_its_python_twins(tmp_path: Path) -> None:
    options = gallery.Options(samples=SAMPLES, seed=3)
    files = gallery.write_files("modular-addition", options, tmp_path)
    data = modular_addition.claims.make_data()
    weights = modular_addition.load_models()[0, 1500]
    twins = modular_addition.make_rungs(weights, data)
    for file in files:
        check_twins(file, twins, data, modular_addition.metrics())
    written = [one["name"] for file in files for one in json.loads(file.read_text())["hypotheses"]]
    assert sorted(written) == sorted(twins)


def test_an_entry_without_files_says_which_have_them(tmp_path: Path) -> None:
    with pytest.raises(gallery.GalleryError, match="'sharing' has no hypotheses as files; parens,"):
        gallery.write_files("sharing", gallery.Options(), tmp_path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_layer=1, n_head=2, n_embd=8, vocab_size=11, n_positions=6, bos_token_id=0, eos_token_id=0
    )
    folder = tmp_path_factory.mktemp("model")
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def language_body(model: Path) -> dict:
    return {
        "format": 1,
        "model": {
            "kind": "transformers",
            "folder": str(model),
            "sites": {"embed": "transformer.wte", "z": "transformer.h.0.attn.c_proj:input"},
            "fields": {"input_ids": "tokens"},
            "at": -1,
            "splits": [{"nodes": "z", "axis": -1, "into": {"h{}": 2}}],
        },
        "data": {"file": "tokens.jsonl", "fields": {"tokens": "int64", "next": "int64"}},
        "hypotheses": [
            {
                "name": "head 0",
                "root": {
                    "node": "logits.at",
                    "feature": {"kind": "exact"},
                    "children": [{"node": "z.h0", "feature": "tokens[3]", "via": ["*"]}],
                },
            }
        ],
        "metrics": {"loss": {"kind": "cross_entropy", "label": "next"}},
        "run": {"samples": 40},
        "require": {"bounds": [{"of": "gap", "at_most": 100}], "never_swapped": 1, "untested": 1},
    }


def write_tokens(folder: Path) -> None:
    rows = torch.randint(0, 11, (20, 5), generator=torch.Generator().manual_seed(0)).tolist()
    lines = [json.dumps({"tokens": row[:4], "next": row[4]}) for row in rows]
    (folder / "tokens.jsonl").write_text("\n".join(lines) + "\n")


def test_a_folder_of_transformers_and_its_bundle(tmp_path: Path, model: Path) -> None:
    write_tokens(tmp_path)
    found = cs.check(claimed.write(tmp_path, language_body(model)))
    assert not found.faults, str(found)
    (bundle,) = found.bundle(tmp_path / "out")
    again = cs.rerun(bundle, model=model)
    assert again, str(again)
    with pytest.raises(cs.RunFileError, match=r"/model/folder: .* holds no model"):
        cs.rerun(bundle)
    run = found.run
    assert run is not None
    saved = language_body(model)
    saved["model"] = {
        "kind": "graph", "folder": str(model), "graph": "graph",
    }  # fmt: skip
    captured = cs.RunFile.read(
        claimed.write(tmp_path, _without_position(language_body(model)), "plain.json")
    )
    captured.graph.save(tmp_path / "graph")
    saved["hypotheses"][0]["root"]["node"] = "logits"
    saved["metrics"] = {"distance": {"kind": "to_model", "measure": "distance"}}
    opened = cs.check(claimed.write(tmp_path, saved, "saved.json"))
    assert not opened.faults, str(opened)
    assert opened.run is not None
    twin = cs.scrub(
        captured.hypotheses["head 0"], captured.data, cs.metrics.to_model("distance"), samples=40
    )
    result = opened.verdicts[0].result
    assert result is not None
    assert result.samples.equals(twin.samples)
    own = twin.bundle(tmp_path / "own.zip")
    again = cs.rerun(own, model=model)
    assert again, str(again)
    assert again.result.fingerprints["data"] == captured.data.fingerprint
    assert cs.rerun(own, graph=captured.graph, metric=cs.metrics.to_model("distance"))


def _without_position(body: dict) -> dict:
    del body["model"]["at"]
    body["hypotheses"][0]["root"]["node"] = "logits"
    return body


def test_weights_that_may_hold_code_are_refused(tmp_path: Path, model: Path) -> None:
    write_tokens(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text((model / "config.json").read_text())
    (tmp_path / "model" / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    found = cs.check(claimed.write(tmp_path, language_body(tmp_path / "model")))
    assert [(one.code, one.place) for one in found.faults] == [("model", "/model/folder")]
    assert "can hold code" in found.faults[0].message
