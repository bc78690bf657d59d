"""The claim tree as a graph of networkx and in the DOT language."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from causal_scrubbing._data import feature_name
from causal_scrubbing._graph import shorten
from causal_scrubbing._hypothesis.each import families
from causal_scrubbing._hypothesis.tree import Tree

if TYPE_CHECKING:
    import networkx as nx


def networkx_of(tree: Tree) -> nx.DiGraph[str]:
    """See `Hypothesis.to_networkx`."""
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    for entry in tree.claims:
        claim = entry.claim
        graph.add_node(
            entry.path,
            important=True,
            node=claim.node,
            feature=feature_name(claim.feature),
            draw=entry.draw,
            leaf=entry.is_leaf,
        )
        if entry.parent is not None:
            graph.add_edge(entry.path, tree.claims[entry.parent].path, via=claim.via)
    for block in tree.blocks:
        if not block.is_unimportant:
            continue
        nodes = tuple(dict.fromkeys(node for _, node in block.others))
        feature = feature_name(block.feature)
        graph.add_node(block.key, important=False, nodes=nodes, feature=feature, draw=block.key)
        for index in dict.fromkeys(index for index, _ in block.others):
            graph.add_edge(block.key, tree.claims[index].path, via=())
    for entry in tree.claims:
        for node, fixed in entry.ablated.items():
            name = f"{entry.path}/~{fixed.kind}/{node}"
            graph.add_node(name, important=False, nodes=(node,), feature=str(fixed.kind), draw=None)
            graph.add_edge(name, entry.path, via=())
    return graph


def dot_of(tree: Tree) -> str:
    """See `Hypothesis.to_dot`."""
    folded = {path: (label, paths) for label, paths in families(tree).items() for path in paths}
    lines = ["digraph {", "  rankdir=BT;"]
    for entry in tree.claims:
        label, paths = folded.get(entry.path, (entry.path, (entry.path,)))
        if entry.path != paths[0]:
            continue
        name, feature = entry.claim.node, feature_name(entry.claim.feature)
        if len(paths) > 1 and entry.claim.family is not None:
            name, feature = entry.claim.family[:2]
            feature = f"{feature} ({len(paths)} claims)"
        border = ", peripheries=2" if entry.parent is None else ""
        lines.append(f"  {_quoted(label)} [label={_quoted(f'{name}: {feature}')}{border}];")
        if entry.parent is not None:
            above = tree.claims[entry.parent].path
            via = f" [label={_quoted('via ' + ', '.join(entry.claim.via))}]"
            above = folded.get(above, (above, ()))[0]
            lines.append(f"  {_quoted(label)} -> {_quoted(above)}{via if entry.claim.via else ''};")
    for block in tree.blocks:
        if block.is_unimportant:
            nodes = list(dict.fromkeys(node for _, node in block.others))
            lines.append(f"  {_quoted(block.key)} [label={_quoted(shorten(nodes))}, style=dashed];")
            for index in dict.fromkeys(index for index, _ in block.others):
                above = tree.claims[index].path
                above = folded.get(above, (above, ()))[0]
                lines.append(f"  {_quoted(block.key)} -> {_quoted(above)} [style=dashed];")
    for entry in tree.claims:
        if entry.ablated:
            key = f"{entry.path}/~ablated"
            label = f"{shorten(list(entry.ablated))} (ablated)"
            lines.append(f"  {_quoted(key)} [label={_quoted(label)}, style=dotted];")
            lines.append(f"  {_quoted(key)} -> {_quoted(entry.path)} [style=dotted];")
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
