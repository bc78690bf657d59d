"""The gallery: ready experiments and the form a new one takes."""

from causal_scrubbing._gallery import Entry as Entry
from causal_scrubbing._gallery import GalleryError as GalleryError
from causal_scrubbing._gallery import Need as Need
from causal_scrubbing._gallery import Options as Options
from causal_scrubbing._gallery import Outcome as Outcome
from causal_scrubbing._gallery import copy as copy
from causal_scrubbing._gallery import load as load
from causal_scrubbing._gallery import names as names
from causal_scrubbing._gallery import write_files as write_files
from causal_scrubbing._gallery._claim_files import write_claims as write_claims
from causal_scrubbing._gallery._exhibit import Exhibit as Exhibit
from causal_scrubbing._gallery._exhibit import add_legend as add_legend
from causal_scrubbing._gallery._exhibit import as_text as as_text
from causal_scrubbing._gallery._exhibit import exhibit as exhibit
from causal_scrubbing._gallery._exhibit import figure_style as figure_style
from causal_scrubbing._gallery._ladder import draw_ladder as draw_ladder
from causal_scrubbing._gallery._ladder import ladder as ladder
from causal_scrubbing._gallery._ladder import ladder_table as ladder_table
