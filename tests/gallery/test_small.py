"""The small gallery entries: their key facts against exact figures, their pages, their copies."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch

import causal_scrubbing as cs
from causal_scrubbing import gallery
from causal_scrubbing._gallery import ablation_pitfalls, random_model, superposition

ROOT = Path(__file__).parents[2]
UNDEFINED = math.nan
HALF = math.sqrt(0.5)

# Entry -> case (and measure) -> model, randomized, scrubbed, recovered %. Derived by hand.
FIGURES: dict[str, dict[tuple[str, ...], tuple[float, float, float, float]]] = {
    # y is true on 48 of 64 rows, so a random row's differs with chance 2 * 3/4 * 1/4. With z1 > 2,
    # A is right for z1 = 2 and else 1 with chance 2/3; it is seen where z2 <= 3.
    "four-inputs": {
        ("true: one node",): (0, 3 / 8, 0, 100),
        ("true: three nodes",): (0, 3 / 8, 0, 100),
        ("true: down to the inputs",): (0, 3 / 8, 0, 100),
        ("false: A is z1 > 2",): (0, 3 / 8, 1 / 6, 500 / 9),
        ("false: A and B exchanged",): (0, 3 / 8, 3 / 8, 0),
        ("false: B does not matter",): (0, 3 / 8, 1 / 4, 100 / 3),
    },
    # p = q = 4/5, e = 2/5, Var(T) = 4pq. Tilted, Cov(R, T) = 3.2 * 14.4 * 2/324 and E[T] = 14.4 *
    # 2/324. For three variables r = 8/9, Var(T) = 3r^2 is the sum of two parts of variance 9/4
    # r^2 each, the loss is 24(1 - r)^2 + 3r^2, and randomized 24 + 27r^2.
    "superposition": {
        ("cross term T unexplained",): (3.2, 28.8, 3.2, 100),
        ("T in halves, one row",): (3.2, 28.8, 3.2, 100),
        ("T in halves, drawn apart",): (3.2, 28.8, 1.92, 105),
        ("T in halves, each claimed to carry anything",): (3.2, 28.8, 1.92, 105),
        ("T in halves, tied",): (3.2, 28.8, 3.2, 100),
        ("neuron copied for each feature",): (3.2, 28.8, 1.92, 105),
        ("compensated, T and -T from one row",): (0.64, 26.24, 0.64, 100),
        ("compensated, T and -T drawn apart",): (0.64, 26.24, 5.76, 80),
        ("trained by gradient descent, T unexplained",): (3.2, 28.8, 3.2, 100),
        ("x1 and x2 dependent, T unexplained",): (3.2 - 46.08 / 81, 31.36 - 46.08 / 162, 3.2, 98),
        ("3 variables in 2 neurons, one row",): (8 / 3, 136 / 3, 8 / 3, 100),
        ("3 variables in 2 neurons, T drawn apart",): (8 / 3, 136 / 3, 104 / 27, 3360 / 34.56),
    },
    "sharing": {
        ("together",): (1, UNDEFINED, 1, UNDEFINED),
        ("per-claim",): (1, UNDEFINED, 1, UNDEFINED),
        ("separate",): (1, UNDEFINED, 0, UNDEFINED),
        ("p claimed, drawn alone",): (1, UNDEFINED, 0, UNDEFINED),
        ("p and q tied",): (1, UNDEFINED, 1, UNDEFINED),
    },
    "hash-game": {
        ("false: guess on EASY, right bit on HARD", "reward"): (3 / 4, -7 / 8, 23 / 8, 3000 / 13),
        ("false: guess on EASY, right bit on HARD", "agrees with the model"): (1, 3 / 8, 1 / 2, 20),
        ("false: the right bit everywhere", "reward"): (3 / 4, -7 / 8, -7 / 8, 0),
        ("false: the right bit everywhere", "agrees with the model"): (1, 3 / 8, 3 / 8, 0),
        ("the first, with mode added", "reward"): (3 / 4, -7 / 8, 3 / 4, 100),
        ("the first, with mode added", "agrees with the model"): (1, 3 / 8, 1, 100),
        ("true: the guess and the mode", "reward"): (3 / 4, -7 / 8, 3 / 4, 100),
        ("true: the guess and the mode", "agrees with the model"): (1, 3 / 8, 1, 100),
    },
    "sine-cosine": {
        ("false: sine or cosine", "against sin(x + 45°)"): (1 - HALF, 1, 1 - HALF, 100),
        ("false: sine or cosine", "against 0"): (1 / 2, 1 / 2, 1 / 2, UNDEFINED),
        ("false: sine or cosine", "against the model"): (0, 1, 1 / 2, 50),
        ("true: the sine", "against sin(x + 45°)"): (1 - HALF, 1, 1 - HALF, 100),
        ("true: the sine", "against 0"): (1 / 2, 1 / 2, 1 / 2, UNDEFINED),
        ("true: the sine", "against the model"): (0, 1, 0, 100),
        # Noise of variance 1/4 adds that to every error of the output.
        ("true: the sine, noise unexplained", "against sin(x + 45°)"): (
            5 / 4 - HALF,
            5 / 4,
            5 / 4 - HALF,
            100,
        ),
        ("true: the sine, noise unexplained", "against 0"): (3 / 4, 3 / 4, 3 / 4, UNDEFINED),
        ("true: the sine, noise unexplained", "against the model"): (0, 3 / 2, 1 / 2, 200 / 3),
    },
    "cancellation": {
        ("true: second carries b", "squared error"): (1 / 2, 1, 1 / 2, 100),
        ("true: second carries b", "against the model"): (0, 1, 0, 100),
        ("false: second carries c", "squared error"): (1 / 2, 1, 1 / 2, 100),
        ("false: second carries c", "against the model"): (0, 1, 1 / 2, 50),
        ("false: second does not matter", "squared error"): (1 / 2, 1, 1 / 2, 100),
        ("false: second does not matter", "against the model"): (0, 1, 1 / 2, 50),
    },
    # A is wrong with chance 1/2 given x1; given "or" it is wrong on 3/4 of the rows with chance
    # 2 * 2/3 * 1/3. It is seen where B is 1.
    "too-vague": {
        ("A: x1 xor x2",): (0, 3 / 8, 0, 100),
        ("A: x1, x2",): (0, 3 / 8, 0, 100),
        ("A: x1, x2, x3",): (0, 3 / 8, 0, 100),
        ("A: the whole input",): (0, 3 / 8, 0, 100),
        ("output: the label",): (0, 3 / 8, 0, 100),
        ("false, A: x1",): (0, 3 / 8, 1 / 4, 100 / 3),
        ("false, A: x1 or x2",): (0, 3 / 8, 1 / 6, 500 / 9),
    },
    "ablation-pitfalls": {
        ("off the manifold: resampled",): (0, 2, 0, 100),
        ("off the manifold: mean",): (0, 2, 1, 50),
        ("unpredictable sign: resampled",): (1 / 4, 3 / 4, 1 / 4, 100),
        ("unpredictable sign: mean",): (1 / 4, 3 / 4, 1 / 2, 50),
        ("hidden backup: resampled",): (0, 4, 2, 50),
        ("hidden backup: mean",): (0, 4, 0, 100),
        # Out is u + s'/4, whoever's s it is; its mean leaves u, and 1/16 less than the model's.
        ("far from zero: resampled",): (1 / 16, 2 + 1 / 16, 1 / 16, 100),
        ("far from zero: mean",): (1 / 16, 2 + 1 / 16, 0, 103.125),
    },
    # In 35ths: E[rest^2] = 8 for x^2, randomized 188, Var(h) = 90. For abs x the error is E[(abs
    # x - x^2)^2] = 56, plus E[rest^2] = 48, less 2 * 4/5 * 4/5 for their means.
    "approximation": {
        ("x²", "squared error"): (8 / 35, 188 / 35, 8 / 35, 100),
        ("x²", "against the model"): (0, 36 / 7, 16 / 35, 8200 / 90),
        ("x² - 3", "squared error"): (8 / 35, 188 / 35, 8 / 35, 100),
        ("x² - 3", "against the model"): (0, 36 / 7, 16 / 35, 8200 / 90),
        ("abs x", "squared error"): (8 / 35, 188 / 35, 296 / 175, 12880 / 180),
        ("abs x", "against the model"): (0, 36 / 7, 256 / 175, 12880 / 180),
        ("2, a constant", "squared error"): (8 / 35, 188 / 35, 188 / 35, 0),
        ("2, a constant", "against the model"): (0, 36 / 7, 36 / 7, 0),
    },
    "trivial-rewrites": {
        ("model: the cosine carries parity",): (0, 24 / 49, 0, 100),
        ("model, false: the cosine carries x > 0",): (0, 24 / 49, 10 / 21, 100 / 36),
        ("lookup table: the entry is the input",): (0, 24 / 49, 0, 100),
        ("constant loss: nothing matters",): (0, UNDEFINED, 0, UNDEFINED),
    },
}


def random_model_figures() -> dict[tuple[str, ...], tuple[float, float, float, float]]:
    """From the units' values u on 16 inputs: label and output are independent, and so are rows."""
    graph, data = random_model.make_graph(), random_model.make_data()
    names = [f"unit{i}" for i in range(random_model.UNITS)]
    values = graph.values(data, names)
    units = np.stack([values[name].numpy() for name in names])[:, : random_model.INPUTS]
    out, first = units.sum(0), data["first"].numpy()[: random_model.INPUTS] == 1
    square, variance = (out**2).mean() + 1, out.var()
    apart = units.var(1).sum() + out.mean() ** 2 + 1
    within = (out[first].var() + out[~first].var()) / 2
    found: dict[tuple[str, ...], tuple[float, float, float, float]] = {}
    for case, loss, own in (
        (random_model.NOTHING, square, 2 * variance),
        (random_model.HALF, square, 2 * within),
        (random_model.EXACT, square, 0.0),
        (random_model.APART, apart, variance + units.var(1).sum()),
    ):
        found[case, "loss"] = (square, square, loss, UNDEFINED)
        recovered = 100 * (1 - own / (2 * variance))
        found[case, "against the model"] = (0, 2 * variance, own, recovered)
    return found


