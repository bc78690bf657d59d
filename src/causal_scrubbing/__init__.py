"""Causal scrubbing for PyTorch: state a hypothesis, scrub it, read the answer.

A public name is loaded when it is first used, and its room alone, so that the command can list and
help without PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from causal_scrubbing._errors import CausalScrubbingError as CausalScrubbingError
from causal_scrubbing._errors import DataError as DataError
from causal_scrubbing._errors import ExactError as ExactError
from causal_scrubbing._errors import GraphError as GraphError
from causal_scrubbing._errors import HypothesisError as HypothesisError
from causal_scrubbing._errors import MetricError as MetricError
from causal_scrubbing._errors import Notice as Notice
from causal_scrubbing._errors import ScrubError as ScrubError
from causal_scrubbing._names import ROOM_OF as _ROOM_OF

if TYPE_CHECKING:
    from causal_scrubbing._public import *  # noqa: F403

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "__all__":  # for `from causal_scrubbing import *`
        return [each for each in __dir__() if not each.startswith("_")]
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{room}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOM_OF} - {"Any", "TYPE_CHECKING", "import_module"})
