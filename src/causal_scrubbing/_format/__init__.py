"""Numbers, lists and plain values in words."""

from causal_scrubbing._format.digits import alike as alike
from causal_scrubbing._format.digits import decimals as decimals
from causal_scrubbing._format.digits import fixed as fixed
from causal_scrubbing._format.digits import percent_decimals as percent_decimals
from causal_scrubbing._format.digits import short as short
from causal_scrubbing._format.plain import plain as plain
from causal_scrubbing._format.printable import is_printable as is_printable
from causal_scrubbing._format.printable import printable as printable
from causal_scrubbing._format.words import listed as listed
from causal_scrubbing._format.words import plural as plural
from causal_scrubbing._format.words import share as share
