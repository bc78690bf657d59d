"""Saved runs are sealed: nothing that was changed on disk is believed, whatever was changed."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from resumable import METRIC, problem
from seals import reseal

import causal_scrubbing as cs
from causal_scrubbing._cli import main


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[cs.Result, Path]:
    h, data = problem()
    result = cs.scrub(h, data, METRIC, samples=80, keep_outputs=True)
    return result, Path(result.save(tmp_path_factory.mktemp("saved") / "run"))


def copied(saved: Path, where: Path) -> Path:
    shutil.rmtree(where, ignore_errors=True)
    return Path(shutil.copytree(saved, where))


def test_a_run_as_written_is_verified(run: tuple[cs.Result, Path]) -> None:
    result, saved = run
    found = cs.verify(saved, data=result.data)
    assert found
    assert found.files == len(list(saved.iterdir()))
    assert found.estimates > 10
    assert f"{found.files} files as written" in str(found)
    assert cs.load(saved).verify()
    assert result.verify(saved)
    with pytest.raises(cs.ScrubError, match=r"neither loaded nor kept with out="):
        result.verify()


def test_no_flipped_bit_goes_unseen(run: tuple[cs.Result, Path], tmp_path: Path) -> None:
    result, saved = run
    rng = np.random.default_rng(0)
    names = sorted(one.name for one in saved.iterdir())
    folder = copied(saved, tmp_path / "run")
    seen: list[str] = []
    for number in range(150):
        file = folder / names[number % len(names)]
        whole = file.read_bytes()
        changed = bytearray(whole)
        changed[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        file.write_bytes(changed)
        try:
            loaded = cs.load(folder)
        except cs.ScrubError as error:
            seen.append(str(error))
        else:
            # White space between the entries of the page is all that may change.
            assert file.name == "run.json"
            assert loaded.to_dict() == result.to_dict()
        file.write_bytes(whole)
    assert len(seen) > 100
    assert all(str(folder) in message for message in seen)


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "no settings at all": lambda body: body.pop("estimates"),
    "a seed that is text": lambda body: body["settings"].update(seed="many"),
    "samples that are true": lambda body: body["settings"].update(samples=True),
    "settings without a seed": lambda body: body["settings"].pop("seed"),
    "metrics that are numbers": lambda body: body.update(metrics=[1, 2]),
    "a metric without estimates": lambda body: body.update(estimates={}),
    "estimates of another kind": lambda body: body["estimates"].update(squared={"model": 3}),
    "a table of numbers": lambda body: body["agreement"].update(table=[3]),
    "notes that are no list": lambda body: body.update(notes={"a": 1}),
    "a file elsewhere": lambda body: body["files"].update({"../x": "0"}),
    "no tables": lambda body: body.update(files={}),
    "checks of another kind": lambda body: body["settings"].update(self_check={"rows": 1}),
    "swaps of another kind": lambda body: body.update(swaps={"table": 3}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_page_of_another_shape_is_one_error_even_where_it_is_sealed(
    change: Callable[[dict[str, Any]], object], run: tuple[cs.Result, Path], tmp_path: Path
) -> None:
    folder = copied(run[1], tmp_path / "run")
    body = json.loads((folder / "run.json").read_text())
    before = json.loads(json.dumps(body))
    reseal_with(folder, change)
    assert json.loads((folder / "run.json").read_text()) != before
    with pytest.raises(cs.ScrubError, match="cannot be read"):
        cs.load(folder)
    assert not cs.verify(folder)


def reseal_with(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Seal a page that names files of its own choice."""
    reseal(folder)
    page = folder / "run.json"
    body = json.loads(page.read_text())
    change(body)
    body.pop("seal")
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    page.write_text(json.dumps({**body, "seal": hashlib.sha256(text.encode()).hexdigest()}))


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 50_000, "{}", "null", "\x00", '{"format": 2}', '{"metrics": 1e999}'],
    ids=["nested lists", "nested objects", "empty", "null", "zero", "format alone", "infinite"],
)
def test_hostile_pages_are_one_error(
    text: str, run: tuple[cs.Result, Path], tmp_path: Path
) -> None:
    folder = copied(run[1], tmp_path / "run")
    (folder / "run.json").write_text(text)
    with pytest.raises(cs.ScrubError, match=str(tmp_path)):
        cs.load(folder)


def test_an_edited_estimate_is_found_even_where_it_is_sealed_again(
    run: tuple[cs.Result, Path], tmp_path: Path
) -> None:
    folder = copied(run[1], tmp_path / "run")
    name = run[0].metrics[0]
    reseal(folder, lambda body: body["estimates"][name]["scrubbed"].update(mean=0.125))
    assert cs.load(folder).scrubbed.mean == 0.125
    found = cs.verify(folder)
    assert not found
    assert f"{name}.scrubbed.mean is 0.125, and the tables give" in str(found)
    reseal(folder, lambda body: body["settings"].update(samples=81))
    assert "it says 81 samples, and its tables have 80" in str(cs.verify(folder))


def test_verifying_with_other_data_says_so(run: tuple[cs.Result, Path]) -> None:
    result, saved = run
    assert result.data is not None
    found = cs.verify(saved, data=result.data[:10])
    assert "the data given is not the data of the run" in str(found)


def test_the_command_gives_4_where_something_differs(
    run: tuple[cs.Result, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    whole, broken = str(run[1]), copied(run[1], tmp_path / "run")
    monkeypatch.setattr("sys.argv", ["causal-scrubbing", "verify", whole])
    main()
    assert "files as written" in capsys.readouterr().out
    (broken / "draws.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr("sys.argv", ["causal-scrubbing", "verify", whole, str(broken), "--json"])
    with pytest.raises(SystemExit, match="4"):
        main()
    told = json.loads(capsys.readouterr().out)
    assert [one["ok"] for one in told] == [True, False]


def test_loading_and_reporting_write_nothing_into_the_folder(
    run: tuple[cs.Result, Path], tmp_path: Path
) -> None:
    folder = copied(run[1], tmp_path / "run")

    def state() -> dict[str, float]:
        return {one.name: one.stat().st_mtime_ns for one in folder.iterdir()}

    before = state()
    loaded = cs.load(folder)
    loaded.report(tmp_path / "page.html")
    loaded.verify()
    assert state() == before


def test_a_damaged_block_of_an_unfinished_run_is_computed_again(tmp_path: Path) -> None:
    h, data = problem()
    first = cs.scrub(h, data, METRIC, samples=300, out=tmp_path / "run")
    blocks = sorted((tmp_path / "run" / "blocks").glob("*.parquet"))
    rng, notices = np.random.default_rng(1), 0
    for _ in range(8):
        file = blocks[rng.integers(len(blocks))]
        content = bytearray(file.read_bytes())
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        file.write_bytes(content)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            again = cs.scrub(h, data, METRIC, samples=300, out=tmp_path / "run")
        # A bit of a block that holds no value, as of its writer's name, may be another one.
        notices += sum("computed again" in str(one.message) for one in told)
        assert again.samples.equals(first.samples)
    assert notices >= 4


def test_a_distance_of_the_users_own_is_said_not_to_be_computed_again(tmp_path: Path) -> None:
    h, data = problem()
    metric: dict[str, Any] = {
        **METRIC,
        "pair": lambda output, rows: torch.cat([output, -output], dim=1),
    }

    def farthest(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.abs(one - other).max())

    saved = cs.scrub(h, data, metric, samples=80, distance=farthest).save(tmp_path / "run")
    found = cs.verify(saved)
    assert found
    assert "not computed again: pair: " in str(found)
    assert found.estimates > 10
