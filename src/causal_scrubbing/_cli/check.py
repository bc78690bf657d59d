"""The commands about claims in files: schema and check."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from causal_scrubbing._cli.echo import echo


@click.command()
@click.option("--verdict", is_flag=True, help="Of what `check --json` prints, not of run files.")
def schema(verdict: bool) -> None:
    """Print the JSON Schema of run files."""
    from causal_scrubbing._claims import CHECK, RUN_FILE

    click.echo(json.dumps(CHECK if verdict else RUN_FILE, indent=2))


@click.command()
@click.argument("run_file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
@click.option("--allow-code", is_flag=True, help="Call a model given as module:function.")
@click.option("--model", type=click.Path(path_type=Path), help="A model's folder, for the file's.")
@click.option("--max-seconds", type=float, help="Wall-clock time of all of it.")
@click.option("--memory", help="Bytes for activations, like 4GiB.")
@click.option("--max-flops", type=float, help="Floating-point operations, known before each run.")
@click.option("--out", type=click.Path(path_type=Path), help="Write a bundle of each run here.")
def check(
    run_file: Path,
    as_json: bool,
    allow_code: bool,
    model: Path | None,
    max_seconds: float | None,
    memory: str | None,
    max_flops: float | None,
    out: Path | None,
) -> None:
    """Check what RUN_FILE (TOML or JSON) claims: a verdict for each hypothesis.

    Exit status: 0 every hypothesis holds; 1 one falls short; 2 an error in the file or the
    arguments; 3 one is untested. An error goes before what falls short, and that before what is
    untested.
    """
    from causal_scrubbing._claims import check as run_check

    found = run_check(
        run_file,
        allow_code=allow_code,
        model=model,
        max_seconds=max_seconds,
        memory=memory,
        max_flops=max_flops,
    )
    if out is not None:
        found.bundle(out)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2, allow_nan=False))
    else:
        echo(str(found), err=bool(found.faults))
    sys.exit(found.status)
