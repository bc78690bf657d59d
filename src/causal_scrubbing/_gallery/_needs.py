"""Packages that entries need besides those of `causal-scrubbing`, and options that they take."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from causal_scrubbing import CausalScrubbingError
from causal_scrubbing._gallery._entry import Entry, Need, Options


class GalleryError(CausalScrubbingError):
    """The gallery has no such entry, lacks what it needs, or cannot copy it there."""


def missing(entry: Entry, options: Options) -> list[Need]:
    """The packages an entry needs, with these options, that are not installed."""
    return [
        need
        for need in entry.needs
        if not (need.own_model and options.model) and find_spec(need.module) is None
    ]


def how_to_have(needs: Sequence[Need]) -> str:
    """Which packages are missing, and how to install them."""
    packages = "; ".join(f"{need.module} ({need.what})" for need in needs)
    commands = " && ".join(need.command for need in needs)
    return f"it needs {packages}. Install: {commands}"


def provide(entry: Entry, options: Options, *, install: bool) -> None:
    """See that an entry has the packages it needs.

    Args:
        entry: the entry.
        options: how it is run.
        install: whether to install those that are missing, with pip.

    Raises:
        GalleryError: packages are missing, or pip could not install one.
    """
    needs = missing(entry, options)
    if needs and not install:
        other = " Or run it on a model of your own: --model DIR." if "model" in entry.takes else ""
        raise GalleryError(
            f"{entry.name!r} cannot run here: {how_to_have(needs)}, or add --install.{other}"
        )
    for need in needs:
        options.progress(need.command)
        done = subprocess.run([sys.executable, "-m", "pip", "install", "-q", *need.install])
        if done.returncode:
            raise GalleryError(f"{need.command} failed with status {done.returncode}.")
    importlib.invalidate_caches()


def check_options(entry: Entry, options: Options) -> None:
    """Refuse options that an entry has no use for.

    Raises:
        GalleryError: one of weights, data and model is given and not taken.
    """
    for name in ("weights", "data", "model"):
        if getattr(options, name) is not None and name not in entry.takes:
            takes = ", ".join(f"--{one}" for one in sorted(entry.takes)) or "none of these"
            raise GalleryError(f"{entry.name!r} takes no --{name}; it takes {takes}.")
