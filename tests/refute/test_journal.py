"""A search kept in a file: taken up again, of one search only, held by one at a time."""

from __future__ import annotations

import resource
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from refutable import hash_game

import causal_scrubbing as cs
from causal_scrubbing._refute import Journal


def field(name: str) -> Any:
    def feature(rows: cs.Dataset) -> torch.Tensor:
        return rows[name]

    return feature


def test_a_journal_is_of_its_features_metric_and_rivals_not_of_their_names(tmp_path) -> None:
    h, data, reward = hash_game()
    scaled = [lambda y, rows, k=k: k * reward(y, rows) for k in (1.0, 10.0)]
    one = lambda **changes: {"h": h, "metric": scaled[0], **changes}  # noqa: E731
    rival = [cs.Hypothesis(h.graph, cs.claim("answer", f), name="rival") for f in ("mode", "last")]
    about = [h.with_(root=cs.claim("answer", field(name))) for name in ("last", "guess")]
    for first, second in [
        (one(features=[field("mode")]), one(features=[field("last")])),
        (one(features=["mode"]), one(features=["mode"], metric=scaled[1])),
        (one(rivals=rival[:1]), one(rivals=rival[1:])),
        (one(h=about[0]), one(h=about[1])),
    ]:
        file = tmp_path / "search.jsonl"
        file.unlink(missing_ok=True)
        kwargs = {"fields": False, "activations": (), "samples": 100, "out": file}
        cs.refute(data=data, **first, **kwargs)
        cs.refute(data=data, **first, **kwargs)
        with pytest.raises(cs.ScrubError, match="belongs to another search"):
            cs.refute(data=data, **second, **kwargs)


def test_what_is_no_journal_is_told(tmp_path) -> None:
    h, data, reward = hash_game()
    file = tmp_path / "notes.txt"
    for text in ("hello\n", "{}\n", '{"search": 1}\n', "shopping list"):
        file.write_text(text)
        with pytest.raises(cs.ScrubError, match="is no journal of a search"):
            cs.refute(h, data, reward, out=file)
        assert file.read_text() == text
    with pytest.raises(cs.ScrubError, match="is a folder"):
        cs.refute(h, data, reward, out=tmp_path)


def journal(file: Path, **what: Any) -> Journal:
    return Journal(file, what, [1.0, 2.0])


def test_a_full_disk_leaves_a_journal_as_it_is(tmp_path, monkeypatch) -> None:
    file = tmp_path / "deep" / "search.jsonl"
    with journal(file, a=1) as one:
        one.finish("first", {"x": 1})
    whole = file.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 9, limit[1]))
        with journal(file, a=1) as two:
            assert two.done("first") == {"x": 1}
            assert file.read_bytes() == whole
            with pytest.raises(cs.ScrubError, match=r"search\.jsonl.*What is finished is kept"):
                two.finish("second", "y" * 4000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    with journal(file, a=1) as three:
        assert three.records == one.records
        assert file.read_bytes() == whole
        three.finish("second", 2)
    with journal(file, a=1) as four:
        assert four.done("second") == 2


def test_a_second_search_of_one_journal_is_refused_while_the_first_is_at_it(tmp_path) -> None:
    file = tmp_path / "search.jsonl"
    h, data, reward = hash_game()
    options: dict[str, Any] = {
        "fields": False,
        "activations": (),
        "features": ["mode"],
        "samples": 100,
    }

    def metric(y: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        if file.exists():
            with pytest.raises(cs.ScrubError, match="another search is writing to"):
                journal(file)
            raise KeyboardInterrupt("stopped")
        return reward(y, rows)

    with pytest.raises(KeyboardInterrupt, match="stopped") as kept:
        cs.refute(h, data, metric, out=file, **options)
    with (
        journal(file.with_name("other.jsonl")),
        pytest.raises(cs.ScrubError, match="another search is writing to"),
    ):
        journal(file.with_name("other.jsonl"))
    # It has let go, though its error is still at hand.
    with pytest.raises(cs.ScrubError, match="belongs to another search"):
        journal(file)
    assert kept.value is not None
