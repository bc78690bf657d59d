"""The command that tells what two claims differ in."""

from __future__ import annotations

import json
from pathlib import Path

import click

from causal_scrubbing._cli.echo import echo


@click.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option("--run", type=click.Path(path_type=Path), help="A run file: model and data of both.")
@click.option("--model", type=click.Path(path_type=Path), help="A model's folder, for the file's.")
@click.option("--allow-code", is_flag=True, help="Call a model given as module:function.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
def diff(
    first: Path, second: Path, run: Path | None, model: Path | None, allow_code: bool, as_json: bool
) -> None:
    """Tell what FIRST and SECOND differ in: hypotheses in files, saved runs, or bundles.

    Exit status: 0 done, whether they differ or not; 2 bad input.
    """
    from causal_scrubbing._claims import diff as tell

    found = tell(first, second, run=run, model=model, allow_code=allow_code)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2, allow_nan=False))
    else:
        echo(str(found))
