"""Paths that a user names, checked; writing that is whole or not at all."""

from causal_scrubbing._files.paths import check_folder as check_folder
from causal_scrubbing._files.paths import write_page as write_page
