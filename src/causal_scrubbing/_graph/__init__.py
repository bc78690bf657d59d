"""Graphs: named nodes that compute a behaviour, and their rewrites.

What nodes are, and how they are evaluated, is in the room below and shown here too.
"""

from causal_scrubbing._graph.graph import Graph as Graph
from causal_scrubbing._graph.ranks import agreed as agreed
from causal_scrubbing._graph.ranks import is_sharded as is_sharded
from causal_scrubbing._graph.rewrite.dictionary import Dictionary as Dictionary
from causal_scrubbing._graph.rewrite.dictionary import dictionary as dictionary
from causal_scrubbing._graph.rewrite.lineage import is_same as is_same
from causal_scrubbing._graph.rewrite.lineage import shared as shared
from causal_scrubbing._graph.rewrite.refine import refine as refine
from causal_scrubbing._graph.rewrite.sides import Refinement as Refinement
from causal_scrubbing._graph.rewrite.sides import Side as Side
from causal_scrubbing._graph.saved import VALUES as VALUES
from causal_scrubbing._nodes import Add as Add
from causal_scrubbing._nodes import AnyValue as AnyValue
from causal_scrubbing._nodes import Equality as Equality
from causal_scrubbing._nodes import HasSteps as HasSteps
from causal_scrubbing._nodes import Join as Join
from causal_scrubbing._nodes import Linear as Linear
from causal_scrubbing._nodes import Node as Node
from causal_scrubbing._nodes import Pack as Pack
from causal_scrubbing._nodes import Ref as Ref
from causal_scrubbing._nodes import Rest as Rest
from causal_scrubbing._nodes import RowPosition as RowPosition
from causal_scrubbing._nodes import Size as Size
from causal_scrubbing._nodes import Step as Step
from causal_scrubbing._nodes import Take as Take
from causal_scrubbing._nodes import Unpack as Unpack
from causal_scrubbing._nodes import add as add
from causal_scrubbing._nodes import call as call
from causal_scrubbing._nodes import check_batch as check_batch
from causal_scrubbing._nodes import check_equal as check_equal
from causal_scrubbing._nodes import evaluate as evaluate
from causal_scrubbing._nodes import evaluate_dataset as evaluate_dataset
from causal_scrubbing._nodes import hint as hint
from causal_scrubbing._nodes import is_hidden as is_hidden
from causal_scrubbing._nodes import is_out_of_memory as is_out_of_memory
from causal_scrubbing._nodes import made as made
from causal_scrubbing._nodes import matches as matches
from causal_scrubbing._nodes import nearest as nearest
from causal_scrubbing._nodes import needed_nodes as needed_nodes
from causal_scrubbing._nodes import number as number
from causal_scrubbing._nodes import of_sum as of_sum
from causal_scrubbing._nodes import places as places
from causal_scrubbing._nodes import program as program
from causal_scrubbing._nodes import put_in as put_in
from causal_scrubbing._nodes import read_field as read_field
from causal_scrubbing._nodes import shorten as shorten
from causal_scrubbing._nodes import substitute as substitute