def trained_backup_figures() -> dict[tuple[str, ...], tuple[float, float, float, float]]:
    """By running the trained network on every pair of rows."""
    pitfall = ablation_pitfalls.trained_backup()
    graph, data = pitfall.hypothesis.graph, pitfall.data
    values = graph.values(data, ["second", "out"])
    out, label = values["out"].numpy(), data["label"].numpy()

    def error(second: float) -> float:
        given = {"second": torch.full_like(values["second"], second)}
        found = graph.values(data, ["out"], given=given)["out"].numpy()
        return float(((found - label) ** 2).mean())

    model = float(((out - label) ** 2).mean())
    randomized = float(((out[:, None] - label) ** 2).mean())
    found: dict[tuple[str, ...], tuple[float, float, float, float]] = {}
    for kind, scrubbed in (
        ("resampled", float(np.mean([error(float(v)) for v in values["second"]]))),
        ("mean", error(float(values["second"].mean()))),
    ):
        recovered = 100 * (scrubbed - randomized) / (model - randomized)
        found[(f"trained with dropout: {kind}",)] = (model, randomized, scrubbed, recovered)
    second = values["second"].numpy()
    rest = out - second
    direct = float(((rest[:, None] + second - label[:, None]) ** 2).mean())
    recovered = 100 * (direct - randomized) / (model - randomized)
    found[("trained with dropout: direct path",)] = (model, randomized, direct, recovered)
    return found


