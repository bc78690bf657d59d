"""Two hypotheses or two rewrites: join, permits, restate, isomorphic form."""

from causal_scrubbing._algebra.block_form import GROUP as GROUP
from causal_scrubbing._algebra.block_form import BlockForm as BlockForm
from causal_scrubbing._algebra.block_form import Position as Position
from causal_scrubbing._algebra.block_form import block_form as block_form
from causal_scrubbing._algebra.block_form import normal as normal
from causal_scrubbing._algebra.block_form import same_swaps as same_swaps
from causal_scrubbing._algebra.block_form import swaps_digest as swaps_digest
from causal_scrubbing._algebra.free import Free as Free
from causal_scrubbing._algebra.free import free as free
from causal_scrubbing._algebra.given import as_hypothesis as as_hypothesis
from causal_scrubbing._algebra.isomorphic import isomorphic as isomorphic
from causal_scrubbing._algebra.join import join as join
from causal_scrubbing._algebra.join import join_forms as join_forms
from causal_scrubbing._algebra.pairing import pair_forms as pair_forms
from causal_scrubbing._algebra.rebuild import rebuild as rebuild
from causal_scrubbing._algebra.restate import refined_with as refined_with
from causal_scrubbing._algebra.restate import restate as restate
from causal_scrubbing._algebra.restate import restate_form as restate_form
from causal_scrubbing._algebra.specificity import Specificity as Specificity
from causal_scrubbing._algebra.specificity import permits as permits
