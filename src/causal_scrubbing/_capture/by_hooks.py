"""A graph without an export: each node runs the model itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from causal_scrubbing._capture.reach import find_parents
from causal_scrubbing._capture.replay import Machine, Replay
from causal_scrubbing._errors import GraphError
from causal_scrubbing._graph import Node
from causal_scrubbing._places import Place, Run, Seen


def hooked_nodes(
    model: torch.nn.Module,
    run: Run,
    fields: Mapping[str, torch.Tensor],
    places: Sequence[Place],
    seen: Seen,
    free: Mapping[str, Sequence[int]],
    output: str,
) -> list[Node]:
    """The nodes of a model that is run under hooks: inputs, sites and the output.

    Args:
        model: the model.
        run: how rows are run.
        fields: the example.
        places: the sites.
        seen: what a trial run met.
        free: field -> dimensions whose size may differ from the example's.
        output: name of the output.

    Raises:
        GraphError: a site and a field or the output share a name, or the model gives other values
            when it is run again.
    """
    machine = Machine(model, run, places, seen, output, whole=must_end(model))
    with torch.no_grad():
        clean, again = machine.record(fields), machine.record(fields)
    _check_again(clean, again)
    for name in clean:
        if name in fields:
            raise GraphError(
                f"the name {name!r} is used twice: for a site, an input field or the output. "
                "Rename the site, or set output=."
            )
    nodes = [
        Node(
            name=name,
            field=name,
            sizes=tuple(
                None if dim in free.get(name, ()) else size
                for dim, size in enumerate(tensor.shape[1:], 1)
            ),
        )
        for name, tensor in fields.items()
    ]
    for name, parents in find_parents(machine, fields, clean).items():
        sites = [parent for parent in parents if parent not in fields]
        read = set(parents) & set(fields)
        # The model needs every field to run; of the others only the shape can matter.
        shapes = {len(sites) + i for i, field in enumerate(fields) if field not in read}
        nodes.append(
            Node(
                name=name,
                parents=(*sites, *fields),
                fn=Replay(machine, sites, list(fields), name),
                shapes=frozenset(shapes),
            )
        )
    return nodes


def must_end(model: torch.nn.Module) -> bool:
    """Whether a run must not be stopped halfway: sharded modules gather weights and free them."""
    return any(cls.__name__ == "FSDPModule" for one in model.modules() for cls in type(one).__mro__)


def _check_again(clean: Mapping[str, torch.Tensor], again: Mapping[str, torch.Tensor]) -> None:
    """The model gives the same when it is run again.

    Raises:
        GraphError: it does not.
    """
    for name, value in clean.items():
        other = again.get(name)
        if other is not None and value.shape == other.shape:
            if not value.is_floating_point():
                if torch.equal(value, other):
                    continue
            else:
                gap = (value.double() - other.double()).abs().nan_to_num(0, 0, 0)
                scale = max(1.0, float(value.double().abs().nan_to_num(0, 0, 0).amax()))
                if not len(gap) or float(gap.amax()) <= scale * 1e-3:
                    continue
        raise GraphError(
            f"{name!r} has another value when the same rows are run again: the model draws random "
            "numbers or keeps a state from run to run. Call model.eval() first, switch caches "
            "off, or pass the randomness in as a field of the dataset."
        )
