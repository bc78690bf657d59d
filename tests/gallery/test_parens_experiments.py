"""The experiments on the paren checker: published figures, and what the shipped weights show."""

from math import hypot
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import causal_scrubbing as cs
from causal_scrubbing import gallery
from causal_scrubbing._gallery import parens
from causal_scrubbing._gallery.parens import (
    CAPTURED,
    STATEMENTS,
    build_graph,
    captured,
    hypotheses,
    in_torch,
    model,
    outcome,
)

PUBLISHED = Path(__file__).parents[3] / "shared" / "models" / "paren_checker"


def run_some(
    weights: Path | None, strings: Path | None, names: list[str], samples: int
) -> dict[str, cs.Result]:
    options = gallery.Options(weights=weights, data=strings)
    loaded = parens.load_weights(weights or parens.HERE)
    data = parens.make_data(options, loaded)
    experiments = hypotheses(build_graph(loaded))
    if CAPTURED in names:
        graph = in_torch.capture(in_torch.module(loaded), data[:4])
        experiments[CAPTURED] = captured(graph)
    results = [
        result
        for name in names
        for result in cs.scrub(
            [experiments[name]],
            data,
            metric={
                "loss": cs.metrics.cross_entropy("balanced"),
                "accuracy": cs.metrics.accuracy("balanced"),
            },
            samples=samples,
            progress=False,
        )
    ]
    return dict(zip(names, results, strict=True))


@pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason=f"the published weights and strings are not at {PUBLISHED}"
)
def test_published_weights_give_the_published_figures() -> None:
    found = run_some(PUBLISHED, PUBLISHED / "strings.json.gz", ["0", "0r", "1a", "1b"], 4000)
    figures = {  # loss, its standard error, accuracy: computed apart from this package
        "0": (0.0, 0.0005, 1.0),
        "0r": (5.466, 0.089, 0.508),
        "1a": (0.403, 0.022, 0.896),
        "1b": (0.275, 0.017, 0.919),
    }
    for name, (loss, se, accuracy) in figures.items():
        ours = found[name].scrubbed
        assert abs(ours.mean - loss) < 4 * hypot(ours.se, se), name
        share = found[name]["accuracy"].scrubbed
        theirs = (accuracy * (1 - accuracy) / 4000) ** 0.5
        assert abs(share.mean - accuracy) < 4 * hypot(share.se, theirs) + 1e-3, name
    assert found["0r"].randomized.mean == pytest.approx(5.466, abs=4 * 0.13)


def test_every_experiment_is_described_and_makes_a_valid_hypothesis() -> None:
    made = hypotheses(build_graph(parens.load_weights(parens.HERE)))
    assert list(made) == [name for name in STATEMENTS if name != CAPTURED]


def test_the_captured_module_gives_the_numbers_of_the_graph_written_by_hand() -> None:
    found = run_some(None, None, ["1b", CAPTURED, "2a"], 300)
    by_hand, module = found["1b"], found[CAPTURED]
    for column in ("model", "scrubbed", "randomized", "accuracy.scrubbed"):
        assert module.samples[column].to_numpy() == pytest.approx(
            by_hand.samples[column].to_numpy(), abs=1e-4
        ), column
    assert by_hand.scrubbed.mean > by_hand.model.mean + 0.1
    said = dict(outcome.verdicts(found))
    assert list(said) == ["mostly holds (1b)", "does not hold (2a)", f"equal ({CAPTURED})"]
    assert "all 300 samples within 0.001" in said[f"equal ({CAPTURED})"]
    cost = cs.compare([by_hand, found["2a"]], metric="loss").differences[0].recovered
    assert f"1b recovers {cost.mean:.1f} points more" in said["does not hold (2a)"]
    other = dict(outcome.verdicts({"1b": found["2a"], CAPTURED: module}))
    assert "other losses" in other[f"differs ({CAPTURED})"]


def test_the_shipped_model_is_right_on_new_strings() -> None:
    weights = parens.load_weights(parens.HERE)
    data = parens.make_data(gallery.Options(seed=12345), weights, rows=3000)
    said = model.logits(weights, data["tokens"]).argmax(dim=1)
    assert (said == data["balanced"].long()).double().mean() >= 0.999


def test_an_outcome_holds_every_experiment_and_subset_and_can_be_saved(tmp_path: Path) -> None:
    names = ["0", "0r", "1a", "2b routes", "3a"]
    results = run_some(None, None, names, 200)
    lines = outcome.table(results)
    assert list(dict.fromkeys(lines["experiment"])) == names
    assert len(lines) == len(names) * len(outcome.SUBSETS)
    exact = lines[lines["experiment"] == "0"]
    assert (exact["recovered"] == 100).all()
    whole = lines[lines["strings"] == "all"].set_index("experiment")["loss"].to_dict()
    halves = lines[lines["strings"].isin(["balanced", "unbalanced"])]
    for name, of in halves.groupby("experiment"):
        mean = (of["loss"] * of["samples"]).sum() / of["samples"].sum()
        assert mean == pytest.approx(whole[name])
    made = outcome.outcome(results)
    assert max(map(len, made.text.splitlines())) <= 100
    rows = [line.split("|")[1].strip() for line in made.text.splitlines() if line[:1] == "|"]
    assert rows[2:] == names
    paths = made.save(tmp_path / "new", "parens")
    names_saved = [path.name for path in paths]
    assert names_saved[:3] == ["parens.csv", "parens.md", "parens.png"]
    page = (tmp_path / "new" / "parens.html").read_text()
    assert page.index("<img") < page.index("<table")
    assert all(f"<td>{name}</td>" in page for name in names)
    assert "http" not in page
    assert all(path.stat().st_size > 0 for path in paths)


def test_the_entry_is_listed() -> None:
    assert gallery.load("parens") is parens.ENTRY
    assert (parens.HERE / "weights.safetensors").stat().st_size < 1_000_000


def test_wrong_weights_are_named(tmp_path: Path) -> None:
    weights = load_file(parens.HERE / "weights.safetensors")
    del weights["unembed.b_U"]
    weights["embed.W_E"] = torch.zeros(7, 56)
    save_file(weights, tmp_path / "weights.safetensors")
    with pytest.raises(cs.DataError, match=r"embed.W_E is \(7, 56\).*unembed.b_U is missing"):
        parens.load_weights(tmp_path)
    with pytest.raises(cs.DataError, match=r"weights\.safetensors does not exist"):
        parens.load_weights(tmp_path / "nowhere")


def test_wrong_strings_are_named(tmp_path: Path) -> None:
    file = tmp_path / "strings.json"
    with pytest.raises(cs.DataError, match="does not exist"):
        parens.load_strings(file)
    file.write_text('["()", "(("]')
    with pytest.raises(cs.DataError, match="pairs"):
        parens.load_strings(file)
