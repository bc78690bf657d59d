"""Reports: tables and pictures of estimates, knowing nothing of how the numbers were made."""

from causal_scrubbing._report.html import scores_html as scores_html
from causal_scrubbing._report.plots import plot_laws as plot_laws
from causal_scrubbing._report.plots import plot_scores as plot_scores
from causal_scrubbing._report.tables import KINDS as KINDS
from causal_scrubbing._report.tables import align as align
from causal_scrubbing._report.tables import cell as cell
from causal_scrubbing._report.tables import footnotes as footnotes
from causal_scrubbing._report.tables import kinds as kinds
from causal_scrubbing._report.tables import opened as opened
from causal_scrubbing._report.tables import scores_table as scores_table
from causal_scrubbing._report.views import plot_by as plot_by
from causal_scrubbing._report.views import plot_cancellation as plot_cancellation
from causal_scrubbing._report.views import plot_convergence as plot_convergence
from causal_scrubbing._report.views import plot_shown as plot_shown
