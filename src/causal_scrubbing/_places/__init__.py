"""Places in a model: named, marked under hooks, opened where they lie inside an attention."""

from causal_scrubbing._places.attention import hands_over as hands_over
from causal_scrubbing._places.devices import find_device as find_device
from causal_scrubbing._places.foreign import foreign_hooks as foreign_hooks
from causal_scrubbing._places.foreign import leftover as leftover
from causal_scrubbing._places.hooks import Act as Act
from causal_scrubbing._places.hooks import Seen as Seen
from causal_scrubbing._places.hooks import check_seen as check_seen
from causal_scrubbing._places.hooks import marked as marked
from causal_scrubbing._places.marker import LIBRARY as LIBRARY
from causal_scrubbing._places.marker import MARK as MARK
from causal_scrubbing._places.marker import site as site
from causal_scrubbing._places.modes import random_modules as random_modules
from causal_scrubbing._places.places import Place as Place
from causal_scrubbing._places.places import check_faults as check_faults
from causal_scrubbing._places.places import find_places as find_places
from causal_scrubbing._places.rows import Forward as Forward
from causal_scrubbing._places.rows import Rows as Rows
from causal_scrubbing._places.rows import Run as Run
from causal_scrubbing._places.rows import make_forward as make_forward
from causal_scrubbing._places.rows import number_fields as number_fields
