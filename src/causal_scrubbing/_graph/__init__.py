"""Graphs: named nodes that compute a behaviour; build, evaluate, rewrite, check equality."""

from causal_scrubbing._graph.equality import Equality as Equality
from causal_scrubbing._graph.equality import check_equal as check_equal
from causal_scrubbing._graph.graph import Graph as Graph
from causal_scrubbing._graph.node import Node as Node
from causal_scrubbing._graph.node import is_hidden as is_hidden
from causal_scrubbing._graph.ops import Add as Add
from causal_scrubbing._graph.ops import Linear as Linear
from causal_scrubbing._graph.ops import add as add
from causal_scrubbing._graph.ops import of_sum as of_sum
from causal_scrubbing._graph.rewrite.dictionary import Dictionary as Dictionary
from causal_scrubbing._graph.rewrite.dictionary import dictionary as dictionary
from causal_scrubbing._graph.rewrite.lineage import is_same as is_same
from causal_scrubbing._graph.rewrite.lineage import shared as shared
from causal_scrubbing._graph.rewrite.refine import refine as refine
from causal_scrubbing._graph.rewrite.sides import Refinement as Refinement
from causal_scrubbing._graph.rewrite.sides import Side as Side