FIGURES["ablation-pitfalls"] |= trained_backup_figures()
FIGURES["unimportant-inputs"] = {
    ("together",): (0, 4, 0, 100),
    ("per-claim",): (0, 4, 2, 50),
    ("separate",): (0, 4, 10, -150),
    ("per-claim, others agree on s",): (0, 4, 0, 100),
}
FIGURES["random-model"] = random_model_figures()
SMALL = list(FIGURES)
SAMPLED = ["sampled", "± se", "sampled recovered %"]


@cache
def outcome(name: str) -> gallery.Outcome:
    return gallery.load(name).run(gallery.Options(samples=400))


@pytest.mark.parametrize("name", SMALL)
def test_figures_are_exact_and_sampling_agrees(name: str) -> None:
    table = outcome(name).table
    keys = ["case", "measured"] if "measured" in table else ["case"]
    found = {tuple(row[k] for k in keys): row for _, row in table.iterrows()}
    assert list(found) == list(FIGURES[name])
    for key, expected in FIGURES[name].items():
        row = found[key]
        exact = [row[c] for c in ("model", "randomized", "scrubbed", "recovered %")]
        assert exact == pytest.approx(expected, abs=1e-9, nan_ok=True), key
        # A mean whose samples are all alike has no standard error, and is exact.
        assert abs(row["sampled"] - row["scrubbed"]) <= 5 * row["± se"] + 1e-9, key


