from __future__ import annotations

import math
import pickle
import re

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Categorical, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import MetricError
from causal_scrubbing._metrics import metrics
from causal_scrubbing._statistics import as_values

G = torch.Generator().manual_seed(0)
LOGITS = torch.randn(6, 4, generator=G)
OTHER = torch.randn(6, 4, generator=G)
BINARY = torch.randn(6, generator=G)
ROWS = Dataset(
    word=torch.tensor([0, 3, 1, 2, 2, 0]),
    wrong=torch.tensor([1, 0, 0, 1, 3, 3], dtype=torch.int8),
    flag=torch.tensor([True, False, True, True, False, False]),
    flag_number=np.array([1, 0, 1, 1, 0, 0]),
    share=torch.tensor([0.5] * 6),
    text=["a"] * 6,
    target=torch.randn(6, generator=G),
    target4=torch.randn(6, 4, generator=G),
)


def with_model(output: torch.Tensor) -> Dataset:
    return ROWS.with_model_output(output)


def test_cross_entropy_of_classes_and_of_a_binary_logit() -> None:
    found = metrics.cross_entropy("word")(LOGITS, ROWS)
    torch.testing.assert_close(found, cross_entropy(LOGITS, ROWS["word"], reduction="none"))
    expected = binary_cross_entropy_with_logits(BINARY, ROWS["flag"].float(), reduction="none")
    for output in (BINARY, BINARY[:, None]):
        for label in ("flag", "flag_number"):
            torch.testing.assert_close(metrics.cross_entropy(label)(output, ROWS), expected)
    two = torch.stack([torch.zeros(6), BINARY], dim=1)
    torch.testing.assert_close(metrics.cross_entropy("flag")(two, ROWS), expected)


def test_cross_entropy_stays_finite_for_extreme_logits() -> None:
    huge = torch.full((6,), 1e4)
    found = metrics.cross_entropy("flag")(huge, ROWS)
    torch.testing.assert_close(found, torch.where(ROWS["flag"], 0.0, 1e4))


def test_half_precision_is_scored_in_single() -> None:
    found = metrics.cross_entropy("word")(LOGITS.to(torch.bfloat16), ROWS)
    assert found.dtype == torch.float32


def test_accuracy() -> None:
    found = metrics.accuracy("word")(LOGITS, ROWS)
    assert found.tolist() == (LOGITS.argmax(1) == ROWS["word"]).float().tolist()
    found = metrics.accuracy("flag")(BINARY[:, None], ROWS)
    assert found.tolist() == ((BINARY > 0) == ROWS["flag"]).float().tolist()


def test_logit_difference_of_fields_and_numbers() -> None:
    rows = torch.arange(6)
    found = metrics.logit_difference("word", "wrong")(LOGITS, ROWS)
    torch.testing.assert_close(
        found, LOGITS[rows, ROWS["word"]] - LOGITS[rows, ROWS["wrong"].long()]
    )
    mixed = metrics.logit_difference(2, "word")
    torch.testing.assert_close(mixed(LOGITS, ROWS), LOGITS[:, 2] - LOGITS[rows, ROWS["word"]])
    assert mixed.fields == ("word",)


def test_squared_error() -> None:
    expected = (BINARY - ROWS["target"]) ** 2
    for output in (BINARY, BINARY[:, None]):
        torch.testing.assert_close(metrics.squared_error("target")(output, ROWS), expected)
    found = metrics.squared_error("target4")(LOGITS, ROWS)
    torch.testing.assert_close(found, ((LOGITS - ROWS["target4"]) ** 2).mean(1))


def test_to_model_kinds() -> None:
    rows = with_model(OTHER)
    p, q = Categorical(logits=OTHER), Categorical(logits=LOGITS)
    expected = {
        "kl": kl_divergence(p, q),
        "agreement": (LOGITS.argmax(1) == OTHER.argmax(1)).float(),
        "distance": torch.linalg.vector_norm(LOGITS - OTHER, dim=1),
        "squared_error": ((LOGITS - OTHER) ** 2).mean(1),
        "total_variation": (p.probs - q.probs).abs().sum(1) / 2,
    }
    for kind, values in expected.items():
        metric = metrics.to_model(kind)  # type: ignore[arg-type]
        torch.testing.assert_close(metric(LOGITS, rows), values)
        same = metric(OTHER, rows)
        assert same.tolist() == [0.0 if metric.lower_is_better else 1.0] * 6
    other = torch.randn(6, generator=G)
    torch.testing.assert_close(
        metrics.to_model("kl")(BINARY, with_model(other)),
        kl_divergence(Bernoulli(logits=other), Bernoulli(logits=BINARY)),
    )


def test_kl_with_classes_masked_out() -> None:
    masked = OTHER.clone()
    masked[:, 0] = -math.inf
    found = metrics.to_model("kl")(masked, with_model(masked))
    assert found.tolist() == [0.0] * 6
    assert metrics.to_model("kl")(masked, with_model(OTHER)).isinf().all()


