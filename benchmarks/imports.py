"""What starting costs, as shares of what `import torch` costs in the same run.

Processor seconds of fresh processes, all threads together, the least of several; the turns are
taken in rounds so that other work on the machine meets all alike. ``python benchmarks/imports.py``
writes IMPORTS.md.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

ROUNDS = 5
TORCH = "import torch"
STARTS = {
    TORCH: "",
    "import causal_scrubbing": "",
    "import causal_scrubbing as cs; cs.scrub": "at most 1.25",
    "causal-scrubbing --help": "under 0.2",
    "causal-scrubbing gallery": "under 0.2",
}
"""What is started -> what its share should be."""


def seconds(start: str) -> float:
    """Processor seconds of one start, the interpreter's own included."""
    command, *arguments = start.split()
    if command == "import":
        line = [sys.executable, "-c", start]
    else:
        line = [sys.executable, "-m", "causal_scrubbing", *arguments]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure, and write the table."""
    import torch

    found: dict[str, list[float]] = {start: [] for start in STARTS}
    for start in STARTS:
        seconds(start)  # compiles to bytecode what is not yet
    for _ in range(ROUNDS):
        for start in STARTS:
            found[start].append(seconds(start))
    least = {start: min(times) for start, times in found.items()}
    lines = [
        "# What starting costs",
        "",
        f"Python {platform.python_version()}, torch {torch.__version__}. Processor seconds, the "
        f"interpreter's own included, the least of {ROUNDS} fresh processes.",
        "",
        "| start | seconds | share of `import torch` | wanted |",
        "|---|---|---|---|",
        *(
            f"| `{start}` | {own:.3f} | {own / least[TORCH]:.2f} | {STARTS[start]} |"
            for start, own in least.items()
        ),
    ]
    (Path(__file__).parent / "IMPORTS.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
