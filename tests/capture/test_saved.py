"""Graphs saved and opened again: the same numbers, another model refused, damage told."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import odd
import pytest
import torch
import zoo
from capturing import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from zoo_cases import CASES

import causal_scrubbing as cs

TOKENS = torch.randint(0, 7, (8, 6), generator=torch.Generator().manual_seed(0))
DATA = cs.Dataset(tokens=TOKENS, word=[str(n) for n in range(8)])
SITES = {"embed": "embed", "a{i}.z": "blocks.{i}.out:input", "m{i}": "blocks.{i}.mlp"}


def made(method: str, **options: Any) -> tuple[nn.Module, cs.Graph]:
    torch.manual_seed(0)
    model = zoo.Attention().eval()
    if not options:
        options["fields"] = ["tokens"]
    graph = cs.capture(model, DATA[:3], sites=SITES, method=method, **options)
    graph = graph.split("a*.z", axis=-1, into={"h{}": 2}).split_sum(
        "m0", {"s": torch.ones(8)}, rest="r"
    )
    graph = graph.split("a0.z.h1", axis=1, into={"first": 0, "some": [2, 4]}, rest="others")
    return model, graph.rename({"m1": "last"})


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    model, graph = made("export")
    folder = tmp_path_factory.mktemp("saved")
    graph.save(folder)
    return folder, model


def check_same(one: cs.Graph, two: cs.Graph, data: cs.Dataset) -> None:
    assert one.names == two.names
    assert [one.parents(name) for name in one.names] == [two.parents(name) for name in two.names]
    with torch.no_grad():
        first, second = one.values(data, one.names), two.values(data, two.names)
        for name in one.names:
            assert torch.equal(first[name], second[name]), name


@pytest.mark.parametrize("method", ["export", "hooks"])
def test_a_graph_opens_as_it_was(tmp_path: Path, method: str) -> None:
    model, graph = made(method)
    graph.save(tmp_path / "graph")
    again = cs.load_graph(tmp_path / "graph", model)
    check_same(graph, again, DATA)
    assert again.history[:-1] == graph.history
    again.check_fresh()
    more = [g.split("embed", axis=-1, into={"n{}": 2}) for g in (graph, again)]
    check_same(more[0], more[1], DATA)
    h = [cs.Hypothesis(g, cs.claim("output", cs.exact, cs.claim("last", cs.exact))) for g in more]
    one, two = (cs.scrub(x, DATA, lambda o, rows: o.flatten(1).sum(1), samples=16) for x in h)
    assert one.scrubbed.mean == two.scrubbed.mean
    with torch.no_grad():
        model.unembed.weight.mul_(2)  # type: ignore[operator]
    with pytest.raises(cs.GraphError, match="weights have changed since"):
        again.check_fresh()
    assert sum(file.stat().st_size for file in (tmp_path / "graph").iterdir()) < 200_000


def test_free_lengths_and_a_forward_of_ones_own(tmp_path: Path) -> None:
    def run(model: Any, rows: Any) -> Any:
        return model(rows["tokens"])[:, -1]

    longer = cs.Dataset(tokens=torch.cat([TOKENS, TOKENS[:, :3]], 1))
    for method in ("export", "hooks"):
        model, graph = made(method, forward=run, dynamic=True)
        graph.save(tmp_path / method)
        if method == "hooks":
            with pytest.raises(cs.GraphError, match=r"forward=, which is code: give the same"):
                cs.load_graph(tmp_path / method, model)
            with pytest.raises(cs.GraphError, match="gives another output on the example"):
                cs.load_graph(tmp_path / method, model, forward=lambda m, r: run(m, r) * 2)
            again = cs.load_graph(tmp_path / method, model, forward=run)
        else:
            again = cs.load_graph(tmp_path / method, model)
            with pytest.raises(cs.GraphError, match="forward= is for graphs made by hooks"):
                cs.load_graph(tmp_path / method, model, forward=run)
        with torch.no_grad():
            assert_close(again(longer), run(model, longer), "output")


def other_values(model: Any) -> nn.Module:
    with torch.no_grad():
        model.blocks[1].out.weight.add_(1)
    return model


OTHERS: dict[str, tuple[Callable[[nn.Module], nn.Module], str]] = {
    "other values": (other_values, r"weights 'blocks\.1\.out\.weight' have other values"),
    "another width": (
        lambda _: zoo.Attention(width=4).eval(),
        r"'\w.*' was \[.*\] torch.float32 and",
    ),
    "fewer layers": (lambda _: zoo.Attention(layers=1).eval(), r"has no weight 'blocks\.1\."),
    "another kind": (lambda _: zoo.Mlp().eval(), r"\(a Attention\): this one has no weight"),
    "another type": (lambda model: model.double(), r"float32 and is .*float64"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_model_is_refused(name: str, saved: tuple[Path, nn.Module]) -> None:
    folder, model = saved
    change, match = OTHERS[name]
    with pytest.raises(cs.GraphError, match=rf"(?s)holds a graph of another model.*{match}"):
        cs.load_graph(folder, change(copy.deepcopy(model)))


class Masked(nn.Module):
    """Masks joined by operators, as attention in transformers does with causal and padding ones."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        mask = ((tokens > 1) & (tokens < 6)) | (tokens == 0) ^ (tokens == 1)
        return self.embed(tokens) * mask[..., None]


