"""The command that runs a bundle again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

import click

from causal_scrubbing._cli.echo import echo

DIFFERS: Final = 4


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--model", type=click.Path(path_type=Path), help="Folder of the model.")
@click.option("--allow-code", is_flag=True, help="Call a model given as module:function.")
@click.option("--tolerance", type=float, help="Of values, as a share of the largest.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
def rerun(
    bundle: Path, model: Path | None, allow_code: bool, tolerance: float | None, as_json: bool
) -> None:
    """Run BUNDLE again: whether draws, values and estimates are as it says.

    Exit status: 0 they are; 2 bad input; 4 something differs.
    """
    from causal_scrubbing._claims import TOLERANCE
    from causal_scrubbing._claims import rerun as run_again

    found = run_again(
        bundle,
        model=model,
        allow_code=allow_code,
        tolerance=TOLERANCE if tolerance is None else tolerance,
    )
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2, allow_nan=False))
    else:
        echo(str(found))
    if not found:
        sys.exit(DIFFERS)
