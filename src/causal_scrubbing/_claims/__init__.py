"""Claims as files: run files, verdicts, bundles, and what two claims differ in."""

from causal_scrubbing._claims.check import Check as Check
from causal_scrubbing._claims.check import check as check
from causal_scrubbing._claims.check_schema import CHECK as CHECK
from causal_scrubbing._claims.diff import Diff as Diff
from causal_scrubbing._claims.diff import diff as diff
from causal_scrubbing._claims.faults import Fault as Fault
from causal_scrubbing._claims.faults import RunFileError as RunFileError
from causal_scrubbing._claims.judge import Ground as Ground
from causal_scrubbing._claims.judge import Verdict as Verdict
from causal_scrubbing._claims.rerun import TOLERANCE as TOLERANCE
from causal_scrubbing._claims.rerun import Rerun as Rerun
from causal_scrubbing._claims.rerun import rerun as rerun
from causal_scrubbing._claims.run_file import RunFile as RunFile
from causal_scrubbing._claims.schema import RUN_FILE as RUN_FILE
