"""The outcome of scrubbing one hypothesis: made of a run, shown, saved and verified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

from causal_scrubbing._data import Dataset
from causal_scrubbing._errors import ScrubError
from causal_scrubbing._files import copied, is_address, local_path, open_store, write_page
from causal_scrubbing._page import render_page
from causal_scrubbing._report import footnotes, scores_html
from causal_scrubbing._result.bundle import write_bundle
from causal_scrubbing._result.labels import Zero, first_notes
from causal_scrubbing._result.page import ManyControls, page_data
from causal_scrubbing._result.pictures import RunPictures
from causal_scrubbing._result.read import read
from causal_scrubbing._result.save import keep
from causal_scrubbing._result.verify import Verification, verify
from causal_scrubbing._result.views import RunViews
from causal_scrubbing._simulate import Run, Sampled, stuck_samples


class Result(RunPictures):
    """The outcome of scrubbing one hypothesis.

    The estimates of the first metric are attributes; ``result["kl"]`` has those of another.
    """

    @classmethod
    def from_run(cls, sampled: Sampled, data: Dataset, run: Run) -> Result:
        """The result of one hypothesis of a finished run.

        Args:
            sampled: what the run found for the hypothesis.
            data: the dataset.
            run: the run.
        """
        hypothesis, measured, record = sampled.hypothesis, sampled.measured, run.record
        alone = stuck_samples(hypothesis, data, sampled.draws)
        figures = hypothesis.agreement(data)
        notes = list(first_notes(hypothesis, figures, Zero.of(record)))
        notes += sampled.notes
        if sampled.swaps is not None:
            notes += [one for one in sampled.swaps.notes if one not in notes]
        if run.stopped is not None:
            notes.append(run.stopped)
        if record.store_dtype is not None:
            notes.append(
                f"activations were stored as {record.store_dtype}, which changes results by "
                "rounding"
            )
        return cls(
            scrubbed_values=dict(measured.scrubbed),
            model_values=dict(measured.model),
            randomized_values=dict(measured.randomized),
            drawn=dict(sampled.draws),
            readable=hypothesis.to_dict(),
            agreement=figures.to_dict(),
            record=record,
            fingerprints={"data": data.fingerprint, "graph": hypothesis.graph.fingerprint},
            stuck=float(alone.mean()),
            alone=alone,
            notes=tuple(notes),
            data=data,
            hypothesis=hypothesis,
            moved=dict(measured.moved),
            moved_randomized=dict(measured.moved_randomized),
            outputs=sampled.outputs,
            run_plan=run.plan,
            known=sampled.known,
            of_means=sampled.of_means,
            distance=run.plan.request.distance,
            swaps=sampled.swaps,
        )

    def _repr_html_(self) -> str:
        zero = self.zero_label
        notes = [*self.untested, *footnotes(self.scores, zero=zero), *self.notes]
        return scores_html(self.name, self.summary, self.scores, notes, zero=zero)

    def __repr__(self) -> str:
        pair = (self.scrubbed, self.recovered)
        scrubbed, recovered = (str(one) if one.defined else "undefined" for one in pair)
        return f"Result({self.name}: scrubbed {scrubbed}, recovered {recovered})"

    @overload
    def report(self, path: None = None, *, controls: ManyControls | None = None) -> str: ...

    @overload
    def report(self, path: str | Path, *, controls: ManyControls | None = None) -> Path: ...

    def report(
        self, path: str | Path | None = None, *, controls: ManyControls | None = None
    ) -> str | Path:
        """The run as one self-contained HTML page.

        Each claim has the colour of what its resampling costs: fitted on the run's own draws, or,
        where controls are given, as measured by them.

        Example::

            result.report("run.html")
            result.report("run.html", controls=cs.controls(h, data, metric))

        Args:
            path: where to write it; nothing is written if None.
            controls: what `controls` gave for this hypothesis and the first metric.

        Returns:
            The path of the file written, or without one the page's text.

        Raises:
            ScrubError: the page cannot be written there, or the controls are of another hypothesis
                or metric.
        """
        text = render_page(page_data(self, controls))
        if path is None:
            return text
        file = Path(path)
        write_page(file, text)
        return file

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path | str:
        """Write the run to a folder: JSON for what is said, Parquet for tables of samples.

        Args:
            path: the folder, or an address that fsspec opens, like ``s3://bucket/run``.
            overwrite: whether a run that is there is replaced.

        Returns:
            Where it is.

        Raises:
            ScrubError: the folder holds something already and `overwrite` is False, it is a file,
                or the disk cannot be written.
        """
        return keep(self, open_store(path), overwrite=overwrite)

    def bundle(
        self,
        path: str | Path,
        *,
        data: bool = True,
        run_file: Mapping[str, Any] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> Path:
        """Write the run as one zip file to hand over, which `cs.rerun` runs again.

        It holds the hypothesis, the dataset or its hash, how the graph was made (in words and names
        of nodes), fingerprints, versions, the tables, and the page. The model is not in it. Where
        the graph was captured, and no node, feature or metric is code of one's own, it holds a run
        file too, with which it runs again on the model's folder alone.

        Example::

            result.bundle("claim.zip")
            assert cs.verify("claim.zip")
            assert cs.rerun("claim.zip", graph=graph, metric=metric)

        Args:
            path: the file; an existing one is replaced.
            data: whether the dataset goes along; its hash does in any case.
            run_file: the run file that the run was made from as plain data, its paths being names
                of `files`; ``causal-scrubbing check --out`` gives it.
            files: what the run file names: name in the bundle -> content. The dataset is among
                them, so that `data` adds nothing.

        Returns:
            The file.

        Raises:
            ScrubError: it is of a subset, the dataset is not at hand or has a type that Parquet has
                not, `files` without `run_file`, or the file cannot be written.
        """
        if self.record.subset is not None:
            raise ScrubError(
                f"this result is on the subset {self.record.subset!r}; bundle the whole run."
            )
        if files and run_file is None:
            raise ScrubError("files= are what run_file= names; give both.")
        write_bundle(
            self, self.report(), Path(path), run_file=run_file, files=files or {}, data=data
        )
        return Path(path)

    def verify(self, path: str | Path | None = None) -> Verification:
        """Check the saved run: every file as written, every estimate as the tables give it.

        Args:
            path: the folder; the one that the run was loaded from or kept in if None.

        Raises:
            ScrubError: the run was not saved in a folder that this result knows of.
        """
        where = self.source if path is None else path
        if where is None:
            raise ScrubError(
                "this result was neither loaded nor kept with out=: save it and verify the folder, "
                "result.verify(result.save('run/'))."
            )
        found = verify(where, data=self.data)
        if found:
            with copied(where) as folder:
                saved = read(folder, RunViews).to_dict()["estimates"]
            if saved != self.to_dict()["estimates"]:
                why = "the estimates saved there are not those of this result"
                return replace(found, differences=(why,))
        return found


def load(path: str | Path, *, data: Dataset | None = None) -> Result:
    """Read a run back from its folder; every estimate is equal to the one saved.

    Args:
        path: the folder or address that `Result.save` wrote to.
        data: the run's dataset, needed only to look at subsets of it; its hash is checked.

    Returns:
        The result, without its hypothesis.

    Raises:
        ScrubError: there is no whole run there, a file is not as it was written, or the data is
            not the run's.
    """
    with copied(path) as folder:
        return read(folder, Result, data, source=path if is_address(path) else local_path(path))
