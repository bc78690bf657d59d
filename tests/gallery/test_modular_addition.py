"""The modular-addition entry: its frequencies, its planes, and which claims hold."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch

import causal_scrubbing as cs
from causal_scrubbing import gallery
from causal_scrubbing._systems import modular_addition as entry

PAGE = Path(__file__).parents[2] / "docs" / "gallery" / "modular-addition.md"
MODELS = entry.load_models()
DATA = entry.claims.make_data()


@cache
def rungs() -> dict[str, cs.Hypothesis]:
    return entry.make_rungs(MODELS[0, 1500], DATA)


def scrub(name: str) -> cs.Result:
    return cs.scrub(rungs()[name], DATA, metric=entry.metrics(), samples=300, progress=False)


def test_the_graph_is_the_model() -> None:
    weights = MODELS[2, 1500]
    graph = entry.claims.make_graph(weights)
    own = entry.model.logits(weights, DATA["a"], DATA["b"])
    torch.testing.assert_close(graph(DATA), own)


def test_finished_models_add_and_use_few_frequencies() -> None:
    for seed, keys in ((0, {3, 9, 13, 14}), (1, {1, 2, 7, 21}), (2, {4, 19, 28})):
        weights = MODELS[seed, 1500]
        said = entry.model.logits(weights, DATA["a"], DATA["b"]).argmax(dim=1)
        assert (said == DATA["sum"]).double().mean() > 0.999
        assert set(entry.fourier.key_frequencies(weights)) == keys
    untrained = entry.fourier.spectrum(MODELS[0, 0])
    assert untrained.max() < 0.1


def test_joint_projections_add_up_to_the_projection_onto_the_span() -> None:
    directions = entry.fourier.read_directions(MODELS[0, 1500], [3, 9])
    total = sum(entry.fourier.joint_projections(directions))
    assert isinstance(total, torch.Tensor)
    torch.testing.assert_close(total @ directions, directions)
    torch.testing.assert_close(total @ total, total)
    torch.testing.assert_close(total.T, total)


def test_the_quadratic_finds_what_the_identity_says() -> None:
    a, b = entry.model.pairs()
    wave = entry.fourier.waves([5], a + b)
    fitted, left = entry.fourier.fit_quadratic(5, wave)
    identity = torch.tensor([[1, 0], [-1, 0], [0, 1], [0, 1], [0, 0]], dtype=torch.float64)
    torch.testing.assert_close(fitted, identity, atol=1e-9, rtol=0)
    assert left < 1e-12


def test_planes_hold_and_controls_do_not() -> None:
    for name in (entry.EACH, entry.HEADS, entry.QUADRATIC):
        result = scrub(name)
        assert result.recovered.mean > 99.9
        assert result["right"].scrubbed.mean > 0.99
    for name in (entry.DIFFERENCE, entry.RANDOM):
        assert scrub(name).recovered.mean < 40
    assert scrub(entry.WRONG)["right"].scrubbed.mean < 0.6


def test_exact_losses_are_those_of_every_draw() -> None:
    weights, some = MODELS[0, 500], DATA[:150]
    (graph,) = entry.claims.make_graphs(weights, DATA, [entry.claims.KEYS]).values()
    planes = [f"neurons.w{key}" for key in entry.fourier.key_frequencies(weights)]
    found = entry.exact.exact_losses(
        weights, some, entry.ANY, {entry.JOINT: (graph, planes)}, lambda line: None
    )
    values = graph.values(some, [*planes, "logits"])
    outward = weights["out"] @ weights["unembed"]
    key = torch.stack([values[plane] for plane in planes]).sum(dim=0) @ outward
    left, target = values["logits"] - key, some["sum"]

    def loss(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return logits.logsumexp(-1) - logits[..., wanted]

    logits = key[:, None] + left
    per_row = [
        torch.stack([loss(logits[x], wanted).mean() for x in (target == wanted).nonzero()[:, 0]])
        for wanted in target.tolist()
    ]
    naive = torch.stack([one.mean() for one in per_row]).mean()
    assert abs(found.scrubbed[entry.JOINT] - float(naive)) < 1e-9
    any_other = torch.stack([loss(values["logits"], wanted).mean() for wanted in target.tolist()])
    assert abs(found.randomized - float(any_other.mean())) < 1e-9
    own = torch.nn.functional.cross_entropy(values["logits"], target)
    assert abs(found.model - float(own)) < 1e-9


def test_the_page_names_what_is_found() -> None:
    page = PAGE.read_text()
    for name in (*rungs(), entry.QUADRATIC_JOINT):
        assert f"| {name} " in page
    one = gallery.load("modular-addition")
    assert one.page == "gallery/modular-addition.md"
    assert PAGE.with_suffix(".png").is_file()
