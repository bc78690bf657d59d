"""What is not loaded until it is used: the package starts at the cost of PyTorch."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ["scipy", "matplotlib", "pandas", "pyarrow", "networkx", "jinja2", "rich", "safetensors"]
"""Loaded inside the functions that use them."""


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh Python has after it ran some code."""
    check = f"import sys\n{code}\nprint(*{{m.split('.')[0] for m in sys.modules}}, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_the_first_name_loads_torch_and_no_other_large_library() -> None:
    loaded = loaded_by("import causal_scrubbing as cs; cs.scrub; cs.Dataset; cs.check")
    assert "torch" in loaded
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize(
    "code",
    [
        "import causal_scrubbing as cs; cs.DataError",
        "from causal_scrubbing._cli import main; sys.argv = ['', '--help']; main()",
        "from causal_scrubbing._cli import main; sys.argv = ['', 'gallery']; main()",
        "from causal_scrubbing._cli import main; sys.argv = ['', 'gallery', '--json']; main()",
    ],
)
def test_help_and_the_list_of_the_gallery_load_no_large_library(code: str) -> None:
    loaded = loaded_by(code)
    assert "causal_scrubbing" in loaded
    assert not loaded & {*HEAVY, "torch", "numpy"}
