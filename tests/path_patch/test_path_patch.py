"""Path patching gives what hooks by hand give, on each path."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import causal_scrubbing as cs


def model() -> tuple[cs.Graph, cs.Dataset]:
    """Two heads on an embedding; the later one reads the earlier one."""
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(4, 4, generator=generator, dtype=torch.float64) for _ in range(3)]
    graph = cs.Graph.build(
        inputs=["x"],
        nodes={
            "embed": (lambda x: x @ weights[0], ["x"]),
            "a0.h0": (lambda e: torch.tanh(e), ["embed"]),
            "a1.h0": (lambda e, a: torch.tanh((e + a) @ weights[1]), ["embed", "a0.h0"]),
            "logits": (lambda e, a, b: (e + a + b) @ weights[2], ["embed", "a0.h0", "a1.h0"]),
        },
        output="logits",
    )
    x = torch.randn(60, 4, generator=generator, dtype=torch.float64)
    return graph, cs.Dataset(x=x, pair=torch.arange(60) // 2)


def first(output: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
    return output[:, 0]


def by_hand(graph: cs.Graph, data: cs.Dataset, sender: str, receiver: str) -> float:
    """The mean effect over all pairs of rows."""
    n = len(data)
    here, there = torch.arange(n).repeat_interleave(n), torch.arange(n).repeat(n)
    values = graph.values(data, list(graph.names))
    node = graph.nodes[receiver]
    assert node.fn is not None
    read = [values[p][there if p == sender else here] for p in node.parents]
    given = {receiver: node.fn(*read)}
    changed = graph.values(data.take(here.numpy()), ["logits"], given=given)["logits"]
    return float((changed - values["logits"][here])[:, 0].mean())


@pytest.mark.parametrize(
    ("sender", "receiver"),
    [("a0.h0", "logits"), ("a1.h0", "logits"), ("a0.h0", "a1.h0"), ("embed", "a0.h0")],
)
def test_an_effect_is_that_of_the_path_alone(sender: str, receiver: str) -> None:
    graph, data = model()
    effects = cs.path_patch(
        graph, data, first, senders=sender, receivers=[receiver], samples=20_000
    )
    found = effects[sender, receiver].effect
    assert found.mean == pytest.approx(by_hand(graph, data, sender, receiver), abs=4 * found.se)


def test_onward_freezes_what_lies_beyond_the_receiver() -> None:
    graph, data = model()
    n = len(data)
    here, there = torch.arange(n).repeat_interleave(n), torch.arange(n).repeat(n)
    values = graph.values(data, list(graph.names))
    read = [values[name][here] for name in ("embed", "a0.h0", "a1.h0")]
    logits = graph.nodes["logits"].fn
    assert logits is not None
    own = logits(*read)
    read[1] = values["a0.h0"][there]
    change = logits(*read) - own
    found = cs.path_patch(
        graph, data, first, senders="embed", receivers="a0.h0", onward=(), samples=20_000
    )
    effect = found["embed", "a0.h0"].effect
    assert effect.mean == pytest.approx(float(change[:, 0].mean()), abs=4 * effect.se)
    assert "onward by the receiver itself alone" in str(found)
    open_, named = (
        cs.path_patch(
            graph, data, first, senders="embed", receivers="a0.h0", onward=onward, samples=50
        )["embed", "a0.h0"].effect
        for onward in ("*", "a1.*")
    )
    assert open_ == named != effect
    with pytest.raises(cs.GraphError, match="no node matches 'b"):
        cs.path_patch(graph, data, first, senders="embed", receivers="a0.h0", onward="b*")


def test_senders_of_a_receiver_share_their_other_rows() -> None:
    graph, data = model()
    both = cs.path_patch(graph, data, first, senders="a*.h*", receivers=["logits"], samples=50)
    alone = cs.path_patch(graph, data, first, senders="a1.h0", receivers=["logits"], samples=50)
    assert [(r.sender, r.receiver) for r in both] == [("a0.h0", "logits"), ("a1.h0", "logits")]
    assert both["a1.h0", "logits"].effect == alone["a1.h0", "logits"].effect
    frame = both.to_frame()
    assert list(frame["sender"]) == ["a0.h0", "a1.h0"]
    assert np.isfinite(frame.filter(like="effect").to_numpy()).all()
    assert "a1.h0" in str(both)
    assert repr(both) == "PathEffects(2 paths)"


def test_via_opens_longer_paths() -> None:
    graph, data = model()
    direct = cs.path_patch(graph, data, first, senders="a0.h0", receivers="logits", samples=400)
    every = cs.path_patch(
        graph, data, first, senders="a0.h0", receivers="logits", via="*", samples=400
    )
    assert direct["a0.h0", "logits"].effect != every["a0.h0", "logits"].effect
    found = cs.path_patch(
        graph, data, first, senders="embed", receivers="logits", via="a0.h0", samples=50
    )
    assert len(found) == 1


def test_pairs_that_no_path_joins_are_named() -> None:
    graph, data = model()
    found = cs.path_patch(graph, data, first, senders="a*.h*", receivers="a*.h*", samples=50)
    assert [(r.sender, r.receiver) for r in found] == [("a0.h0", "a1.h0")]
    assert "3 of 4 pairs" in found.notes[0]
    with pytest.raises(cs.ScrubError, match=r"no path joins 1 sender with 1 receiver"):
        cs.path_patch(graph, data, first, senders="a1.h0", receivers="a0.h0")
    with pytest.raises(cs.ScrubError, match="no path from 'x' to 'y' was patched"):
        found["x", "y"]
    with pytest.raises(cs.GraphError, match="no node matches 'b"):
        cs.path_patch(graph, data, first, senders="b*", receivers="logits")
