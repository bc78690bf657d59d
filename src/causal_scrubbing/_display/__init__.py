"""How values are shown in notebooks, as pictures and in papers, whatever they are."""

from causal_scrubbing._display.displayed import Displayed as Displayed
from causal_scrubbing._display.displayed import Tabular as Tabular
from causal_scrubbing._display.export import to_latex as to_latex
from causal_scrubbing._display.export import to_markdown as to_markdown
from causal_scrubbing._display.figure import picture as picture
from causal_scrubbing._display.figure import styled as styled
from causal_scrubbing._display.figure import wrapped as wrapped
from causal_scrubbing._display.forest import Bar as Bar
from causal_scrubbing._display.forest import plot_forest as plot_forest
from causal_scrubbing._display.heatmap import plot_heatmap as plot_heatmap
from causal_scrubbing._display.html import html_table as html_table
from causal_scrubbing._display.html import html_text as html_text
from causal_scrubbing._display.layers import Box as Box
from causal_scrubbing._display.layers import plot_layers as plot_layers
from causal_scrubbing._display.strips import Strip as Strip
from causal_scrubbing._display.strips import plot_strips as plot_strips
from causal_scrubbing._display.svg import html_layers as html_layers
