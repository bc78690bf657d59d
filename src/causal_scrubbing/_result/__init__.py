"""What a run measured: estimates, tables, comparison, save and load."""

from causal_scrubbing._result.bundle import DATA as DATA
from causal_scrubbing._result.bundle import RUN_FOLDER as RUN_FOLDER
from causal_scrubbing._result.bundle import data_of_table as data_of_table
from causal_scrubbing._result.bundle import opened as opened
from causal_scrubbing._result.compare import Comparison as Comparison
from causal_scrubbing._result.compare import compare as compare
from causal_scrubbing._result.exact_result import Behaviour as Behaviour
from causal_scrubbing._result.exact_result import ExactResult as ExactResult
from causal_scrubbing._result.merge import merge as merge
from causal_scrubbing._result.result import Result as Result
from causal_scrubbing._result.result import load as load
from causal_scrubbing._result.results import Results as Results
from causal_scrubbing._result.save import keep as keep
from causal_scrubbing._result.subset import Subset as Subset
from causal_scrubbing._result.subset import rows_inside as rows_inside
from causal_scrubbing._result.subset import subset_name as subset_name
from causal_scrubbing._result.verify import Verification as Verification
from causal_scrubbing._result.verify import verify as verify
