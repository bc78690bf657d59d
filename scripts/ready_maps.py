"""Try the ready site maps on every decoder and vision transformer of transformers.

Each family is made from its configuration, cut down to two small layers with random weights,
captured with `cs.sites.patterns` (or `heads_and_mlps`), and compared with the model. Prints a table
in Markdown for docs/ready-maps.md:

    python scripts/ready_maps.py > docs/ready-maps.md
    python scripts/ready_maps.py --only llama,gpt2
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from transformers.models.auto import modeling_auto

import causal_scrubbing as cs

SMALL = {
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "dim", "word_embed_proj_dim"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), 2),
    **dict.fromkeys(("decoder_layers", "encoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("decoder_attention_heads", "encoder_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "multi_query_group_num"), 2),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "decoder_ffn_dim", "encoder_ffn_dim"), 48),
    **dict.fromkeys(("ffn_hidden_size", "moe_intermediate_size", "n_inner", "hidden_dim"), 48),
    **dict.fromkeys(("shared_expert_intermediate_size", "mlp_hidden_size"), 48),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_k", "top_k_experts", "experts_per_token"), 2),
    **dict.fromkeys(("vocab_size", "vocab_size_per_layer_input"), 64),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len"), 64),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "hidden_size_per_layer_input"), 16),
    **dict.fromkeys(("qk_rope_head_dim", "v_head_dim", "qk_nope_head_dim", "rotary_dim"), 8),
    **dict.fromkeys(("head_dim", "kv_channels", "attention_head_dim"), 8),
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "num_nextn_predict_layers": 0,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "image_size": 16,
    "patch_size": 8,
    "num_channels": 3,
    "use_cache": False,
    "use_mamba_kernels": False,
}
"""What configurations call their sizes -> a small one; a family takes those that it has."""

METHOD = ["hooks"]
BYTES = 2**28
SECONDS = 120


@dataclass
class Row:
    """What was found of one family."""

    family: str
    heads: str = ""
    inside: str = ""
    mlps: str = ""
    way: str = ""
    note: str = ""

    def __str__(self) -> str:
        cells = (f"`{self.family}`", self.heads, self.inside, self.mlps, self.way, self.note)
        return f"| {' | '.join(cells)} |"


def small(config: Any) -> Any:
    """A family's configuration with small sizes, those of its parts too."""
    own = {**config.to_dict(), **dict.fromkeys(config.attribute_map, 0)}
    given = {
        name: size
        for name, size in SMALL.items()
        if name in own and getattr(config, name, None) is not None
    }
    if "kv_lora_rank" in own and "num_key_value_heads" in given:
        # Latent attention has no groups.
        given["num_key_value_heads"] = SMALL["num_attention_heads"]
    for name in ("layer_types", "mlp_layer_types", "layers_block_type"):
        kinds = own.get(name)
        if isinstance(kinds, list) and kinds:
            # One layer of each kind, as far as two go.
            given[name] = (list(dict.fromkeys(kinds)) * 2)[:2]
    for name, part in getattr(config, "sub_configs", {}).items():
        if getattr(config, name, None) is not None:
            given[name] = small(part()).to_dict()
    made = type(config)(**given)
    if getattr(made, "rope_parameters", None) is not None:
        made.standardize_rope_params() if hasattr(made, "standardize_rope_params") else None
    return made


