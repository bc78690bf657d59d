"""Whatever is done to what was saved: one error of this package that names the file, or nothing.

Bits are flipped, files cut and deleted; entries of JSON are of other types, missing, huge or deeply
nested, in pages that are sealed again, so that a hash does not give them away.
"""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
import torch
import zoo
from damage import TEXTS, copied, spoil, variants, write_json
from resumable import METRIC, problem
from seals import reseal
from torch import nn

import causal_scrubbing as cs

TOKENS = torch.randint(0, 7, (8, 6), generator=torch.Generator().manual_seed(0))


class Kind:
    """One kind of saved thing: how it is opened and used, and how its page is sealed."""

    def __init__(
        self,
        saved: Path,
        use: Callable[[Path], object],
        page: str = "",
        seal: Callable[[Path, Any], object] = write_json,
        body: Callable[[Path], Any] = lambda file: json.loads(file.read_text()),
    ) -> None:
        self.saved, self.use, self.page, self.seal = saved, use, page, seal
        self.body = body(saved / page if page else saved)


def seal_run(file: Path, body: Any) -> None:
    def change(found: dict[str, Any]) -> None:
        found.clear()
        found.update(body)

    reseal(file.parent, change)


def use_run(path: Path) -> None:
    found = cs.load(path)
    str(found), repr(found), found._repr_html_()
    json.dumps(found.to_dict(), allow_nan=False)
    assert len(found.samples) == len(found.draws)
    for look in (found.explain, found.compare_functions, found.worst_cases, found.by_row):
        str(look())
    found.report()


def run(folder: Path) -> Kind:
    h, data = problem()
    result = cs.scrub(h, data, METRIC, samples=60, keep_outputs=True)
    return Kind(result.save(folder / "run"), use_run, "run.json", seal_run)


def seal_graph(file: Path, body: Any) -> None:
    text = json.dumps(body, separators=(",", ":"))
    tensors = file.with_name("tensors.safetensors")
    found = blake2b(text.encode(), digest_size=16)
    found.update(tensors.read_bytes() if tensors.exists() else b"")
    file.write_text(f'{{"digest":"{found.hexdigest()}","graph":{text}}}\n')


def graph(folder: Path, method: str) -> Kind:
    torch.manual_seed(0)
    model: nn.Module = zoo.Attention().eval()
    data = cs.Dataset(tokens=TOKENS, word=list("abcdefgh"))
    sites = {"embed": "embed", "a{i}.z": "blocks.{i}.out:input", "m{i}": "blocks.{i}.mlp"}
    made = cs.capture(model, data[:3], sites=sites, method=method, fields=["tokens"])
    made = made.split("a*.z", axis=-1, into={"h{}": 2})
    made = made.split_sum("m0", {"s": torch.ones(8)}, rest="r")
    made.save(folder / "graph")

    def use(path: Path) -> None:
        found = cs.load_graph(path, model)
        assert repr(found)
        try:
            with torch.no_grad():
                found(data)
        except cs.CausalScrubbingError as error:
            # A function that is another one is an error of its node.
            raise cs.GraphError(f"{path}: {error}") from error

    return Kind(
        folder / "graph",
        use,
        "graph.json",
        seal_graph,
        lambda file: json.loads(file.read_text())["graph"],
    )


KINDS: dict[str, tuple[Callable[[Path], Kind], int]] = {
    "run": (run, 70),
    "exported graph": (lambda folder: graph(folder, "export"), 150),
    "graph by hooks": (lambda folder: graph(folder, "hooks"), 150),
}
"""How each is made, and how many changes of its page are tried."""


@pytest.fixture(scope="module", params=KINDS)
def kind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Kind, int]:
    make, count = KINDS[request.param]
    return make(tmp_path_factory.mktemp("kind")), count


def attempt(use: Callable[[Path], object], path: Path, what: object) -> bool:
    """Whether it was refused; anything but an error of ours that names the path fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            use(path)
        except cs.CausalScrubbingError as error:
            said = str(error)
        else:
            return False
    assert str(path) in said, what
    return True


def test_no_entry_of_another_kind_gets_through(kind: tuple[Kind, int], tmp_path: Path) -> None:
    it, count = kind
    path = copied(it.saved, tmp_path / it.saved.name)
    page = path / it.page if it.page else path
    refused = 0
    for place, other, body in variants(it.body, count):
        it.seal(page, body)
        refused += attempt(it.use, path, (place, other))
    assert refused > count // 3
    it.seal(page, it.body)
    assert not attempt(it.use, path, "as it was")


@pytest.mark.parametrize("name", TEXTS)
def test_no_other_text_gets_through(name: str, kind: tuple[Kind, int], tmp_path: Path) -> None:
    it, _ = kind
    path = copied(it.saved, tmp_path / it.saved.name)
    page = path / it.page if it.page else path
    text = TEXTS[name]
    page.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert attempt(it.use, path, name)


def test_no_damaged_file_gets_through(kind: tuple[Kind, int], tmp_path: Path) -> None:
    it, _ = kind
    rng = random.Random(0)
    names = sorted(one.name for one in it.saved.iterdir()) if it.page else [""]
    refused = 0
    for number in range(40):
        path = copied(it.saved, tmp_path / it.saved.name)
        file = path / names[number % len(names)]
        spoil(file, rng)
        refused += attempt(it.use, path, (file.name, number))
    assert refused > 20