@pytest.mark.parametrize(
    ("metric", "output", "words"),
    [
        (metrics.cross_entropy("nope"), LOGITS, r"no field 'nope'; it has word, wrong"),
        (metrics.cross_entropy("text"), LOGITS, r"'text' holds <U1 values, not numbers"),
        (metrics.cross_entropy("share"), LOGITS, r"'share' is torch.float32 .* boolean or integer"),
        (metrics.cross_entropy("word"), BINARY, r"classes 0 to 3 and the output .* has 2"),
        (metrics.accuracy("word"), LOGITS[:2], r"'word' has shape \[6\] and the output 2 rows"),
        (
            metrics.accuracy("word"),
            LOGITS.reshape(6, 2, 2),
            r"one class number a position, \[6, 2\]",
        ),
        (metrics.accuracy("word"), torch.tensor(1.0), r"the output is \[\], wanted a tensor"),
        (metrics.logit_difference(0, 4), LOGITS, r"class 4 is not among the 4 classes"),
        (metrics.logit_difference(0, 1), BINARY, r"one logit a row"),
        (metrics.squared_error("target"), LOGITS, r"'target' has 1 numbers a row .* has 4"),
        (metrics.to_model("kl"), BINARY, r"\[6\] and the model's own \[6, 4\]"),
    ],
)
def test_errors_name_metric_field_and_shapes(
    metric: metrics.Metric, output: torch.Tensor, words: str
) -> None:
    with pytest.raises(MetricError, match=re.escape(f"metric {metric}: ") + ".*" + words):
        metric(output, with_model(OTHER))


def test_to_model_says_what_it_lacks() -> None:
    with pytest.raises(MetricError, match=r"to_model\('kl'\): these rows carry no model_output"):
        metrics.to_model("kl")(LOGITS, ROWS)
    with pytest.raises(MetricError, match="take one of kl, agreement, distance"):
        metrics.to_model("cosine")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        (metrics.cross_entropy("word"), "cross_entropy('word')"),
        (metrics.accuracy("word"), "accuracy('word')"),
        (metrics.logit_difference("word", 3), "logit_difference('word', 3)"),
        (metrics.squared_error("word"), "squared_error('word')"),
        (metrics.to_model("kl"), "to_model('kl')"),
    ],
)
def test_metrics_are_values(metric: metrics.Metric, text: str) -> None:
    assert str(metric) == text
    assert isinstance(metric, metrics.Metric)
    assert pickle.loads(pickle.dumps(metric)) == metric


def test_values_of_any_metric_become_float64_rows() -> None:
    assert as_values("m", torch.tensor([True, False]), 2).tolist() == [1.0, 0.0]
    assert as_values("m", torch.ones(2, 3, requires_grad=True), 2).shape == (2, 3)
    with pytest.raises(MetricError, match=r"'m' gave values of shape \[\], wanted one for each of"):
        as_values("m", torch.tensor(1.0), 2)
    with pytest.raises(MetricError, match=r"shape \[3\], wanted one for each of the 2 rows"):
        as_values("m", torch.ones(3), 2)
    with pytest.raises(MetricError, match="str values that are not numbers"):
        as_values("m", "high", 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.cross_entropy(torch.tensor([0, 1])), r"label is Tensor, wanted the name"),  # type: ignore[arg-type]
        (lambda: metrics.cross_entropy(1), r"label is 1, .*with_fields\(label=\.\.\.\)"),  # type: ignore[arg-type]
        (
            lambda: metrics.accuracy(np.array([1])),  # type: ignore[arg-type]
            r"accuracy: label is ndarray.*accuracy\('label'\)",
        ),
        (lambda: metrics.squared_error(None), r"squared_error: target is NoneType"),  # type: ignore[arg-type]
        (
            lambda: metrics.logit_difference(torch.tensor([0]), torch.tensor([1])),  # type: ignore[arg-type]
            r"correct is Tensor, wanted a class number or the name .*\('correct', 'wrong'\)",
        ),
        (lambda: metrics.logit_difference(0, 1.5), r"wrong is 1\.5, wanted a class number"),  # type: ignore[arg-type]
        (lambda: metrics.logit_difference("a", True), r"wrong is True, wanted a class number"),
    ],
)
def test_what_names_no_field_is_refused_when_a_metric_is_made(make, message) -> None:
    with pytest.raises(MetricError, match=message):
        make()
    assert metrics.logit_difference(np.int64(0), 1).fields == ()  # type: ignore[arg-type]


def test_whole_numbers_keep_their_last_digit() -> None:
    output, rows = torch.tensor([16777217, 5]), Dataset(target=[16777216, 5])
    assert metrics.squared_error("target")(output, rows).tolist() == [1.0, 0.0]
    own = rows.with_model_output(output)
    for kind in ("distance", "squared_error"):
        assert metrics.to_model(kind)(output - 1, own).tolist() == [1.0, 1.0]