def try_family(family: str, model_class: str, image: bool) -> Row:
    """Capture one family with its map."""
    row = Row(family)
    config = small(transformers.CONFIG_MAPPING[family]())
    with torch.device("meta"):
        shape = getattr(transformers, model_class)(config)
    size = sum(one.numel() * one.element_size() for one in shape.parameters())
    if size > BYTES:
        row.note = f"not tried: {size / 2**20:.0f} MiB even when its sizes are cut"
        return row
    torch.manual_seed(0)
    model = getattr(transformers, model_class)(config).eval()
    generator = torch.Generator().manual_seed(0)
    if image:
        pictures = torch.randn(3, 3, 16, 16, generator=generator)
        data = cs.Dataset(x=pictures)

        def run(model: Any, rows: Any) -> Any:
            return model(pixel_values=rows["x"]).logits
    else:
        data = cs.Dataset(x=torch.randint(3, 60, (3, 6), generator=generator))

        def run(model: Any, rows: Any) -> Any:
            return model(input_ids=rows["x"], use_cache=False).logits

    try:
        sites = cs.sites.patterns(model)
        capture(model, data, sites, run, row)
    except cs.GraphError as error:
        sites = cs.sites.heads_and_mlps(model)
        capture(model, data, sites, run, row)
        row.note = row.note or f"patterns: {brief(error)}"
    return row


def capture(model: Any, data: cs.Dataset, sites: cs.SiteMap, run: Any, row: Row) -> None:
    """Capture with a map, split it, and note what there is."""
    # A decoder alone, as these are, never calls its attention over an encoder.
    for name in [name for name in sites if name.split(".")[-2:][0].startswith("x")]:
        del sites[name]
        sites.splits.pop(name, None)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        graph = cs.capture(model, data, sites=sites, forward=run, output="logits", method=METHOD[0])
    said = [str(one.message) for one in seen if issubclass(one.category, cs.Notice)]
    exported = METHOD[0] != "hooks" and not any("cannot be exported" in one for one in said)
    row.way = "yes" if exported else "no" if METHOD[0] != "hooks" else ""
    for nodes, (axis, into) in sites.splits.items():
        graph = graph.split(nodes, axis=axis, into=into)
    with torch.no_grad():
        torch.testing.assert_close(graph(data), run(model, data), rtol=1e-3, atol=1e-4)
    names = list(sites)
    row.heads = "yes" if any(".z" in name for name in names) else "no attention"
    parts = ("pattern", "q", "k", "v", "qkv")
    row.inside = ", ".join(p for p in parts if any(name.endswith(f".{p}") for name in names))
    row.mlps = "yes" if any(name.rpartition(".")[2].startswith("m") for name in names) else ""


def brief(error: BaseException) -> str:
    """The first sentence of an error, for a cell."""
    return " ".join(str(error).split()).split(". ")[0][:110].replace("|", "/")


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Stop after so many seconds."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"took more than {seconds} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


HEAD = """# Which models have a ready map

`cs.sites` was tried on these families of transformers {version}: each was made from its
configuration with two small layers, captured by hooks with its map, split into heads, and compared
with the model. *Inside* are the parts of an attention that `cs.sites.patterns` names. Where a note
stands instead, no map fits, or the script could not make a small model; write a map by hand there
([how](capture.md)). Made by `scripts/ready_maps.py`; with `--export` it tries to export each.
"""


def main() -> None:
    """Try all families, or those asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="families, with commas")
    parser.add_argument("--export", action="store_true", help="export instead of hooks")
    options = parser.parse_args()
    chosen = options.only
    METHOD[0] = "auto" if options.export else "hooks"
    transformers.logging.set_verbosity_error()
    print(HEAD.format(version=transformers.__version__))
    kinds = (
        ("Text", modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, False),
        ("Vision", modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES, True),
    )
    for title, mapping, image in kinds:
        rows = []
        for family, model_class in mapping.items():
            if chosen and family not in chosen.split(","):
                continue
            name = model_class if isinstance(model_class, str) else model_class[0]
            try:
                with limited(SECONDS), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    row = try_family(family, name, image)
            except Exception as error:
                row = Row(family, note=f"{type(error).__name__}: {brief(error)}")
            print(row, file=sys.stderr, flush=True)
            rows.append(row)
        if not rows:
            continue
        print(f"\n## {title}\n")
        print("| family | heads | inside | MLPs | exports | |")
        print("| --- | --- | --- | --- | --- | --- |")
        print("\n".join(map(str, rows)))


if __name__ == "__main__":
    main()
