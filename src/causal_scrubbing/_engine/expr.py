"""Values as expressions: what is read off the clean table, what is computed, what is summed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


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
    """A sum of expressions, each with a sign or factor."""

    terms: tuple[tuple[float, int], ...]


Expr: TypeAlias = Clean | Apply | Total


class Space:
    """Expressions numbered so that equal ones are one; a number is larger than those it uses."""

    def __init__(self) -> None:
        self.exprs: list[Expr] = []
        self._number: dict[Expr, int] = {}

    def add(self, expr: Expr) -> int:
        """The number of an expression, new or known."""
        number = self._number.get(expr)
        if number is None:
            number = self._number[expr] = len(self.exprs)
            self.exprs.append(expr)
        return number

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
                todo += uses(self.exprs[number])
        return sorted(needed)


def uses(expr: Expr) -> list[int]:
    """The numbers of the expressions that one reads."""
    if isinstance(expr, Apply):
        return list(expr.arguments)
    if isinstance(expr, Total):
        return [number for _, number in expr.terms]
    return []
