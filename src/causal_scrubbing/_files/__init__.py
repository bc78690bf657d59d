"""Files: paths that a user names, writing whole or not at all, reading what may be damaged."""

from causal_scrubbing._files.archive import is_archive as is_archive
from causal_scrubbing._files.archive import unpack as unpack
from causal_scrubbing._files.archive import write_archive as write_archive
from causal_scrubbing._files.paths import check_folder as check_folder
from causal_scrubbing._files.reading import digest as digest
from causal_scrubbing._files.reading import is_library_error as is_library_error
from causal_scrubbing._files.reading import read_json as read_json
from causal_scrubbing._files.reading import reading as reading
from causal_scrubbing._files.schema import NUMBER as NUMBER
from causal_scrubbing._files.schema import DictOf as DictOf
from causal_scrubbing._files.schema import ListOf as ListOf
from causal_scrubbing._files.schema import Optional as Optional
from causal_scrubbing._files.schema import Shape as Shape
from causal_scrubbing._files.schema import check_shape as check_shape
from causal_scrubbing._files.tables import from_column as from_column
from causal_scrubbing._files.tables import read_table as read_table
from causal_scrubbing._files.tables import table_bytes as table_bytes
from causal_scrubbing._files.tables import to_column as to_column
from causal_scrubbing._files.tables import write_table as write_table
from causal_scrubbing._files.writing import remove_parts as remove_parts
from causal_scrubbing._files.writing import write_page as write_page
from causal_scrubbing._files.writing import write_whole as write_whole
from causal_scrubbing._files.writing import writing as writing
