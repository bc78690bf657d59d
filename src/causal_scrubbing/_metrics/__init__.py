"""Metrics: functions of outputs and rows that give one number a row."""

from causal_scrubbing._metrics import metrics as metrics
from causal_scrubbing._metrics.of_means import function_of_means as function_of_means
from causal_scrubbing._metrics.of_means import kept_as as kept_as
from causal_scrubbing._metrics.outputs import SLICE as SLICE
from causal_scrubbing._metrics.outputs import compare_all as compare_all
from causal_scrubbing._metrics.outputs import output_measures as output_measures
from causal_scrubbing._metrics.plain import metric_to_plain as metric_to_plain
from causal_scrubbing._metrics.reading import as_logits as as_logits
from causal_scrubbing._metrics.reading import as_numbers as as_numbers
from causal_scrubbing._metrics.reading import predicted as predicted
from causal_scrubbing._metrics.to_model import same_shape as same_shape
