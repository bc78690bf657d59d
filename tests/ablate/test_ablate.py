from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import causal_scrubbing as cs


def off_manifold() -> tuple[cs.Graph, cs.Dataset]:
    """Activations lie on a circle, and only their length is read, which is always 1."""
    graph = cs.Graph.build(
        inputs=["angle"],
        nodes={
            "h": (lambda a: torch.stack([a.cos(), a.sin()], 1), ["angle"]),
            "y": (lambda h: -torch.log(h.norm(dim=1) + 1e-3), ["h"]),
        },
        output="y",
    )
    return graph, cs.Dataset(angle=torch.arange(16, dtype=torch.float64) * 2 * torch.pi / 16)


def test_off_the_manifold_of_activations() -> None:
    """Zero and mean are no points of the circle: a node that carries nothing seems to matter."""
    graph, data = off_manifold()
    found = cs.ablate(graph, ["h"], data, samples=200)
    assert found["resample"].gap.mean == pytest.approx(0, abs=1e-9)
    assert found["zero"].gap.mean > 5
    assert found["mean"].gap.mean > 5
    h = cs.Hypothesis(graph, cs.claim("y", cs.exact, cs.nothing), name="h carries nothing")
    runs = cs.scrub([h, h.with_(ablation="mean")], data, samples=100)
    assert runs[0].gap.mean == pytest.approx(0, abs=1e-9)
    assert runs[1].gap.mean > 5


def unpredictable_sign() -> tuple[cs.Graph, cs.Dataset]:
    """h is 1 or -1 and only its square is read; zeros put out what the model never puts out."""
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={"h": (torch.sign, ["x"]), "y": (torch.square, ["h"])},
        output="y",
    )
    x = torch.tensor([-2.0, -1.0, 1.0, 2.0, -3.0, 3.0, 1.5, -1.5], dtype=torch.float64)
    easy = torch.tensor([True] * 4 + [False] * 4)
    return graph, cs.Dataset(x=x, easy=easy, target=easy.double())


def test_an_off_distribution_output_helps_here_and_hurts_there() -> None:
    graph, data = unpredictable_sign()
    found = cs.ablate(graph, "h", data, metric=cs.metrics.squared_error("target"), samples=400)
    for kind in ("zero", "mean"):
        assert found.on("easy")[kind].gap.mean == pytest.approx(1)
        assert found.on(lambda d: ~d["easy"])[kind].gap.mean == pytest.approx(-1)
        low, high = found[kind].gap.interval
        assert low < 0 < high
    for subset in ("easy", lambda d: ~d["easy"]):
        assert found.on(subset)["resample"].gap.mean == 0


def variation_removed() -> tuple[cs.Graph, cs.Dataset]:
    """The third module, trained under dropout, backs up the second where it puts out nothing."""
    graph = cs.Graph.build(
        inputs=["signal"],
        nodes={
            "m1": (torch.clone, ["signal"]),
            "m2": (torch.clone, ["m1"]),
            "m3": (lambda a, b: torch.where(b.abs() < 0.5, a, torch.zeros_like(a)), ["m1", "m2"]),
            "y": (cs.add, ["m2", "m3"]),
        },
        output="y",
    )
    signal = torch.tensor([1.0, -1.0] * 8, dtype=torch.float64)
    return graph, cs.Dataset(signal=signal)


def test_removed_variation_hides_what_a_module_does() -> None:
    """Mean ablation says that the second module does not matter; resampling shows it does."""
    graph, data = variation_removed()
    metric = cs.metrics.squared_error("signal")
    found = cs.ablate(graph, ["m2"], data, metric=metric, samples=500)
    assert found["mean"].gap.mean == 0
    assert found["zero"].gap.mean == 0
    low, high = found["resample"].gap.interval
    assert low < 2 < high  # half of the signs are wrong, each by (1 - -1)^2
    differences = found.differences()
    assert differences["mean", "resample"].p_value < 0.001
    assert differences["zero", "mean"].difference.mean == 0
    # As a hypothesis: "m2 does not matter" under either policy.
    root = cs.claim("y", cs.exact, cs.claim("m3", cs.exact, cs.claim("m1", cs.exact)))
    h = cs.Hypothesis(graph, root, unimportant="together")
    ablated = h.with_(ablation="mean", unimportant="per-claim")
    assert cs.exact_scrub(h, data, metric=metric).gap == pytest.approx(2)
    assert cs.exact_scrub(ablated, data, metric=metric).gap == pytest.approx(0)


def test_effects_equal_their_definitions_on_weighted_data() -> None:
    rng = np.random.default_rng(1)
    data = cs.Dataset(
        x=rng.normal(size=6), z=rng.normal(size=6), group=[0, 0, 0, 1, 1, 1],
        weights=rng.uniform(0.2, 1, 6),
    )  # fmt: skip
    graph = cs.Graph.build(
        inputs=["x", "z"],
        nodes={
            "a": (torch.sin, ["x"]),
            "b": (torch.exp, ["z"]),
            "y": (lambda a, b, x: a * b + x, ["a", "b", "x"]),
        },
        output="y",
    )
    a, b, x = torch.sin(data["x"]), torch.exp(data["z"]), data["x"]
    found = cs.ablate(graph, ["a", "b"], data, samples=64, batch_size=10)
    rows = found.reference
    means = [float(data.weights @ v.numpy()) for v in (a, b)]
    table = found.samples
    np.testing.assert_allclose(table["zero"], x[rows])
    np.testing.assert_allclose(table["mean"], means[0] * means[1] + x[rows])
    np.testing.assert_allclose(table["model"], (a * b + x)[rows])
    together = table["resample"].to_numpy() - x[rows].numpy()
    assert set(together.round(9)) <= set((a * b).numpy().round(9))
    apart = cs.ablate(graph, ["a", "b"], data, "resample", samples=64, separate=True)
    apart_values = apart.samples["resample"].to_numpy() - x[rows].numpy()
    assert not set(apart_values.round(9)) <= set((a * b).numpy().round(9))
    held = cs.ablate(graph, "*", data, "resample", samples=64, within="group")
    groups = data["group"].numpy()
    by_value = {round(float(v), 9): int(g) for v, g in zip(graph(data), groups, strict=True)}
    held_values = held.samples["resample"].to_numpy()
    assert all(by_value[round(v, 9)] == groups[r] for v, r in zip(held_values, rows, strict=True))
    # The reference rows are those of a scrub with the same seed.
    run = cs.scrub(cs.Hypothesis(graph, cs.claim("y", cs.exact)), data, samples=64)
    np.testing.assert_array_equal(run.draws["reference"], rows)


