"""The gallery: ready experiments and the form a new one takes."""

from causal_scrubbing._gallery import Entry as Entry
from causal_scrubbing._gallery import GalleryError as GalleryError
from causal_scrubbing._gallery import Options as Options
from causal_scrubbing._gallery import Outcome as Outcome
from causal_scrubbing._gallery import copy as copy
from causal_scrubbing._gallery import load as load
from causal_scrubbing._gallery import names as names
