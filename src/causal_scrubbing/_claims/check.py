"""`check`: a run file to a verdict for each hypothesis."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from causal_scrubbing._claims.faults import Fault, RunFileError
from causal_scrubbing._claims.judge import Verdict, judge
from causal_scrubbing._claims.limits import Limits, OverLimitError
from causal_scrubbing._claims.packing import packed
from causal_scrubbing._claims.run_file import RunFile
from causal_scrubbing._display import Displayed
from causal_scrubbing._files import check_folder
from causal_scrubbing._format import plural

HOLDS, FALLS_SHORT, ERROR, UNTESTED = 0, 1, 2, 3
CHECK_FORMAT: Final = 1


@dataclass(frozen=True, repr=False)
class Check(Displayed):
    """What a check of a run file says.

    Attributes:
        file: the run file.
        verdicts: one for each hypothesis, in the file's order; none where the file has faults.
        faults: of the file.
        limits: what the check was allowed, and the floating-point work it took up.
        run: the run file as it was made, where it could be.
    """

    file: str
    verdicts: tuple[Verdict, ...] = ()
    faults: tuple[Fault, ...] = ()
    limits: dict[str, Any] = field(default_factory=dict)
    run: RunFile | None = field(default=None, repr=False, compare=False)

    @property
    def status(self) -> int:
        """The exit status: 0 all hold; 1 one falls short; 2 an error; 3 one is untested.

        An error goes before what falls short, and that before what is untested.
        """
        answers = {one.answer for one in self.verdicts}
        if self.faults or "error" in answers:
            return ERROR
        if "falls short" in answers:
            return FALLS_SHORT
        return UNTESTED if "untested" in answers else HOLDS

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data for strict JSON, as the published schema describes it."""
        return {
            "format": CHECK_FORMAT,
            "file": self.file,
            "status": self.status,
            "limits": dict(self.limits),
            "faults": [one.to_dict() for one in self.faults],
            "verdicts": [one.to_dict() for one in self.verdicts],
        }

    def bundle(self, folder: str | Path) -> list[Path]:
        """Write a bundle of each run, its run file along with what that names, but the model.

        Args:
            folder: where; made if it is not there.

        Returns:
            The files, named by the hypotheses.

        Raises:
            ScrubError: a file cannot be written.
        """
        where = Path(folder)
        check_folder(where, "")
        where.mkdir(parents=True, exist_ok=True)
        made = [one for one in self.verdicts if one.result is not None]
        written: list[Path] = []
        for number, verdict in enumerate(made):
            assert self.run is not None
            assert verdict.result is not None
            body, files = packed(self.run, verdict.name)
            name = "".join(c if c.isalnum() or c in "-_" else "_" for c in verdict.name)
            taken = {one.stem.casefold() for one in written}
            file = where / (
                f"{name}.zip" if name.casefold() not in taken else f"{name}-{number}.zip"
            )
            written.append(verdict.result.bundle(file, run_file=body, files=files))
        return written

    def __repr__(self) -> str:
        found = ", ".join(f"{one.name} {one.answer}" for one in self.verdicts[:4])
        more = f" and {len(self.verdicts) - 4} more" if len(self.verdicts) > 4 else ""
        faults = f"{len(self.faults)} {plural(len(self.faults), 'fault')}"
        return f"Check({self.file}: {faults if self.faults else found + more}; print it)"

    def __str__(self) -> str:
        if self.faults:
            return str(RunFileError(self.faults, file=self.file))
        return "\n\n".join(map(str, self.verdicts))


def check(
    file: str | Path,
    *,
    allow_code: bool = False,
    model: str | Path | None = None,
    max_seconds: float | None = None,
    memory: str | int | None = None,
    max_flops: float | None = None,
) -> Check:
    """Check what a run file claims: a verdict for each hypothesis, with its grounds.

    A bound holds where the whole 95% interval is on its right side, and falls short where the whole
    interval is on the wrong one; an interval that contains the bound leaves the hypothesis
    untested.

    Example::

        found = cs.check("claim.toml")
        print(found)
        assert found.status == 0

    Args:
        file: TOML if its name ends in .toml, else JSON; see `causal-scrubbing schema`.
        allow_code: whether a model given as ``module:function`` may be called.
        model: a `transformers` folder to take in place of the one that the file names.
        max_seconds: wall-clock time of all of it; what was not done by then is untested.
        memory: bytes for activations, like "4GiB".
        max_flops: floating-point operations, known before each run; what would take more is not
            run, and untested.

    Returns:
        A `Check`. Faults of the file are in it, not raised.

    Raises:
        ScrubError: a limit is not a number above 0.
    """
    path = Path(file)
    limits = Limits(max_seconds, memory, max_flops)

    def told() -> dict[str, Any]:
        return {
            "max_seconds": max_seconds,
            "memory": memory,
            "max_flops": max_flops,
            "flops": limits.spent if max_flops is not None else None,
        }

    try:
        with limits.watch():
            run = RunFile.read(path, allow_code=allow_code, model=model)
    except RunFileError as error:
        return Check(str(path), faults=error.faults, limits=told())
    except OverLimitError as error:
        fault = Fault("limit", "/model", f"opening model and data: {error}", "Allow more time.")
        return Check(str(path), faults=(fault,), limits=told())
    verdicts = tuple(judge(run, name, limits) for name in run.hypotheses)
    return Check(str(path), verdicts, limits=told(), run=run)