def test_tables_several_metrics_and_wrong_arguments() -> None:
    graph, data = variation_removed()
    metric: dict[str, Any] = {
        "error": cs.metrics.squared_error("signal"),
        "both": lambda out, rows: torch.stack([out, out], 1),
    }
    found = cs.ablate(graph, "m2", data, ["mean", "resample"], metric=metric, samples=30)
    text = str(found)
    assert "mean - resample" in text
    assert "vector" in text
    assert list(found) == ["mean", "resample"]
    assert set(found.to_dict()["estimates"]) == {"error", "both"}
    assert found.effect("mean", "both").mean == pytest.approx(found.scores("both")["mean"].gap.mean)
    assert found.samples.shape == (30, 1 + 3 + 6)
    with pytest.raises(cs.ScrubError, match="'zero' was not made; there is mean, resample"):
        found["zero"]
    with pytest.raises(cs.ScrubError, match="no metric is called 'kl'"):
        found.scores("kl")
    with pytest.raises(
        cs.ScrubError, match=r"kind='median' is not an ablation.* Did you mean 'mean'"
    ):
        cs.ablate(graph, "m2", data, "median")
    with pytest.raises(cs.GraphError, match="no node matches 'm9'"):
        cs.ablate(graph, "m9", data)
    with pytest.raises(cs.ScrubError, match=r"samples=0: give the number of samples"):
        cs.ablate(graph, "m2", data, samples=0)
    with pytest.raises(cs.ScrubError, match="'signal' is not true or false on every row"):
        found.on("signal")
    words = data.with_fields(t=torch.arange(16))
    tokens = cs.Graph.build(inputs=["t"], nodes={"y": (torch.neg, ["t"])}, output="y")
    with pytest.raises(cs.ScrubError, match="t holds int64, of which no mean is a value"):
        cs.ablate(tokens, "t", words)


def test_means_are_over_rows_alike_and_places_that_a_field_marks() -> None:
    t = torch.arange(40) % 2
    x = torch.arange(40.0).double() + 100 * t
    data = cs.Dataset(x=x, t=t, low=torch.arange(40) < 20)
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={"h": (lambda x: x + 0, ["x"]), "y": (lambda h: h * 1, ["h"])},
        output="y",
    )
    mean = cs.mean(where="low")
    found = cs.ablate(
        graph, "h", data, ("mean", mean), lambda out, rows: out, samples=50, within="t"
    )
    assert found.kinds == ("mean", "mean(where=low)")
    kinds = t[found.reference]
    want = torch.stack([x[t == k].mean() for k in (0, 1)])[kinds]
    np.testing.assert_allclose(found.samples["mean"], want)
    low = torch.stack([x[(t == k) & (torch.arange(40) < 20)].mean() for k in (0, 1)])[kinds]
    np.testing.assert_allclose(found.samples["mean(where=low)"], low)


def test_rows_of_a_pair_take_each_others_place() -> None:
    x = torch.arange(10.0).double()
    data = cs.Dataset(x=x, pair=torch.arange(10) // 2)
    graph = cs.Graph.build(
        inputs=["x"], nodes={"h": (torch.sin, ["x"]), "y": (torch.add, ["h", "x"])}, output="y"
    )
    found = cs.ablate(
        graph,
        "h",
        data,
        "resample",
        lambda out, rows: out,
        samples=30,
        within="pair",
        self_draws=False,
    )
    rows = torch.as_tensor(found.reference)
    np.testing.assert_allclose(found.samples["resample"], torch.sin(x[rows ^ 1]) + x[rows])


def test_options_that_no_kind_uses_are_refused() -> None:
    x = torch.arange(4.0)
    data = cs.Dataset(x=x, t=[0, 0, 1, 1], weights=[1, 2, 3, 4])
    graph = cs.Graph.build(inputs=["x"], nodes={"y": (torch.sin, ["x"])}, output="y")
    metric = cs.metrics.to_model("distance")
    for text, kind, options in (
        ("separate=True says how rows are drawn, and kind=mean", "mean", {"separate": True}),
        ("self_draws=False says how rows are drawn", ["mean", "zero"], {"self_draws": False}),
        ("within= says which rows may stand in", "zero", {"within": "t"}),
        ("rows of equal weight in every class", "resample", {"self_draws": False}),
        ("the field 't' is not boolean", cs.mean(where="t"), {}),
    ):
        with pytest.raises(cs.ScrubError, match=text):
            cs.ablate(graph, "x", data, kind, metric, **options)
