"""Expressions: the values of treeified hypotheses, equal ones once, as gathers, calls and sums."""

from causal_scrubbing._expressions.compile import Compiler as Compiler
from causal_scrubbing._expressions.expr import Apply as Apply
from causal_scrubbing._expressions.expr import Clean as Clean
from causal_scrubbing._expressions.expr import Expr as Expr
from causal_scrubbing._expressions.expr import Space as Space
from causal_scrubbing._expressions.expr import Total as Total
from causal_scrubbing._expressions.expr import uses as uses
