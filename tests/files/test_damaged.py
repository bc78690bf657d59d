"""Whatever is done to what was saved: one error of this package that names the file, or nothing.

Bits are flipped, files cut and deleted; entries of JSON are of other types, missing, huge or deeply
nested, in pages that are sealed again, so that a hash does not give them away.
"""

from __future__ import annotations

import json
import random
import warnings
import zipfile
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import claimed
import pytest
import torch
import zoo
from damage import TEXTS, copied, spoil, variants, write_json
from refutable import hash_game
from resumable import METRIC, problem
from seals import reseal
from torch import nn

import causal_scrubbing as cs
from causal_scrubbing._files import write_archive

METRIC_Y = cs.metrics.squared_error("y")
TOKENS = torch.randint(0, 7, (8, 6), generator=torch.Generator().manual_seed(0))


class Kind:
    """One kind of saved thing.

    Args:
        saved: a file or folder.
        use: opens it.
        page: the page in the folder, whose entries are changed.
        seal: writes a page so that no hash gives it away.
        body: reads a page.
        text: the page whose whole text is changed, if another.
        begins: whether what is empty or missing is begun again.
    """

    def __init__(
        self,
        saved: Path,
        use: Callable[[Path], object],
        page: str = "",
        seal: Callable[[Path, Any], object] = write_json,
        body: Callable[[Path], Any] = lambda file: json.loads(file.read_text()),
        text: str = "",
        *,
        begins: bool = False,
    ) -> None:
        self.saved, self.use, self.page, self.seal = saved, use, page, seal
        self.text = text or page
        self.begins = begins
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
    return Kind(Path(result.save(folder / "run")), use_run, "run.json", seal_run)


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


def hypothesis(folder: Path) -> Kind:
    h, data = problem()
    more = cs.claim("a", (cs.bins("own", width=0.5), "sign"), tie="t", others="sign", name="q")
    root = cs.claim("out", cs.exact, cs.claim("b", "sign", more), cs.claim("a", "sign", tie="t"))
    made = cs.Hypothesis(h.graph, root, within="sign", unimportant="separate", name="N")
    made.save(folder / "h.json")

    def use(path: Path) -> None:
        found = cs.Hypothesis.load(h.graph, path)
        assert str(found)
        assert found.to_dot()
        try:
            found.agreement(data)
        except cs.HypothesisError as error:  # a feature of other data
            raise cs.HypothesisError([f"{path}: {error}"]) from error

    return Kind(folder / "h.json", use)


def lines_of(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def seal_lines(file: Path, body: Any) -> None:
    """Write a journal with a digest on every line that has one."""
    lines = []
    for one in body:
        if isinstance(one, dict) and "digest" in one:
            one.pop("digest")
            text = json.dumps(one)
            one["digest"] = blake2b(text.encode(), digest_size=16).hexdigest()
        lines.append(json.dumps(one) + "\n")
    file.write_text("".join(lines))


def journal(folder: Path) -> Kind:
    h, data, reward = hash_game()
    file = folder / "search.jsonl"
    options: dict[str, Any] = {
        "features": ["mode", "last"],
        "fields": False,
        "activations": (),
        "samples": 12,
    }

    def use(path: Path) -> None:
        assert str(cs.refute(h, data, reward, out=path, **options))

    use(file)
    return Kind(file, use, seal=seal_lines, body=lines_of, begins=True)


def blocks(folder: Path) -> Kind:
    """A run that was cut short: its finished blocks, and what is noted beside them."""
    h, data = problem()

    def use(path: Path) -> None:
        assert str(cs.scrub(h, data, METRIC, samples=40, keep_outputs=True, out=path, check=False))

    use(folder / "run")
    for file in (folder / "run").iterdir():
        if file.is_file():
            file.unlink()

    def notes(file: Path) -> Any:
        names = ("run", "layout", "model", "outputs")
        return {name: json.loads((file / f"{name}.json").read_text()) for name in names}

    def seal(file: Path, body: Any) -> None:
        for name in ("run", "layout", "model", "outputs"):
            write_json(file / f"{name}.json", body[name]) if name in body else None

    return Kind(folder / "run", use, "blocks", seal, notes, "blocks/layout.json", begins=True)


def bundle(folder: Path) -> Kind:
    made = cs.scrub(claimed.hypotheses()[0], claimed.data(), METRIC_Y, samples=20)
    file = made.bundle(folder / "claim.zip")

    def page(file: Path) -> Any:
        with zipfile.ZipFile(file) as archive:
            return json.loads(archive.read("bundle.json"))

    def seal(path: Path, body: Any) -> None:
        with zipfile.ZipFile(file) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
        write_archive(path, {**contents, "bundle.json": json.dumps(body).encode()})

    def use(path: Path) -> None:
        found = cs.verify(path)
        if not found:
            raise cs.ScrubError(str(found))

    return Kind(file, use, seal=seal, body=page)


def run_file(folder: Path) -> Kind:
    claimed.write(folder, claimed.body())
    claimed.data().to_pandas().to_csv(folder / "data.csv", index=False)

    def use(path: Path) -> None:
        assert cs.RunFile.read(path / "claim.json", allow_code=True).hypotheses

    return Kind(folder, use, "claim.json")


KINDS: dict[str, tuple[Callable[[Path], Kind], int]] = {
    "run": (run, 60),
    "exported graph": (lambda folder: graph(folder, "export"), 120),
    "graph by hooks": (lambda folder: graph(folder, "hooks"), 120),
    "hypothesis": (hypothesis, 200),
    "journal": (journal, 30),
    "blocks": (blocks, 30),
    "bundle": (bundle, 40),
    "run file": (run_file, 60),
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
    page = path / it.text if it.text else path
    text: Any = TEXTS[name]
    page.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert attempt(it.use, path, name) or (it.begins and name == "empty")


def test_no_damaged_file_gets_through(kind: tuple[Kind, int], tmp_path: Path) -> None:
    it, _ = kind
    rng = random.Random(0)
    files = sorted(one for one in it.saved.rglob("*") if one.is_file()) or [it.saved]
    refused = 0
    for number in range(24):
        path = copied(it.saved, tmp_path / it.saved.name)
        file = path / files[number % len(files)].relative_to(it.saved)
        spoil(file, rng)
        refused += attempt(it.use, path, (file.name, number))
    assert refused > (4 if it.begins else 12)