@pytest.mark.parametrize("name", SMALL)
def test_an_outcome_saves_tables_text_and_a_picture_with_ink(name: str, tmp_path: Path) -> None:
    one = outcome(name)
    paths = one.save(tmp_path / "new", name)
    expected = [f"{name}.{kind}" for kind in ("csv", "md", "png")]
    assert [path.name for path in paths] == expected + [f"{name}-{key}.csv" for key in one.more]
    assert paths[1].read_text() == one.text
    picture = matplotlib.image.imread(paths[2])[..., :3]
    assert 0.005 < (picture < 0.9).any(axis=-1).mean() < 0.5
    assert picture.shape[0] >= 300


@pytest.mark.parametrize("name", SMALL)
def test_the_page_says_what_the_entry_finds(name: str) -> None:
    """With UPDATE_DOCS=1 the exact figures are written into the page."""
    entry = gallery.load(name)
    assert entry.page == f"gallery/{name}.md"
    path = ROOT / "docs" / entry.page
    page = path.read_text()
    found = gallery.as_text(outcome(name).table.drop(columns=SAMPLED))
    new = re.sub(r"(?<=<!-- exact -->\n)\n(\|.*\n)*", lambda _: f"\n{found}\n", page)
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(new)
    else:
        assert page == new, "the page's figures are stale; run with UPDATE_DOCS=1"
    assert entry.page in (ROOT / "mkdocs.yml").read_text()
    assert f"({name}.png)" in page
    assert path.with_suffix(".png").is_file()
    assert f"]({name}.md)" in path.with_name("index.md").read_text()
    for head in ("## What is claimed", "## What is found", "## What the numbers do not show"):
        assert f"\n{head}\n" in page


def test_every_picture_of_the_pages_is_described_in_words_of_its_own() -> None:
    pages = [path.read_text() for path in sorted((ROOT / "docs").rglob("*.md"))]
    said = [alt for page in pages for alt in re.findall(r"!\[([^]]*)\]\([^)]*\.png\)", page)]
    assert len(said) >= len(SMALL)
    assert len(set(said)) == len(said)
    assert min(map(len, said)) > 30


