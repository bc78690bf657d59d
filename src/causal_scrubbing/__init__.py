"""Causal scrubbing for PyTorch: state a hypothesis, scrub it, read the answer.

The public names are loaded when the first of them is used, so that the command can list and help
without PyTorch.
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

if TYPE_CHECKING:
    from causal_scrubbing._public import *  # noqa: F403

__version__ = "0.1.0"


def _loaded() -> dict[str, Any]:
    """The public names that are not here from the start."""
    names = vars(import_module("causal_scrubbing._public"))
    return {name: value for name, value in names.items() if not name.startswith("_")}


def __getattr__(name: str) -> Any:
    if name == "__all__":  # for `from causal_scrubbing import *`
        return [each for each in __dir__() if not each.startswith("_")]
    if not name.startswith("_"):
        globals().update(_loaded())
    if name not in globals():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *_loaded()} - {"Any", "TYPE_CHECKING", "import_module"})
