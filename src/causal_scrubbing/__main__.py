"""``python -m causal_scrubbing`` is the command."""

from causal_scrubbing._cli import main

main()
