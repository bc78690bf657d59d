"""Small programs compiled into graphs, in four ways that differ in what ablation does to them."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import torch
from torch import Tensor

import causal_scrubbing as cs

PROGRAMS = (
    "A = a ^ b; B = c & d; y = A | B",
    "A = a & b; B = c | d; y = A ^ B",
    "A = a + b + c; B = A > 1; y = B ^ d",
    "A = a ^ b; B = A ^ c; y = B ^ d",
    "A = a & b; B = b | c; y = A + 2 * B",
    "A = a + b; B = c + d; y = A == B",
    "A = a ^ b; B = c ^ d; y = A * B",
    "A = a > b; B = c > d; y = A + 2 * B",
)
"""Bits a to d, variables A and B, the output y."""

FAMILIES = {
    "plain": "a variable is one direction, a nuisance another that nobody reads",
    "backup": "each variable has a copy that is read where the variable is silent",
    "carrier": "the output needs a direction of length 1 that carries nothing",
    "pair": "two nodes that matter, and cancel, are added to the output",
}
BITS = ("a", "b", "c", "d", "e")

OPERATORS: Final[dict[type[ast.AST], Callable[[Any, Any], Any]]] = {
    ast.BitXor: operator.xor,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.Add: operator.add,
    ast.Mult: operator.mul,
    ast.Gt: operator.gt,
    ast.Eq: operator.eq,
}

Function = Callable[..., Tensor]
Nodes = dict[str, tuple[Function, list[str]]]


@dataclass(frozen=True)
class Circuit:
    """A compiled program.

    Attributes:
        name: program and family.
        reads: variable -> what its expression reads.
        graph: the circuit.
        data: all inputs, with each variable's value and y's as fields.
    """

    name: str
    reads: dict[str, tuple[str, ...]]
    graph: cs.Graph
    data: cs.Dataset


def evaluate(expression: str, **values: Tensor) -> Tensor:
    """An expression of ``^ & | + * > ==`` on integers, row by row."""

    def value(node: ast.expr) -> Any:
        if isinstance(node, ast.BinOp):
            return OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.Compare):
            return OPERATORS[type(node.ops[0])](value(node.left), value(node.comparators[0]))
        return values[node.id] if isinstance(node, ast.Name) else ast.literal_eval(node)

    found: Tensor = value(ast.parse(expression, mode="eval").body)
    return found.long()


def names_in(expression: str) -> tuple[str, ...]:
    """The names an expression reads, in order of appearance."""
    nodes = ast.walk(ast.parse(expression, mode="eval"))
    return tuple(dict.fromkeys(node.id for node in nodes if isinstance(node, ast.Name)))


def compile_program(text: str, family: str) -> Circuit:
    """The circuit of a program.

    Args:
        text: assignments, separated by semicolons; the last is to y.
        family: how variables are encoded, one of `FAMILIES`.
    """
    pairs = [line.partition("=") for line in text.split(";")]
    lines = {name.strip(): expression.strip() for name, _, expression in pairs}
    bits = torch.tensor(list(product((0, 1), repeat=len(BITS))))
    fields = dict(zip(BITS, bits.unbind(1), strict=True))
    reads: dict[str, tuple[str, ...]] = {}
    nodes: Nodes = {}
    for name, expression in lines.items():
        reads[name] = names_in(expression)
        fields[name] = evaluate(expression, **{one: fields[one] for one in reads[name]})
        parents = _with_copies(reads[name], family)
        if name == "y":
            more = {"carrier": ["carrier"], "pair": ["plus", "minus"]}.get(family, [])
            nodes[name] = (_output(expression, parents, family), [*parents, *more])
            continue
        nodes[name] = (_variable(expression, parents), [*parents, "e"])
        if family == "backup":
            nodes[f"{name} copy"] = (_variable(expression, parents), [*parents, "e"])
    if family == "carrier":
        nodes["carrier"] = (lambda e: torch.stack([1.0 - e, 1.0 * e], dim=1), ["e"])
    if family == "pair":
        nodes["plus"] = (lambda e: 2.0 * e - 1, ["e"])
        nodes["minus"] = (lambda e: 1 - 2.0 * e, ["e"])
    graph = cs.Graph.build(inputs=list(BITS), nodes=nodes, output="y")
    numbers = {name: value.double() for name, value in fields.items()}
    data = cs.Dataset(label=numbers["y"]).with_fields(**numbers)
    return Circuit(f"{text} ({family})", reads, graph, data)


def _with_copies(names: tuple[str, ...], family: str) -> list[str]:
    if family != "backup":
        return list(names)
    return [
        one for name in names for one in ((name, f"{name} copy") if name.isupper() else (name,))
    ]


def _decode(values: tuple[Tensor, ...], parents: list[str]) -> dict[str, Tensor]:
    """The integers that parents stand for; a silent variable is read from its copy."""
    found: dict[str, Tensor] = {}
    for name, value in zip(parents, values, strict=True):
        number = (value[:, 0] - 1).round() if value.ndim == 2 else value.round()
        if name.endswith(" copy"):
            name = name.removesuffix(" copy")
            silent = found[name] < 0
            number = torch.where(silent, number, found[name])
        found[name] = number
    return {name: value.long() for name, value in found.items()}


def _variable(expression: str, parents: list[str]) -> Function:
    """One more than the value, so that silence is no value, and the nuisance e."""

    def run(*values: Tensor) -> Tensor:
        *read, nuisance = values
        value = evaluate(expression, **_decode(tuple(read), parents))
        return torch.stack([value + 1.0, nuisance - 0.5], dim=1).double()

    return run


def _output(expression: str, parents: list[str], family: str) -> Function:
    def run(*values: Tensor) -> Tensor:
        read, more = values[: len(parents)], values[len(parents) :]
        value = evaluate(expression, **_decode(read, parents)).double()
        for other in more:
            value = value * (other.norm(dim=1) > 0.9) if family == "carrier" else value + other
        return value

    return run
