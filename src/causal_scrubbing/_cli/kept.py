"""Runs of the command in a folder: finished blocks while it runs, then each run in its place."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from causal_scrubbing._errors import ScrubError
from causal_scrubbing._files import check_folder, write_whole
from causal_scrubbing._result import Result

_UNFINISHED: Final = ".unfinished"
_ADDRESS: Final = re.compile(r"[a-z0-9]{2,}:/")


def unfinished(out: Path) -> Path:
    """Where the finished blocks of a run are kept until all of it is done."""
    if _ADDRESS.match(str(out)):
        raise ScrubError(
            f"--out {out}: give a folder of this machine. In Python, cs.scrub(..., out=) takes "
            "addresses."
        )
    check_folder(out, "--out ")
    return out / _UNFINISHED


def save_runs(results: Mapping[str, Result], out: Path, *, overwrite: bool) -> None:
    """Save each run with its picture and page, and remove the blocks they were made of.

    Args:
        results: by name of the folder.
        out: the folder of them all.
        overwrite: whether a run that is there is replaced.

    Raises:
        ScrubError: the disk cannot be written.
    """
    for name, result in results.items():
        folder = out / name
        result.save(folder, overwrite=overwrite)
        picture = io.BytesIO()
        result.plot().savefig(picture, dpi=150, format="png")
        write_whole(folder / "picture.png", picture.getvalue())
        result.report(folder / "report.html")
    shutil.rmtree(out / _UNFINISHED, ignore_errors=True)
