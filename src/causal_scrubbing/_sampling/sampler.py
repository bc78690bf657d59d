"""The draw that docs/method.md defines: a row for every block of every sample, as integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

from causal_scrubbing._data import Classes, Dataset, Ints
from causal_scrubbing._hypothesis import RANDOMIZED, REFERENCE, Hypothesis
from causal_scrubbing._sampling.sources import Source, make_source


@dataclass(frozen=True)
class Draw:
    """Rows drawn for samples start..stop - 1.

    Attributes:
        start: number of the first sample.
        stop: one past the last.
        rows: block key -> row of each sample, int64 [stop - start]; also the reference rows and
            those of E_randomized.
    """

    start: int
    stop: int
    rows: Mapping[str, Ints]

    def __len__(self) -> int:
        return self.stop - self.start


class Sampler:
    """Draws for one hypothesis on one dataset.

    Args:
        hypothesis: its blocks say what is drawn and what must agree.
        data: the rows to draw from.
        seed: with a key and a sample number, fixes each draw.
        draw: how rows are drawn, one of `DRAWS`, or a `Source` made before.
        samples: number of samples of the run, where it is known.

    Raises:
        HypothesisError: a feature cannot be used on this data.
        ScrubError: there is no such way to draw, or it cannot be used here.
    """

    def __init__(
        self,
        hypothesis: Hypothesis,
        data: Dataset,
        seed: int,
        draw: str | Source = "independent",
        samples: int | None = None,
    ) -> None:
        self.hypothesis = hypothesis
        self.data = data
        self.seed = seed
        self.source = make_source(draw, data, seed, samples) if isinstance(draw, str) else draw
        self.classes: dict[str, Classes] = hypothesis.classes(data)
        self._within = data.classes(hypothesis.within)

    def classes_of(self, key: str) -> Classes:
        """The classes that a draw stays within, by its key; that of E_randomized too."""
        return self._within if key == RANDOMIZED else self.classes[key]

    def draw(self, start: int, stop: int) -> Draw:
        """The rows of samples start..stop - 1; any cut into pieces gives the same rows."""
        rows: dict[str, Ints] = {REFERENCE: self.source.references(start, stop)}
        for block in self.hypothesis.tree.blocks:
            agree, classes = rows[block.of], self.classes[block.key]
            if classes.is_exact:
                rows[block.key] = agree
            else:
                rows[block.key] = self._pick(classes, block.key, agree, start, stop)
        rows[RANDOMIZED] = self._pick(self._within, RANDOMIZED, rows[REFERENCE], start, stop)
        return Draw(start, stop, rows)

    def _pick(self, classes: Classes, key: str, agree: Ints, start: int, stop: int) -> Ints:
        again = self.hypothesis.self_draws
        return self.source.pick(key, classes, agree, start, stop, self_draws=again)

    @cached_property
    def variables(self) -> Mapping[str, str]:
        """Key -> what tells one random datum from another.

        Two keys have one variable when their rows are equal in every sample by construction: a
        draw that can only keep the row it agrees with is that row's variable. Variables are equal
        across hypotheses where key, classes and what is agreed with are.
        """
        found: dict[str, str] = {REFERENCE: REFERENCE}
        for block in self.hypothesis.tree.blocks:
            classes = self.classes[block.key]
            if classes.is_exact:
                found[block.key] = found[block.of]
            else:
                found[block.key] = self._variable(block.key, classes, found[block.of])
        found[RANDOMIZED] = self._variable(RANDOMIZED, self._within, REFERENCE)
        return found

    def _variable(self, key: str, classes: Classes, of: str) -> str:
        # What one class draws from does not depend on what it must agree with, self-draws allowed.
        again = self.hypothesis.self_draws
        inner = "" if classes.count == 1 and again else of
        text = f"{classes.digest}|{inner}{'' if again else '|others'}".encode()
        return f"{key}#{blake2b(text, digest_size=8).hexdigest()}"