def test_a_copied_entry_runs(tmp_path: Path) -> None:
    script = gallery.copy("sharing", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run_sharing.py", "sharing.py"]
    done = subprocess.run(
        [sys.executable, script.name, "--samples", "100"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(cs.__file__).parents[1])},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "wrote out/sharing.png" in done.stdout
    assert (tmp_path / "out" / "sharing.csv").read_text().startswith("case,model")


def test_a_copied_package_stands_alone(tmp_path: Path) -> None:
    script = gallery.copy("parens", tmp_path)
    copied = tmp_path / "parens"
    done = subprocess.run(
        [sys.executable, "-c", f"import {script.stem} as run; print(run.ENTRY.run.__code__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(cs.__file__).parents[1])},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert str(copied) in done.stdout  # the copy runs, not the package's own


def test_four_inputs_lists_every_swap() -> None:
    more = outcome("four-inputs").more
    one, three, five = (more[f"swaps-{n}-nodes"] for n in (1, 3, 5))
    # 48 rows with y and 16 without: pairs inside the classes.
    assert len(one) == 48 * 47 + 16 * 15
    counts = dict(three["draw"].value_counts())
    assert counts == {"D/~other": 64 * 63, "D/A": 2 * 32 * 31, "D/B": 2 * 32 * 31}
    assert set(five["draw"]) > set(three["draw"])
    assert (one["row"] != one["taken instead"]).all()


def test_four_inputs_draws_three_unimportant_rows_at_once() -> None:
    draws = outcome("four-inputs").results["true: down to the inputs"].draws
    others = ["D/~other", "D/A/~other", "D/B/~other"]
    assert set(others) < set(draws.columns)
    distinct = draws[others].nunique(axis=1)
    # 64 rows: all three differ with chance 63 * 62 / 64^2.
    assert (distinct == 3).mean() == pytest.approx(63 * 62 / 64**2, abs=0.06)


def test_superposition_moves_errors_between_rows() -> None:
    rows = outcome("superposition").more["by-row"].set_index(["x1", "x2"])
    for place, (model, scrubbed) in {
        (3, 3): (125.44, 12.8),
        (3, 0): (1.96, 4.52),
        (0, 0): (0.16, 2.72),
    }.items():
        assert rows.loc[place, "model"] == pytest.approx(model)
        assert rows.loc[place, "scrubbed"] == pytest.approx(scrubbed)
    assert rows["weight"].sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("a", "b", "kurtosis", "both"),
    [(1, 1, 9, True), (1, 1, 2.5, False), (1, 0.5, 5.5, True), (1, 0.5, 4.5, False)],
)
def test_superposition_fits_best_and_holds_rare_features(
    a: float, b: float, kurtosis: float, both: bool
) -> None:
    p, q, loss = superposition.fit(a, b, kurtosis)
    assert (q > 0) == both
    if not both:
        assert loss == pytest.approx((kurtosis - 1) * min(a, b) ** 2)
    data = superposition.make_data([a, b], kurtosis)

    def measured(c: float, d: float, e: float) -> float:
        weights = torch.tensor([[c, d]], dtype=torch.float64)
        error = superposition.make_model(weights, e)(data) - data["y"]
        return float(data.weights @ (error**2).numpy())

    best = (math.sqrt(p), math.sqrt(q), (a - p) + (b - q))
    assert measured(*best) == pytest.approx(loss)
    random = np.random.default_rng(0)
    for size in (0.01, 0.1, 1):
        for step in random.normal(size=(20, 3)) * size:
            assert measured(*(np.array(best) + step)) >= loss - 1e-12


def test_hash_game_modes_move_apart_and_the_law_of_outputs_stays() -> None:
    one = outcome("hash-game")
    parts = one.more["by-mode"].set_index(["case", "mode"])["change"]
    assert parts.loc["false: guess on EASY, right bit on HARD"].tolist() == [-0.75, 5.0]
    assert parts.loc["true: the guess and the mode"].tolist() == [0.0, 0.0]
    false = one.results["false: guess on EASY, right bit on HARD"]
    output = false.compare_distributions().output
    assert output is not None
    assert "by construction" in str(output)


def test_sine_cosine_cancels_between_inputs() -> None:
    found = outcome("sine-cosine").results["false: sine or cosine"].compare_functions()
    distances = {measure.name: measure for measure in found.measures}
    assert distances["squared_error"].scrubbed.mean == pytest.approx(1 / 2, abs=0.12)
    assert distances["squared_error"].randomized.mean == pytest.approx(1, abs=0.2)
    assert found.cancelled > 85
    assert found.better.mean == pytest.approx(25, abs=8)
    assert found.worse.mean == pytest.approx(25, abs=8)


def test_cancellation_shows_where_the_model_was_right() -> None:
    one = outcome("cancellation")
    false = one.results["false: second carries c"]
    assert false.on("right").gap.mean == pytest.approx(1 / 2, abs=0.15)
    assert false.on(lambda rows: ~rows["right"]).gap.mean == pytest.approx(-1 / 2, abs=0.15)
    assert sorted(one.more["by-row"]["change"]) == [-0.5] * 4 + [0.5] * 4
    assert false.compare_functions().cancelled > 80


def test_too_vague_is_told_apart_by_what_it_permits() -> None:
    table = outcome("too-vague").more["specificity"].set_index("case")
    results = outcome("too-vague").results
    assert {case: one.never_swapped for case, one in results.items() if one.never_swapped} == {
        "A: the whole input": ("out/A",)
    }
    assert "claims never swapped, each row alone: out/A" in str(results["A: the whole input"])
    assert "never swapped" not in str(results["A: x1, x2, x3"])
    kept = table["keeps its own row %"]
    assert kept.tolist() == [12.5, 25, 50, 100, 12.5, 12.5, 12.5]
    # Of 4 bits, A's draw frees what the feature leaves open, B's 3; the label has chance 1/4.
    label = 4 - (1 / 4 * math.log2(4) + 3 / 4 * math.log2(4 / 3))
    disjunction = 4 - label  # x1 or x2 has chance 3/4, as has "not the label"
    expected = [6, 5, 4, 3, label, 6, 3 + 4 - disjunction]
    np.testing.assert_allclose(table["bits drawn anew"], expected, atol=1e-9)


def test_ablation_by_hand_agrees_with_the_policy() -> None:
    one = outcome("ablation-pitfalls")
    error = one.more["verdicts"].set_index(["pitfall", "ablated"])["squared error"]
    exact = one.table.set_index("case")["scrubbed"]
    for name in ("off the manifold", "unpredictable sign", "hidden backup"):
        assert error[name, "mean"] == pytest.approx(exact[f"{name}: mean"], abs=1e-12)
        assert error[name, "resampled"] == exact[f"{name}: resampled"]
        assert error[name, "zero"] == pytest.approx(error[name, "mean"], abs=1e-12)


def test_zero_and_mean_part_where_the_part_is_far_from_zero() -> None:
    verdicts = outcome("ablation-pitfalls").more["verdicts"].set_index(["pitfall", "ablated"])
    error = verdicts["squared error"]
    assert error["far from zero", "mean"] == pytest.approx(0)
    assert error["far from zero", "zero"] == pytest.approx(9)


def test_training_with_dropout_grows_a_backup() -> None:
    verdicts = outcome("ablation-pitfalls").more["verdicts"].set_index(["pitfall", "ablated"])
    recovered = verdicts["recovered %"]
    for kind in ("zero", "mean", "resampled"):
        assert recovered["trained with dropout", kind] > 97
    table = outcome("ablation-pitfalls").table.set_index("case")["recovered %"]
    assert table["trained with dropout: direct path"] < 60


def test_ablation_off_the_distribution_helps_one_kind_and_hurts_the_other() -> None:
    kinds = outcome("ablation-pitfalls").more["by-kind"].set_index("inputs")
    expected = {"kind A": [1 / 4, 1 / 4, 0, 0], "kind B": [1 / 4, 1 / 4, 1, 1]}
    for name, values in expected.items():
        np.testing.assert_allclose(kinds.loc[name].to_numpy(float), values)
    pitfall = ablation_pitfalls.unpredictable_sign()
    sampled = ablation_pitfalls.ablate(pitfall, gallery.Options(samples=200))
    assert sampled.on("kind_a").effect("zero").mean == pytest.approx(-1 / 4)
    assert sampled.on("kind_b").effect("zero").mean == pytest.approx(3 / 4)
    assert sampled.effect("resample").mean == 0


def test_approximation_zeroed_tells_another_story() -> None:
    table = outcome("approximation").table
    error = table[table["measured"] == "squared error"].set_index("case")
    assert error["zeroed"].tolist() == pytest.approx([0, 9, 8 / 5, 14 / 5])
    expected = [18800 / 180, 100 - 100 * (9 - 8 / 35) * 35 / 180, 13200 / 180, 50]
    assert error["zeroed recovered %"].tolist() == pytest.approx(expected)
    own = table[table["measured"] == "against the model"].set_index("case")
    assert own["zeroed"].tolist() == pytest.approx([8 / 35, 9 + 8 / 35, 48 / 35, 90 / 35])


def test_trivial_rewrites_say_that_they_are_empty() -> None:
    one = outcome("trivial-rewrites")
    assert one.results["lookup table: the entry is the input"].stuck == 1
    assert one.results["model: the cosine carries parity"].stuck == 0
    assert "replace f by entry, looked up (equal on 7 rows" in one.text
    assert "in 100% of the samples" in one.text
