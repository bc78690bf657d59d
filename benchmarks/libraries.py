"""One forward pass with components read and replaced, in the way of each library.

Each class here makes a forward pass of the signature (tokens, swaps, wanted) -> wanted values: on
`tokens`, with the named components replaced by the tensors of `swaps`, those of `wanted` kept and
nothing else. `logits` is the output. A pass stops after the last wanted component where the
library can stop.
"""

from __future__ import annotations

import abc
import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import checker
import torch
from torch import Tensor, nn

from causal_scrubbing._gallery.parens import _model as parens
from causal_scrubbing._gallery.parens._strings import PAD, POSITIONS


class Site(NamedTuple):
    """Where a component is: its module, the module that runs next, its hook and its layer."""

    module: str
    after: str
    hook: str
    layer: int


Sites = Mapping[str, Site]
Swaps = Mapping[str, Tensor]


class Wrapped(abc.ABC):
    """A module with sites, as a library has it.

    Args:
        module: the model.
        sites: its components in the order a forward pass comes to them.
        output: the logits of what the model returns.
        options: keyword arguments of every forward pass.
    """

    def __init__(
        self, module: nn.Module, sites: Sites, output: Callable[[Any], Tensor], **options: Any
    ) -> None:
        self.module, self.sites, self.output, self.options = module, sites, output, options

    @abc.abstractmethod
    def __call__(self, tokens: Tensor, swaps: Swaps, wanted: Sequence[str]) -> dict[str, Tensor]:
        """The wanted components of a pass on these tokens."""

    def read_out(self, x: Tensor) -> Tensor:
        """The paren checker's logits of the residual stream at the first position."""
        return self.module.read_out(x)


class Nnsight(Wrapped):
    """A trace; `.output` read and assigned; `tracer.stop()`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        from nnsight import NNsight

        super().__init__(*args, **options)
        self.model = NNsight(self.module)
        self.envoys = {name: self.model.get(site.module) for name, site in self.sites.items()}

    def __call__(self, tokens: Tensor, swaps: Swaps, wanted: Sequence[str]) -> dict[str, Tensor]:
        import nnsight

        visits = [name for name in self.sites if name in swaps or name in wanted]
        whole = "logits" in wanted
        with self.model.trace(tokens, **self.options) as tracer:
            kept = nnsight.save({})
            for name in visits:
                if name in swaps:
                    self.envoys[name].output = swaps[name]
                if name in wanted:
                    kept[name] = self.envoys[name].output
            if whole:
                kept["logits"] = self.output(self.model.output)
            else:
                tracer.stop()
        return kept


class Pyvene(Wrapped):
    """An `IntervenableModel` that swaps and collects, made once for each set of components."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.made: dict[tuple[tuple[str, ...], tuple[str, ...]], Any] = {}

    def __call__(self, tokens: Tensor, swaps: Swaps, wanted: Sequence[str]) -> dict[str, Tensor]:
        import pyvene

        swapped = tuple(name for name in self.sites if name in swaps)
        read = tuple(name for name in self.sites if name in wanted)
        base = {"input_ids": tokens, **self.options}
        if not swapped and not read:
            return {"logits": self.output(self.module(**base))}
        if (swapped, read) not in self.made:
            kinds = [(name, pyvene.VanillaIntervention()) for name in swapped]
            kinds += [(name, pyvene.CollectIntervention(keep_last_dim=True)) for name in read]
            self.made[swapped, read] = pyvene.IntervenableModel(
                [
                    {"component": f"{bracketed(self.sites[name].module)}.output", "intervention": x}
                    for name, x in kinds
                ],
                model=self.module,
            )
        model = self.made[swapped, read]
        sources = {key: swaps[name] for key, name in zip(model.sorted_keys, swapped, strict=False)}
        before, output = model(base, source_representations=sources or None)
        kept = dict(zip(read, before[1], strict=True)) if read else {}
        return kept | ({"logits": self.output(output)} if "logits" in wanted else {})


