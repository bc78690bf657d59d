"""Values as expressions: what is read off the clean table, what is computed, what is summed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from causal_scrubbing._expressions.sums import PartialSums


@dataclass(frozen=True)
class Clean:
    """The node's own activation on the row of a draw variable: a gather."""

    node: str
    variable: str


@dataclass(frozen=True)
class Apply:
    """A node's function on the values of other expressions, by their numbers."""

    node: str
    arguments: tuple[int, ...]


@dataclass(frozen=True)
class Total:
    """A sum of expressions."""

    terms: tuple[int, ...]


Expr: TypeAlias = Clean | Apply | Total


class Space:
    """Expressions numbered so that equal ones are one; a number is larger than those it uses.

    Attributes:
        exprs: the expressions.
        sums: parts of a graph's sums, which clean rows are evaluated for as if they were nodes of
            their own.
        nodes: number of a sum -> the first node found to be it.
    """

    def __init__(self) -> None:
        self.exprs: list[Expr] = []
        self.sums = PartialSums()
        self.nodes: dict[int, str] = {}
        self._number: dict[Expr, int] = {}

    def add(self, expr: Expr) -> int:
        """The number of an expression, new or known."""
        number = self._number.get(expr)
        if number is None:
            number = self._number[expr] = len(self.exprs)
            self.exprs.append(expr)
        return number

    def total(self, node: str, terms: Sequence[int]) -> int:
        """The number of a node's value that is the sum of some expressions."""
        number = self.add(Total(tuple(terms)))
        self.nodes.setdefault(number, node)
        return number

    def take(self, other: Space, roots: Sequence[int]) -> dict[int, int]:
        """Add some expressions of another space, of the same sums, and all that they need.

        Args:
            other: the other space.
            roots: numbers there.

        Returns:
            Number there -> number here, of each root.
        """
        made: dict[int, int] = {}
        for number in other.cone(list(roots)):
            expr = other[number]
            if isinstance(expr, Clean):
                made[number] = self.add(expr)
            elif isinstance(expr, Apply):
                made[number] = self.add(Apply(expr.node, tuple(made[i] for i in expr.arguments)))
            else:
                made[number] = self.total(other.nodes[number], [made[i] for i in expr.terms])
        return {root: made[root] for root in roots}

    def __getitem__(self, number: int) -> Expr:
        return self.exprs[number]

    def cone(self, roots: list[int]) -> list[int]:
        """The expressions that the roots need, themselves included, in order of evaluation."""
        needed: set[int] = set()
        todo = list(roots)
        while todo:
            number = todo.pop()
            if number not in needed:
                needed.add(number)
                todo.extend(uses(self.exprs[number]))
        return sorted(needed)


def uses(expr: Expr) -> tuple[int, ...]:
    """The numbers of the expressions that one reads."""
    if isinstance(expr, Apply):
        return expr.arguments
    if isinstance(expr, Total):
        return expr.terms
    return ()
