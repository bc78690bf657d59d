from __future__ import annotations

from typing import Any

import pytest
import torch
import zoo
from capturing import assert_close, state
from torch import nn

import causal_scrubbing as cs

X = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
DATA = cs.Dataset(x=X)
TOKENS = cs.Dataset(tokens=torch.arange(24).reshape(4, 6) % 7)


def refused(model: nn.Module, match: str, data: cs.Dataset = DATA, **options: Any) -> None:
    """Capture fails with this message and leaves the model as it was."""
    before = state(model)
    with pytest.raises(cs.GraphError, match=f"(?s){match}"):
        cs.capture(model, data, **options)
    assert state(model) == before


def test_sites_that_match_nothing_are_all_told_with_the_nearest_paths() -> None:
    sites = {"a{i}": "blocks.{i}.outt", "mlp": "blocks.0.mpl", "m": "blocks.{i}.mlp"}
    match = r"blocks\.\{i\}\.outt.*nearest are blocks\.0\.out.*mpl.*blocks\.0\.mlp.*'m' names 2"
    refused(zoo.Attention().eval(), match, TOKENS, sites=sites)


def test_a_place_that_is_no_place() -> None:
    refused(zoo.Mlp().eval(), "'up:sideways' is no place", sites={"a": "up:sideways"})


def test_sites_and_an_example_of_another_kind() -> None:
    model = zoo.Mlp().eval()
    refused(model, r"sites='up' is one string; write a list, sites=\['up'\]", sites="up")
    refused(
        model, "'h': Linear is no place; give a name and a module's path", sites={"h": model.up}
    )
    with pytest.raises(cs.DataError, match=r"the example is Tensor; wrap it: cs\.Dataset"):
        cs.capture(model, X)  # type: ignore[arg-type]


def test_a_number_in_a_place_may_have_a_digit_for_a_name() -> None:
    model = zoo.Attention().eval()
    graph = cs.capture(model, TOKENS, sites={"m{0}": "blocks.{0}.mlp"})
    assert graph.find("m{0}") == graph.find("m*") == ("m0", "m1")


def test_a_module_that_is_never_called() -> None:
    refused(zoo.NeverCalled().eval(), "'layer' is never called", sites=["layer"])


def test_a_call_that_never_happens() -> None:
    match = "asks for call 2, but the module is called 2 times"
    refused(zoo.Reused().eval(), match, sites={"third": "layer#2"})


def test_an_output_with_several_tensors_must_be_told() -> None:
    match = "does not say which tensor.*inner:output.hidden, inner:output.scale"
    refused(zoo.DictOutput().eval(), match, sites=["inner"], output="logits")
    refused(zoo.DictOutput().eval(), r"several tensors \(logits, extra\).*forward=")


def test_an_example_that_does_not_fit() -> None:
    match = r"does not run on the example \(x torch.float32 \[4, 5\]\).*module 'up' \(Linear\)"
    refused(zoo.Mlp().eval(), match, cs.Dataset(x=torch.ones(4, 5)))


def test_fields_that_are_not_there_or_not_told() -> None:
    two = cs.Dataset(x=X, y=X, name=["a", "b", "c", "d"])
    refused(zoo.Mlp().eval(), "has the fields x, y, name: say which", two)
    refused(zoo.Mlp().eval(), "has no field 'z'", two, fields=["z"])
    refused(zoo.Mlp().eval(), r"write a list, \['x'\]", two, fields="x")
    refused(zoo.Mlp().eval(), "not both", two, fields=["x"], forward=lambda m, rows: m(rows["x"]))
    match = r"reads rows\['name'\], which holds strings"
    refused(zoo.Mlp().eval(), match, two, forward=lambda m, rows: m(rows["name"]))
    refused(zoo.Mlp().eval(), "len", two, forward=lambda m, rows: m(rows["x"])[: len(rows)])


def test_training_mode_with_dropout_or_batch_statistics() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.1))
    refused(model, r"training mode, where '1' would.*model\.eval\(\)")
    refused(zoo.Convolutions(), "training mode, where 'norm", cs.Dataset(x=torch.ones(2, 1, 6, 6)))
    # Training mode alone changes nothing where no module behaves differently in it.
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.0)).train()
    assert_close(cs.capture(model, DATA)(DATA), model(X), "output")


def test_random_numbers_in_a_forward() -> None:
    refused(zoo.Noisy().eval(), r"randn_like.*random numbers.*model\.eval\(\)")


def test_a_branch_on_a_value_names_module_line_and_ways_out() -> None:
    match = (
        r"module 'inner' \(_Branch\), at `return x \* 2 if x\.sum\(\) > 0.*Ways out.*torch\.where"
    )
    refused(zoo.Branching().eval(), match, method="export")


def test_a_failed_export_prints_nothing_beside_its_error(capfd) -> None:
    class Branch(nn.Module):
        def __init__(this) -> None:
            super().__init__()
            this.line = nn.Linear(4, 4)

        def forward(this, x: torch.Tensor) -> torch.Tensor:
            y = this.line(x)
            return y * 2 if y.sum() > 0 else y

    match = r"the model itself \(Branch\), at `return y \* 2 if.*after the site 'line': a value com"
    refused(Branch().eval(), match, sites=["line"], method="export")
    said = capfd.readouterr()
    assert said.err == ""
    assert said.out == ""