class TorchLens(Wrapped):
    """`record`, lighter than `trace`, with selectors; `swap_with` and `halt`."""

    def __call__(self, tokens: Tensor, swaps: Swaps, wanted: Sequence[str]) -> dict[str, Tensor]:
        import torchlens as tl

        read = [name for name in self.sites if name in wanted]
        modules = {name: tl.module(site.module) for name, site in self.sites.items()}
        if not read and not swaps:
            return {"logits": self.output(self.module(tokens, **self.options))}
        kept_modules = [modules[name] for name in read] or [modules[next(reversed(swaps))]]
        options: dict[str, Any] = {"save": functools.reduce(operator.or_, kept_modules)}
        if "logits" not in wanted:
            options["halt"] = tl.in_module(self.sites[read[-1]].after)
        rules = [  # several rules that name a `module` match nothing, those `in_module` do
            tl.when(tl.in_module(self.sites[name].module), tl.swap_with(value))
            for name, value in swaps.items()
        ]
        if rules:
            options["intervene"] = rules[0].merge(*rules[1:])
        output, recording = tl.record(
            self.module, tokens, self.options, return_output=True, **options
        )
        kept = {name: x.ram_payload for name, x in zip(read, recording.records, strict=False)}
        if len(kept) != len(read):
            raise RuntimeError(f"{len(recording.records)} of {len(read)} components were recorded")
        return kept | ({"logits": self.output(output)} if "logits" in wanted else {})


class TransformerLens(Wrapped):
    """`run_with_cache` with `names_filter` and `stop_at_layer`, inside `hooks` that replace."""

    def __call__(self, tokens: Tensor, swaps: Swaps, wanted: Sequence[str]) -> dict[str, Tensor]:
        read = [name for name in self.sites if name in wanted]
        whole = "logits" in wanted
        stop = None if whole else 1 + max(self.sites[name].layer for name in read)
        with self.module.hooks(fwd_hooks=self.replacing(tokens, swaps)):
            output, cache = self.module.run_with_cache(
                tokens,
                names_filter=[self.sites[name].hook for name in read],
                stop_at_layer=stop,
                **self.passed(tokens),
            )
        kept = {name: cache[self.sites[name].hook] for name in read}
        return kept | ({"logits": self.output(output)} if whole else {})

    def replacing(self, tokens: Tensor, swaps: Swaps) -> list[tuple[str, Callable[..., Tensor]]]:
        """The hooks of a pass."""
        return [
            (self.sites[name].hook, lambda _value, hook, new=value: new)
            for name, value in swaps.items()
        ]

    def passed(self, tokens: Tensor) -> dict[str, Any]:
        """Further keyword arguments of the pass."""
        return self.options

    def read_out(self, x: Tensor) -> Tensor:
        return self.module.unembed(self.module.ln_final(x[:, None]))[:, 0]


class Bridge(TransformerLens):
    """The paren checker in TransformerLens 4: a native model with an attention mask."""

    def passed(self, tokens: Tensor) -> dict[str, Any]:
        return {"attention_mask": tokens != PAD}


class Hooked(TransformerLens):
    """The paren checker in TransformerLens before 4, pads masked by a hook on the scores."""

    def replacing(self, tokens: Tensor, swaps: Swaps) -> list[tuple[str, Callable[..., Tensor]]]:
        pads = (tokens == PAD)[:, None, None]
        masking = [
            (f"blocks.{i}.attn.hook_attn_scores", lambda x, hook: x.masked_fill(pads, -torch.inf))
            for i in range(parens.LAYERS)
        ]
        return masking + super().replacing(tokens, swaps)


def bracketed(path: str) -> str:
    """Module path `a.1.b` as `a[1].b`."""
    return "".join(f"[{x}]" if x.isdigit() else f".{x}" for x in path.split(".")).lstrip(".")


# --- the two models, wrapped by each library ---------------------------------------------------

PARENS = {
    "z1": Site("blocks.1.attn.z", "blocks.1.attn.o", "blocks.1.attn.hook_z", 1),
    "z2": Site("blocks.2.attn.z", "blocks.2.attn.o", "blocks.2.attn.hook_z", 2),
    "final": Site("blocks.2", "ln_final", "blocks.2.hook_resid_post", 2),
}
"""What the heads of layers 1 and 2 mix, before their output matrices, and the last residual."""

