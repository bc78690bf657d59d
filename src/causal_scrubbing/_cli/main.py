"""Commands: run, show, compare, report, gallery."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING

import click

from causal_scrubbing import _gallery
from causal_scrubbing._cli.check import check, schema
from causal_scrubbing._cli.diff import diff
from causal_scrubbing._cli.echo import echo, take_any_locale
from causal_scrubbing._cli.fitted import fitted, refitted
from causal_scrubbing._cli.rerun import rerun
from causal_scrubbing._errors import CausalScrubbingError, Notice, ScrubError
from causal_scrubbing._format import plain

if TYPE_CHECKING:
    from causal_scrubbing._result import Result

_MODEL_HELP = "Another model: a folder of transformers, where the entry takes one."
_CLAIMS_HELP = "Write its hypotheses as files here, for check."
BAD_INPUT, BELOW, DIFFERS, INTERRUPTED = 2, 3, 4, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="causal-scrubbing")
def cli() -> None:
    """Causal scrubbing: test a claim about how a neural network works.

    Exit status: 0 done; 2 bad input, said on standard error; 3 a result below --at-least;
    4 a saved run that differs from what was written; 130 interrupted. `check` has its own.
    """


for _command in (check, diff, rerun, schema):
    cli.add_command(_command)


def _refuse_shared(context: click.Context, option: click.Parameter, given: bool) -> None:
    """Say what takes the place of ``--shared``.

    Raises:
        click.UsageError: it was given.
    """
    if given:
        raise click.UsageError(
            "--shared is gone: --executor processes:2 spreads a run over processes of this "
            "machine, and --executor ray over a cluster, from one command."
        )


@cli.command()
@click.argument("target")
@click.argument("names", nargs=-1)
@click.option("--samples", default=1000, show_default=True, help="Independent samples.")
@click.option("--seed", default=0, show_default=True, help="Of all random draws.")
@click.option("--device", default=None, help="Where to compute: cpu, cuda, cuda:1 ...")
@click.option("--batch-size", type=int, help="Samples computed at once; chosen if not given.")
@click.option(
    "--memory", help="Bytes for activations, like 4GiB; half of what is free if not given."
)
@click.option("--out", type=click.Path(path_type=Path), help="Save runs and their pages here.")
@click.option("--overwrite", is_flag=True, help="Replace runs already in --out.")
@click.option("--shared", is_flag=True, hidden=True, expose_value=False, callback=_refuse_shared)
@click.option("--executor", help="Compute in processes:N, or on the cluster of ray.")
@click.option("--address", help="Of the Ray cluster; auto if not given.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("--at-least", type=float, help="Exit with 3 if a run recovers less, in percent.")
def run(
    target: str,
    names: tuple[str, ...],
    samples: int,
    seed: int,
    device: str | None,
    batch_size: int | None,
    memory: str | None,
    out: Path | None,
    overwrite: bool,
    executor: str | None,
    address: str | None,
    as_json: bool,
    at_least: float | None,
) -> None:
    """Scrub the hypotheses of TARGET, a Python file, on its data and metric.

    The file makes them at module level: hypotheses under any names, `data`, and, where wanted,
    `metric`, `randomize`, `baseline`. FILE.py:h1,h2 (or further NAMES) picks some.

    With --out, finished blocks are kept until all is done: the same command goes on where an
    interrupted one stopped, with equal results.
    """
    from causal_scrubbing._cli.executor import read_executor
    from causal_scrubbing._cli.kept import save_runs, unfinished
    from causal_scrubbing._cli.target import read_target
    from causal_scrubbing._scrub import scrub

    spread = None if executor is None and address is None else read_executor(executor, address)
    found = read_target(target, names)
    chosen = list(found.hypotheses.values())
    if out is not None and not overwrite:
        _refuse_full([out / name for name in found.hypotheses])
    results = scrub(
        chosen,
        found.data,
        found.options.get("metric"),
        samples=samples,
        seed=seed,
        device=device,
        batch_size=batch_size,
        memory=memory,
        randomize=found.options.get("randomize"),
        baseline=found.options.get("baseline"),
        out=None if out is None else unfinished(out),
        executor=spread,
    )
    named = dict(zip(found.hypotheses, results, strict=True))
    if out is not None:
        save_runs(named, out, overwrite=overwrite)
    if as_json:
        _print_json({name: result.to_dict() for name, result in named.items()})
    else:
        _echo_tables("\n\n".join(str(result) for result in results))
        if out is not None:
            echo(f"\nsaved to {out}")
    if at_least is not None and any(_below(result, at_least) for result in results):
        sys.exit(BELOW)


def _refuse_full(folders: list[Path]) -> None:
    full = [str(folder) for folder in folders if folder.exists() and any(folder.iterdir())]
    if full:
        raise ScrubError(
            f"{', '.join(full)}: already there. Choose another --out, or replace with --overwrite."
        )


def _below(result: Result, at_least: float) -> bool:
    return not (result.recovered.defined and result.recovered.mean >= at_least)


@cli.command()
@click.argument("target")
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def show(target: str, names: tuple[str, ...], as_json: bool) -> None:
    """Show the claim trees of TARGET with their agreement figures; no model is run."""
    from causal_scrubbing._cli.target import read_target

    found = read_target(target, names)
    figures = {name: h.agreement(found.data) for name, h in found.hypotheses.items()}
    if as_json:
        body = {
            name: {"hypothesis": h.to_dict(), "agreement": figures[name].to_dict()}
            for name, h in found.hypotheses.items()
        }
        _print_json(body)
        return
    echo("\n\n".join(f"{h}\n\n{figures[name]}" for name, h in found.hypotheses.items()))


@cli.command(name="compare")
@click.argument("runs", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def compare_runs(runs: tuple[str, ...], as_json: bool) -> None:
    """Compare saved RUNS, paired on their common reference rows."""
    from causal_scrubbing._result import compare, load

    comparison = compare([load(path) for path in runs])
    if as_json:
        _print_json(comparison.to_dict())
    else:
        _echo_tables(str(comparison))


@cli.command(name="verify")
@click.argument("runs", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
def verify_runs(runs: tuple[str, ...], as_json: bool) -> None:
    """Check saved RUNS: every file as written, every estimate as the tables give it.

    Exit status 4 where anything differs.
    """
    from causal_scrubbing._result import verify

    found = [verify(path) for path in runs]
    if as_json:
        _print_json([one.to_dict() for one in found])
    else:
        echo("\n".join(str(one) for one in found))
    if not all(found):
        sys.exit(DIFFERS)


@cli.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="The page; report.html or compare.html if none."
)
def report(runs: tuple[Path, ...], out: Path | None) -> None:
    """Write the page of a saved run, or one page that compares several RUNS."""
    from causal_scrubbing._result import compare, load

    results = [load(path) for path in runs]
    if len(results) == 1:
        page = results[0].report(out or runs[0] / "report.html")
    else:
        page = compare(results).report(out or Path("compare.html"))
    click.echo(f"wrote {page}")


@cli.command()
@click.argument("name", required=False)
@click.option("--samples", type=int, help="Samples; the entry's own number if left out.")
@click.option("--seed", default=0, show_default=True, help="Of all random draws.")
@click.option("--weights", type=click.Path(path_type=Path, exists=True), help="Other weights.")
@click.option("--data", type=click.Path(path_type=Path, exists=True), help="Other data.")
@click.option("--model", type=click.Path(path_type=Path, exists=True), help=_MODEL_HELP)
@click.option("--install", is_flag=True, help="Install what the entry needs besides, with pip.")
@click.option("--out", type=click.Path(path_type=Path), help="Save table, picture and runs here.")
@click.option("--copy", "copy_to", type=click.Path(path_type=Path), help="Copy its source here.")
@click.option("--claims", "claims_to", type=click.Path(path_type=Path), help=_CLAIMS_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def gallery(
    name: str | None,
    samples: int | None,
    seed: int,
    weights: Path | None,
    data: Path | None,
    model: Path | None,
    install: bool,
    out: Path | None,
    copy_to: Path | None,
    claims_to: Path | None,
    as_json: bool,
) -> None:
    """List ready experiments, or run the one called NAME ("all" runs every one)."""
    if name is None:
        titles = _gallery.titles()
        if as_json:
            _print_json(titles)
            return
        width = max((len(each) for each in titles), default=0)
        echo("\n".join(f"{each:<{width}}  {title}" for each, title in titles.items()))
        return
    chosen = _gallery.names() if name == "all" else (name,)
    if copy_to is not None:
        for each in chosen:
            echo(f"copied; run it: python {_gallery.copy(each, copy_to)}")
        return
    options = _gallery.Options(
        samples=samples, seed=seed, weights=weights, data=data, model=model, progress=_tell
    )
    if name != "all":
        _gallery.check_options(_gallery.load(name), options)
        _gallery.provide(_gallery.load(name), options, install=install)
    if claims_to is not None:
        for file in _gallery.write_files(name, options, claims_to):
            code = json.loads(file.read_text())["model"]["kind"] == "code"
            allowed = " --allow-code" if code else ""
            echo(f"written; check it: causal-scrubbing check {file}{allowed}")
        return
    body = {}
    for count, each in enumerate(chosen, 1):
        entry = _gallery.load(each)
        if name == "all" and not install and (lacks := _gallery.missing(entry, options)):
            echo(
                f"[{count}/{len(chosen)}] {each}: left out; {_gallery.how_to_have(lacks)}\n",
                err=True,
            )
            continue
        if not as_json:
            place = f"[{count}/{len(chosen)}] " if len(chosen) > 1 else ""
            echo(f"{place}{entry.name}: {entry.title}\n\n{fill(entry.summary, 98)}\n")
        _gallery.provide(entry, options, install=install)
        outcome = entry.run(options)
        body[each] = outcome.table.to_dict(orient="records")
        if not as_json:
            echo(fitted(outcome.text, get_terminal_size((100, 24)).columns))
        if out is not None:
            paths = outcome.save(out, entry.name)
            for key, result in outcome.results.items():
                result.save(out / f"{entry.name}-runs" / _file_name(key), overwrite=True)
            if not as_json:
                echo("\n".join(f"wrote {path}" for path in paths))
                echo(f"wrote {out / f'{entry.name}-runs'}, to look at with causal-scrubbing show")
                if "" in outcome.pages:
                    echo(f"\nopen {out / f'{entry.name}.html'}")
                if entry.page:
                    echo(f"explained in docs/{entry.page}")
    if as_json:
        _print_json(body)


def _echo_tables(text: str) -> None:
    """Print a text, its tables cut to a terminal's width; whole where no terminal reads it."""
    echo(refitted(text, get_terminal_size().columns) if sys.stdout.isatty() else text)


def _print_json(body: object) -> None:
    """Print JSON as every reader takes it: a number that there is not as null."""
    echo(json.dumps(plain(body), indent=2, allow_nan=False, default=str))


def _file_name(key: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in key)


def _tell(line: str) -> None:
    if sys.stderr.isatty():
        echo(line, err=True)


def main() -> None:
    """Run the command; bad input is told in words, without a traceback."""
    take_any_locale()
    warnings.showwarning = _show_notice
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except CausalScrubbingError as error:
        echo(f"error: {error}", err=True)
        sys.exit(BAD_INPUT)


def _show_notice(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    if issubclass(category, Notice):
        echo(f"notice: {message}", err=True)
    else:
        echo(warnings.formatwarning(message, category, filename, lineno, line), err=True)
