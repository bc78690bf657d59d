"""Hypotheses: trees of claims about a graph; validation and treeification."""

from causal_scrubbing._hypothesis.agreement import Agreement as Agreement
from causal_scrubbing._hypothesis.agreement import AgreementRow as AgreementRow
from causal_scrubbing._hypothesis.claim import Claim as Claim
from causal_scrubbing._hypothesis.claim import claim as claim
from causal_scrubbing._hypothesis.claim import nothing as nothing
from causal_scrubbing._hypothesis.free import Free as Free
from causal_scrubbing._hypothesis.free import free as free
from causal_scrubbing._hypothesis.given import as_hypothesis as as_hypothesis
from causal_scrubbing._hypothesis.hypothesis import Hypothesis as Hypothesis
from causal_scrubbing._hypothesis.isomorphic import isomorphic as isomorphic
from causal_scrubbing._hypothesis.join import join as join
from causal_scrubbing._hypothesis.restate import refined_with as refined_with
from causal_scrubbing._hypothesis.restate import restate as restate
from causal_scrubbing._hypothesis.specificity import Specificity as Specificity
from causal_scrubbing._hypothesis.specificity import permits as permits
from causal_scrubbing._hypothesis.tree import Block as Block
from causal_scrubbing._hypothesis.tree import Tree as Tree
from causal_scrubbing._hypothesis.tree import TreeClaim as TreeClaim
from causal_scrubbing._hypothesis.tree import mean_ablation as mean_ablation