SMOLLM2 = "HuggingFaceTB/SmolLM2-135M"
PLAIN = {"nnsight": Nnsight, "pyvene": Pyvene, "TorchLens": TorchLens}


def wrap_parens(library: str, weights: Mapping[str, Tensor]) -> Wrapped:
    """The paren checker as a user of the library has it."""
    if library in PLAIN:
        return PLAIN[library](checker.Checker(weights), PARENS, lambda x: x)
    make = bridge_parens if library == "TransformerBridge" else hooked_parens
    return make(weights)


def shape(**more: Any) -> dict[str, Any]:
    """The paren checker's configuration in TransformerLens."""
    return {
        "d_model": parens.WIDTH,
        "d_head": parens.HEAD_WIDTH,
        "n_layers": parens.LAYERS,
        "n_ctx": POSITIONS,
        "n_heads": parens.HEADS,
        "d_mlp": parens.MLP_WIDTH,
        "d_vocab": 5,
        "d_vocab_out": 2,
        "act_fn": "relu",
        "normalization_type": "LN",
        "attention_dir": "bidirectional",
        "eps": parens.EPSILON,
        "init_weights": False,
        **more,
    }


def bridge_parens(weights: Mapping[str, Tensor]) -> Wrapped:
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_from_module
    from transformer_lens.model_bridge.sources.native import NativeModel

    config = TransformerBridgeConfig(**shape(architecture="TransformerLensNative"))
    native = NativeModel(config)
    native.head.bias = nn.Parameter(torch.zeros(2))  # its unembedding has none
    names = {"embed": "tok_embed", "pos_embed": "pos", "blocks": "layers"}
    names |= {"ln_final": "ln_out", "unembed": "head"}
    state = checker.modules_state(weights, {"in": "mlp.fc_in", "out": "mlp.fc_out"})
    native.load_state_dict(
        {".".join([names[k.split(".")[0]], *k.split(".")[1:]]): v for k, v in state.items()}
    )
    native.eval().requires_grad_(False)
    bridge = build_bridge_from_module(native, config.architecture, tl_config=config)
    return Bridge(bridge, PARENS, lambda x: x[:, 0])


def hooked_parens(weights: Mapping[str, Tensor]) -> Wrapped:
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    model = HookedTransformer(HookedTransformerConfig(**shape()))
    model.load_state_dict(dict(weights), strict=False)
    model.eval().requires_grad_(False)
    return Hooked(model, PARENS, lambda x: x[:, 0])


def wrap_smollm2(library: str, model: nn.Module, tokenizer: Any) -> Wrapped:
    """SmolLM2 as a user of the library has it, with the components of its residual stream."""
    layers = model.config.num_hidden_layers
    sites = {"embed": Site("model.embed_tokens", "model.layers.0", "hook_embed", 0)}
    for i in range(layers):
        block, after = f"model.layers.{i}", f"model.layers.{i + 1}"
        after = after if i + 1 < layers else "model.norm"
        sites[f"a{i}"] = Site(
            f"{block}.self_attn.o_proj", f"{block}.mlp", f"blocks.{i}.hook_attn_out", i
        )
        sites[f"m{i}"] = Site(f"{block}.mlp.down_proj", after, f"blocks.{i}.hook_mlp_out", i)
    options = {"use_cache": False, "logits_to_keep": 1}
    if library in PLAIN:
        return PLAIN[library](model, sites, lambda x: x.logits[:, -1], **options)
    given = {"hf_model": model, "tokenizer": tokenizer, "device": "cpu"}
    if library == "HookedTransformer":
        from transformer_lens import HookedTransformer

        del model.config.quantization_config  # the file's; weights are whole numbers no longer
        lens = HookedTransformer.from_pretrained_no_processing(SMOLLM2, **given)
        return TransformerLens(lens, sites, lambda x: x[:, -1])
    from transformer_lens.model_bridge import TransformerBridge

    lens = TransformerBridge.boot_transformers(SMOLLM2, **given)
    return TransformerLens(lens, sites, lambda x: x[:, -1], **options)
