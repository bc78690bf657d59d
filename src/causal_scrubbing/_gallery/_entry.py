"""What a gallery entry is: a name, what it shows, and a function that runs it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import causal_scrubbing as cs

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Need:
    """A package that an entry needs besides those of `causal-scrubbing`.

    Attributes:
        module: what is imported.
        install: arguments of ``pip install``.
        what: it is, in a few words.
        own_model: whether it is not needed where the options name a model.
    """

    module: str
    install: tuple[str, ...]
    what: str
    own_model: bool = False

    @property
    def command(self) -> str:
        """What installs it."""
        return f"pip install {' '.join(self.install)}"


@dataclass(frozen=True, kw_only=True)
class Options:
    """How an entry is run.

    Attributes:
        samples: how many samples each estimate rests on; None for the entry's own number.
        seed: of the draws.
        weights: a folder with other weights for the entry's model; None for its own.
        data: a file with other data; None for the entry's own.
        model: a folder with a model of `transformers` in place of the entry's; None for its own.
        progress: told what is being done, one line at a time.
    """

    samples: int | None = None
    seed: int = 0
    weights: Path | None = None
    data: Path | None = None
    model: Path | None = None
    progress: Callable[[str], None] = field(default=lambda line: None)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an entry gives: every result, and the same as tables, as text and as a picture.

    Attributes:
        results: what the entry calls it -> sampled result.
        table: the main table.
        text: what to read: the table and words, in Markdown.
        figure: the picture.
        more: further tables by name, too long to read in the text.
        pages: HTML pages by what follows the entry's name in the name of the file; "" is the page
            to open first.
    """

    results: Mapping[str, cs.Result]
    table: pd.DataFrame
    text: str
    figure: Figure
    more: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    pages: Mapping[str, str] = field(default_factory=dict)

    def save(self, folder: Path, name: str) -> list[Path]:
        """Write NAME.csv, NAME.md, NAME.png, NAME-MORE.csv for further tables, and pages.

        Args:
            folder: where, made if missing.
            name: of the files.

        Returns:
            The paths written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{name}.{kind}" for kind in ("csv", "md", "png")]
        _write(paths[0], self.table.to_csv(index=False))
        _write(paths[1], self.text)
        picture = io.BytesIO()
        self.figure.savefig(picture, dpi=150, format="png")
        _write(paths[2], picture.getvalue())
        for key, table in self.more.items():
            paths.append(folder / f"{name}-{key}.csv")
            _write(paths[-1], table.to_csv(index=False))
        for key, page in self.pages.items():
            paths.append(folder / f"{name}{key}.html")
            _write(paths[-1], page)
        return paths


def _write(path: Path, content: str | bytes) -> None:
    """Write a file whole: one that is cut short is never there under its name."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content.encode() if isinstance(content, str) else content)
    part.replace(path)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A ready experiment.

    Attributes:
        name: as the command takes it.
        title: one line.
        summary: what is claimed of what, in a paragraph.
        run: runs it.
        page: its page in the documentation, where it has one.
        needs: packages it needs besides.
        takes: which of the options weights, data and model it takes.
        claims: writes its hypotheses as files into a folder and returns the run files, which
            `cs.check` takes; None where it has no such files.
    """

    name: str
    title: str
    summary: str
    run: Callable[[Options], Outcome]
    page: str | None = None
    needs: tuple[Need, ...] = ()
    takes: frozenset[str] = frozenset()
    claims: Callable[[Options, Path], list[Path]] | None = None