def test_an_output_that_mixes_rows_is_called_the_output() -> None:
    class Centred(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x - x.mean(0)

    refused(
        Centred().eval(), "the output 'o' is another value on a row in another order", output="o"
    )


def test_a_fixed_number_of_rows_names_the_module() -> None:
    match = r"fixes the number of rows.*module '0' \(FixedRows\).*Ways out"
    model = nn.Sequential(zoo.FixedRows(), nn.Linear(4, 4)).eval()
    refused(model, match, method="export")
    with pytest.warns(cs.Notice, match=r"\(it fixes the number of rows in the module '0' \(Fixed"):
        graph = cs.capture(model, DATA[:2])
    assert_close(graph(DATA), model(X), "output")


def test_a_fixed_length_where_lengths_should_be_free() -> None:
    refused(zoo.Mlp().eval(), "fixes every length", dynamic=True)
    refused(zoo.Mlp().eval(), "give a field that the forward reads", dynamic={"y": [1]})


def test_rows_that_read_each_other() -> None:
    class Centred(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x - x.mean(0)

    refused(Centred().eval(), "one row reads another|differs from the model")


def test_a_site_whose_rows_are_not_first() -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x.transpose(0, 1)).transpose(0, 1)

    data = cs.Dataset(x=torch.ones(3, 5, 4))
    refused(
        Turned().eval(), r"site 'z' has shape \[5, 3, 4\].*batch first", data, sites={"z": "inner"}
    )


def test_names_used_twice() -> None:
    refused(zoo.Mlp().eval(), "'x' is used twice", sites={"x": "up"})


def test_weights_on_the_meta_device() -> None:
    model = zoo.Mlp().eval()
    model.up.to("meta")
    refused(model, r"some of the model's weights are on the meta device.*assign=True")
    refused(zoo.Mlp().eval().to("meta"), "all of the model's weights are on the meta device")


def test_no_module() -> None:
    with pytest.raises(cs.GraphError, match="not function; write a graph"):
        cs.capture(lambda x: x, DATA)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_have_their_own_tolerance(dtype: torch.dtype) -> None:
    model = zoo.Attention().eval().to(dtype)
    graph = cs.capture(model, TOKENS[:2], sites={"m{i}": "blocks.{i}.mlp"})
    assert graph(TOKENS).dtype == dtype
    torch.testing.assert_close(graph(TOKENS), model(TOKENS["tokens"]), rtol=2e-2, atol=2e-2)


def test_the_weights_are_the_models_own() -> None:
    model = zoo.Mlp().eval()
    graph = cs.capture(model, DATA[:2], sites={"hidden": "down:input", "mlp": "down"})
    with torch.no_grad():
        model.up.weight.mul_(2.0)
        model.down.weight.add_(1.0)
        assert_close(graph(DATA), model(X), "output after the weights changed")


class Pooled(nn.Module):
    """Sums an embedding over its places and adds what an image shows."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, tokens: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        read: torch.Tensor = self.out(self.embed(tokens).sum(1))
        return read + image.sum((1, 2))[:, None]


def pooled(places: int, height: int) -> cs.Dataset:
    return cs.Dataset(
        tokens=torch.arange(4 * places).reshape(4, places) % 7,
        image=torch.ones(4, height, 3),
    )


@pytest.mark.parametrize("rewritten", [False, True])
def test_rows_of_another_shape_than_the_example_are_refused(rewritten: bool) -> None:
    torch.manual_seed(0)
    model = Pooled().eval()

    def captured(**options: Any) -> cs.Graph:
        fields = ["tokens", "image"]
        graph = cs.capture(model, pooled(8, 4), fields=fields, sites=["embed"], **options)
        return graph.split("image", axis=1, into={"p{}": 2}) if rewritten else graph

    fixed = captured()
    assert fixed(pooled(8, 4)).shape == (4, 2)
    match = r"captured for rows of 'tokens' of shape \[8\].*have shape \[12\].*dynamic=True"
    with pytest.raises(cs.GraphError, match=match):
        fixed(pooled(12, 4))
    partly = captured(dynamic={"tokens": [1]})
    longer = pooled(12, 4)
    assert_close(partly(longer), model(longer["tokens"], longer["image"]), "longer rows")
    with pytest.raises(cs.GraphError, match=r"'image' of shape \[4, 3\].*shape \[6, 3\]"):
        partly(pooled(12, 6))
    h = cs.Hypothesis(fixed, cs.claim("output", cs.exact, cs.claim("embed", cs.anything)))
    with pytest.raises(cs.GraphError, match=r"'tokens' of shape \[8\]"):
        cs.scrub(h, pooled(12, 4), lambda output, rows: output[:, 0], samples=10)


def test_a_wrapper_for_many_devices_wants_the_model_inside() -> None:
    refused(
        nn.DataParallel(zoo.Mlp()).eval(),
        r"DataParallel is a wrapper.*pass the model in it, model\.module",
    )


def test_rows_as_keywords() -> None:
    class Named(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return x - y

    data = cs.Dataset(x=X, y=X.flip(0), name=["a", "b", "c", "d"])
    graph = cs.capture(Named().eval(), data, forward=lambda m, rows: m(**rows))
    assert_close(graph(data), X - X.flip(0), "output")