def test_masks_joined_by_operators_open_as_they_were(tmp_path: Path) -> None:
    model = Masked().eval()
    graph = cs.capture(model, DATA[:3], sites={"embed": "embed"}, fields=["tokens"])
    graph.save(tmp_path)
    check_same(graph, cs.load_graph(tmp_path, model), DATA)


def test_boxes_over_several_axes_open_as_they_were(tmp_path: Path) -> None:
    case = CASES["convolutions"]
    model = case.make().eval()
    graph = cs.capture(model, case.data[:2], sites=case.sites, fields=case.fields)
    middle = {"mid": (slice(2, 4), slice(1, 5)), "corner": (0, 0)}
    graph = graph.split("one", axes=(2, 3), into=middle, rest="rest")
    graph.save(tmp_path)
    check_same(graph, cs.load_graph(tmp_path, model), case.data)


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    model, graph = made("export")
    code = graph.split_sum("last", {"half": lambda x: x / 2}, rest="rest")
    with pytest.raises(cs.GraphError, match=r"half' cannot be saved, .*<lambda> is code"):
        code.save(tmp_path)
    by_hand = cs.Graph.build(inputs=["x"], nodes={"y": (torch.relu, ["x"])}, output="y")
    with pytest.raises(cs.GraphError, match="a graph built by hand is code"):
        by_hand.save(tmp_path)
    with pytest.raises(cs.GraphError, match=r"holds no saved graph: there is no graph\.json"):
        cs.load_graph(tmp_path, model)
    (tmp_path / "file").write_text("x")
    with pytest.raises(cs.ScrubError, match="is a file"):
        graph.save(tmp_path / "file")
    whole = odd.Around(odd.Loop()).eval()
    opaque = cs.capture(
        whole, cs.Dataset(x=torch.randn(3, 4)), sites=["a"], output="o", opaque=["inner"]
    )
    with pytest.raises(cs.GraphError, match=r"'o' cannot be saved.*Called is code"):
        opaque.save(tmp_path)
    with torch.no_grad():
        model.unembed.weight.mul_(2)  # type: ignore[operator]
    with pytest.raises(cs.GraphError, match="weights have changed since"):
        graph.save(tmp_path)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["graph.json", "tensors.safetensors"]), st.floats(0, 1), st.integers(0, 7))
def test_a_flipped_bit_is_told(
    saved: tuple[Path, nn.Module], name: str, where: float, bit: int
) -> None:
    folder, model = saved
    file = folder / name
    content = file.read_bytes()
    at = int(where * (len(content) - 1))
    changed = bytearray(content)
    changed[at] ^= 1 << bit
    file.write_bytes(changed)
    try:
        with pytest.raises(cs.GraphError, match=f"{folder}.* is damaged or was not written"):
            cs.load_graph(folder, model)
    finally:
        file.write_bytes(content)


def sealed(folder: Path, change: Callable[[Any], None]) -> None:
    """Change a saved graph, and seal it again, as one would who means harm."""
    from hashlib import blake2b

    body = json.loads((folder / "graph.json").read_text())["graph"]
    change(body)
    text = json.dumps(body, separators=(",", ":"))
    packed = (folder / "tensors.safetensors").read_bytes()
    digest = blake2b(text.encode() + packed, digest_size=16).hexdigest()
    (folder / "graph.json").write_text(f'{{"digest":"{digest}","graph":{text}}}\n')


def step_of(body: Any) -> Any:
    return next(n["fn"]["piece"] for n in body["nodes"] if n["fn"] and "piece" in n["fn"])["steps"][
        0
    ]


def replace_operator(name: str) -> Callable[[Any], None]:
    return lambda body: step_of(body).__setitem__(0, {"aten": name})


HOSTILE: dict[str, Callable[[Any], None]] = {
    "a file is read": replace_operator("from_file.default"),
    "a weight is written": replace_operator("add_.Tensor"),
    "an attribute of Python": replace_operator("__class__.__init__"),
    "no operator": replace_operator("nothing.default"),
    "other code": lambda body: step_of(body).__setitem__(0, {"own": "eval"}),
    "a name that is code": lambda body: step_of(body).__setitem__(2, {"a=exit()": 1}),
    "a step before it is made": lambda body: step_of(body)[1].__setitem__(0, {"made": 99}),
    "no argument": lambda body: step_of(body)[1].__setitem__(0, {"given": 99}),
    "no weight": lambda body: step_of(body)[1].__setitem__(0, {"weight": "nothing"}),
    "no nodes": lambda body: body.pop("nodes"),
    "nodes of another kind": lambda body: body.__setitem__("nodes", 5),
    "a parent that is not there": lambda body: body["nodes"][-1].__setitem__("parents", [9999]),
    "deep": lambda body: body["nodes"][-1].__setitem__("fn", json.loads("[" * 900 + "]" * 900)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_runs_no_code(name: str, saved: tuple[Path, nn.Module], tmp_path: Path) -> None:
    model = saved[1]
    shutil.copytree(saved[0], tmp_path, dirs_exist_ok=True)
    sealed(tmp_path, lambda body: None)
    cs.load_graph(tmp_path, model)
    sealed(tmp_path, HOSTILE[name])
    with pytest.raises(cs.GraphError, match=r"graph\.json is damaged or was not written by Graph"):
        cs.load_graph(tmp_path, model)
