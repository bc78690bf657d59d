"""One claim: a node, the feature it is said to carry, and what it is said to be computed from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from causal_scrubbing._data import Feature, anything, feature_name, is_feature
from causal_scrubbing._display import Displayed
from causal_scrubbing._errors import HypothesisError
from causal_scrubbing._format import is_printable
from causal_scrubbing._hypothesis.ablation import Ablation


class _Nothing:
    """Stands where claims would: the node is said to be computed from nothing that matters."""

    def __repr__(self) -> str:
        return "nothing"

    def __reduce__(self) -> str:
        return "nothing"


nothing: Final = _Nothing()
"""As the only child of a claim: none of the node's parents matters."""


@dataclass(frozen=True, repr=False)
class Claim(Displayed):
    """What a hypothesis says of one node; made by `claim`.

    Attributes:
        node: name of a node of the graph.
        feature: what the node is said to carry.
        children: the claims it is said to be computed from; None for a leaf, which stands for its
            node and everything upstream of it; empty where nothing upstream matters.
        via: names or patterns of the nodes that routes to the parent claim may pass.
        others: feature on which this claim's unimportant parents must agree; a leaf has none.
        tie: claims of one parent with equal tie are drawn together, agreeing in all their features.
        name: path part used in place of the node's name.
        draw: key of its draw in place of its path, for rewritten hypotheses that stay on the
            random numbers of the original.
        cut: edges of the graph, (from, to), that routes to the parent claim do not take, for
            variants that leave one out.
        ablation: of this claim's unimportant parents in place of the hypothesis's, for variants.
        family: where it is one of many made by `each`: their node and feature, and its own value.
    """

    node: str
    feature: Feature
    children: tuple[Claim, ...] | None = None
    via: tuple[str, ...] = ()
    others: Feature = anything
    tie: str | None = None
    name: str | None = None
    draw: str | None = None
    cut: tuple[tuple[str, str], ...] = ()
    ablation: Ablation | None = None
    family: tuple[str, str, str] | None = None

    def __repr__(self) -> str:
        below = "" if self.children is None else f", {len(self.children)} below"
        return f"Claim({self.label} carries {feature_name(self.feature)}{below})"

    def in_family(self, family: tuple[str, str, str]) -> Claim:
        """The claim as one case of many: their node and feature with ``{i}``, and its own value."""
        return replace(self, family=family)

    @property
    def label(self) -> str:
        """The claim's part of a path: its name, or its node's."""
        return node_label(self.node) if self.name is None else self.name


Child: TypeAlias = "Claim | _Nothing | Sequence[Claim]"
"""What can stand below a claim: a claim, `nothing`, or the claims that `each` made."""


def map_claims(root: Claim, change: Callable[[Claim], Claim]) -> Claim:
    """The tree with every claim changed, from the leaves up; a claim used twice is changed once.

    Args:
        root: the top claim.
        change: given each claim with its children changed already.
    """
    done: dict[int, Claim] = {}
    stack = [root]
    while stack:  # a stack, since trees can be deeper than Python's recursion
        claim = stack[-1]
        waiting = [c for c in claim.children or () if id(c) not in done]
        if waiting:
            stack += waiting
            continue
        stack.pop()
        if id(claim) not in done:
            children = claim.children
            if children is not None:
                children = tuple(done[id(c)] for c in children)
            done[id(claim)] = change(replace(claim, children=children))
    return done[id(root)]


def node_label(node: str) -> str:
    """A node's name as a part of a path, in which "/" stands between claims only: as "%2F"."""
    return node.replace("/", "%2F")


def node_path(*nodes: str) -> str:
    """The path of a claim from the root's node down, no claim having a name of its own."""
    return "/".join(map(node_label, nodes))


def claim(
    node: str,
    feature: Feature,
    *children: Child,
    via: str | Sequence[str] = (),
    others: Feature = anything,
    tie: str | None = None,
    name: str | None = None,
) -> Claim:
    """Claim that a node carries a feature, computed from the nodes of the child claims.

    Example::

        cs.claim("logits", cs.exact,
            cs.claim("head", "count_open", cs.claim("embed", "starts_open", via=["mlp"])))

    Args:
        node: the node the claim is about; the root's is the graph's output.
        feature: a field name, ``"field[3]"``, a function of a Dataset, `exact`, `anything`, or a
            tuple of these.
        *children: claims about nodes upstream. None: a leaf, its node's value on its own datum.
            `nothing`: no parent matters. What `each` made counts as the claims in it.
        via: nodes that routes from this node to the parent claim's may pass (names or patterns,
            "*" any); without it only the direct edge counts.
        others: feature that the unimportant parents' datum must share; `anything` by default. A
            leaf has no unimportant parents, so there it has no effect.
        tie: draw this claim together with its siblings of the same tie.
        name: path part, to tell apart two claims about one node; by default the node's name, a "/"
            in it written "%2F".

    Raises:
        HypothesisError: an argument is not of its kind.
    """
    faults = []
    if not isinstance(node, str):
        faults.append(f"a claim's first argument is a node's name, not {node!r}.")
    for what, one in (("feature", feature), ("others=", others)):
        if not is_feature(one):
            faults.append(
                f"claim {node!r}: its {what} is {one!r}; give a field name, a function of a "
                "Dataset, cs.exact, cs.anything, or a tuple of these."
            )
    below = [one for child in children for one in _flat(child)]
    if any(child is nothing for child in below) and len(below) > 1:
        faults.append(f"claim {node!r}: cs.nothing stands alone; remove it or the other claims.")
    wrong = [c for c in below if not isinstance(c, Claim | _Nothing)]
    if wrong:
        faults.append(
            f"claim {node!r}: {wrong[0]!r} is not a claim; children are made by cs.claim(...)."
        )
    routes = (via,) if isinstance(via, str) else tuple(via)
    if not all(isinstance(one, str) for one in routes):
        faults.append(f"claim {node!r}: via={via!r} is not a list of names or patterns.")
    if tie is not None and (not isinstance(tie, str) or not is_printable(tie)):
        faults.append(f"claim {node!r}: tie={tie!r} is not a printable text.")
    if name is not None and not isinstance(name, str):
        faults.append(f"claim {node!r}: name={name!r} is not a text.")
    elif name is not None and (
        "/" in name or name.startswith("~") or not name or not is_printable(name)
    ):
        faults.append(
            f"claim {node!r}: name={name!r} may not be empty, hold '/' or control characters, or "
            "begin with '~'."
        )
    if faults:
        raise HypothesisError(faults)
    kept = tuple(child for child in below if isinstance(child, Claim))
    return Claim(
        node=node,
        feature=feature,
        children=kept if children else None,
        via=routes,
        others=others,
        tie=tie,
        name=name,
    )


def _flat(child: object) -> Sequence[object]:
    return child if isinstance(child, list | tuple) else (child,)
