"""The page of a run, or of several: one HTML file that opens from disk and fetches nothing."""

from causal_scrubbing._page.data import BlockData as BlockData
from causal_scrubbing._page.data import ClaimData as ClaimData
from causal_scrubbing._page.data import ClassExample as ClassExample
from causal_scrubbing._page.data import ComparedRun as ComparedRun
from causal_scrubbing._page.data import ComparisonData as ComparisonData
from causal_scrubbing._page.data import ControlData as ControlData
from causal_scrubbing._page.data import FieldData as FieldData
from causal_scrubbing._page.data import MetricData as MetricData
from causal_scrubbing._page.data import NodeData as NodeData
from causal_scrubbing._page.data import PageData as PageData
from causal_scrubbing._page.data import SteppedData as SteppedData
from causal_scrubbing._page.render import render_comparison as render_comparison
from causal_scrubbing._page.render import render_page as render_page
from causal_scrubbing._page.shown import Shown as Shown
from causal_scrubbing._page.shown import shown as shown
