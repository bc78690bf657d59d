"""Tables of samples as Parquet: written whole, with a checksum on each page that is verified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from causal_scrubbing._files.writing import write_whole

if TYPE_CHECKING:
    import pyarrow as pa


def to_column(values: npt.NDArray[np.float64]) -> pa.Array:
    """Values of samples as a column; several a sample as a list of fixed size.

    Args:
        values: [N] or [N, k].
    """
    import pyarrow as pa

    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def from_column(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """What `to_column` wrote, [N] or [N, k]."""
    import pyarrow as pa

    if pa.types.is_fixed_size_list(column.type):
        width = column.type.list_size
        flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return np.asarray(flat, dtype=np.float64).reshape(-1, width)
    return np.asarray(column.to_numpy(), dtype=np.float64)


def write_table(table: Any, file: Path) -> None:
    """Write a table as Parquet, whole or not at all.

    Raises:
        ScrubError: the disk is full or cannot be written.
    """
    write_whole(file, table_bytes(table))


def table_bytes(table: Any) -> bytes:
    """A table as the content of a Parquet file, with a checksum on each page."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, write_page_checksum=True)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def read_table(content: bytes) -> pa.Table:
    """A table from the content of a Parquet file, each page's checksum verified.

    The content is read before: a file that is mapped into memory cannot be deleted everywhere.

    Raises:
        OSError, pyarrow.ArrowException: the content is damaged; call it within `reading`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
