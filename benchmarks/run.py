"""All benchmarks, each part in a process of its own; the table goes to RESULTS.md.

Seconds are processor seconds of one thread, so that other work on the machine tells less; beside a
GPU, which those leave out, seconds by the clock.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import bench_libraries
import peers

HERE = Path(__file__).parent
PARTS = {
    "tiny": "bench_tiny.run()",
    "sampling": "sampling.measure()",
    "smollm2": "bench_models.run_smollm2()",
    "parens": "bench_parens.run()",
    "synthetic": "bench_models.run_synthetic()",
    "growth": "bench_parens.growth()",
    "memory": "bench_parens.peak_memory()",
    "large": "bench_parens.run_large()",
    "libraries_parens": "bench_libraries.run('parens')",
    "libraries_smollm2": "bench_libraries.run('smollm2')",
}
SIZES = (
    "The quick sizes (BENCH=quick)." if os.environ.get("BENCH") == "quick" else "The full sizes."
)
MODULES = "bench_libraries, bench_models, bench_parens, bench_tiny, sampling"


def measure(part: str) -> object:
    """One part's findings, or a sentence on why there are none."""
    script = (
        f"import sys, json, dataclasses; sys.path.insert(0, {str(HERE)!r})\n"
        f"import torch; torch.set_num_threads(1)\nimport {MODULES}\n"
        f"found = {PARTS[part]}\n"
        "plain = [dataclasses.asdict(x) for x in found] if isinstance(found, list) else found\n"
        "print('\\n@' + json.dumps(plain))"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        return "left out: " + done.stderr.strip().splitlines()[-1]
    return json.loads(done.stdout.rsplit("@", 1)[1])


def times(one: float | None, other: float | None) -> str:
    return "" if one is None or other is None else f"{one / other:.2f}"


SINCE = "## Since 0.1.0"
"""The heading of what other scripts measured, which is kept."""


def render(found: dict[str, object]) -> str:
    import numpy
    import torch

    lines = [
        "# Results",
        "",
        f"{platform.processor() or platform.machine()}, {cpu()}, Python "
        f"{platform.python_version()}, torch {torch.__version__}, numpy {numpy.__version__}. "
        f"{peers.where()} {SIZES}",
        "",
        "*floor*: each distinct clean (node, row) once and the recomputed nodes in isolation; "
        "*naive*: one forward pass for each tree node and sample; *own code*: what one writes by "
        "hand, with hooks, or vectorised for scalar graphs. Peers are given the same draws and "
        "must give the same numbers; naive and own code are run on the first samples and scaled.",
        "",
        "| experiment | N | engine s | engine / floor | naive / engine | own code / engine |",
        "|---|---|---|---|---|---|",
    ]
    libraries = {part: value for part, value in found.items() if part.startswith("libraries")}
    for part, value in found.items():
        if part in libraries:
            continue
        if isinstance(value, str):
            lines.append(f"| {part} | {value} | | | | |")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for x in value:
                lines.append(
                    f"| {x['what']} | {x['samples']:,} | {x['engine']:.3g} | "
                    f"{times(x['engine'], x['floor'])} | {times(x['naive'], x['engine'])} | "
                    f"{times(x['user'], x['engine'])} |"
                )
    lines.append("")
    if libraries:
        lines += [*bench_libraries.render(libraries), ""]
    if isinstance(found.get("sampling"), list):
        argsort, drawing, whole = found["sampling"]
        lines.append(
            f"Sampling: 1,000,000 samples from 1,000,000 rows in 1,000 classes take {drawing:.3f} "
            f"s, {drawing / argsort:.2f} times one argsort of the classes, and {whole:.3f} s, "
            f"{whole / argsort:.2f} times, with the classes made anew."
        )
    if isinstance(found.get("memory"), list):
        before, after, seconds = found["memory"]
        lines.append(
            f'Memory: experiment 1b, N = 1,000,000, memory="1GiB": {after / 2**20:.0f} MiB '
            f"resident at the peak, {before / 2**20:.0f} MiB before the run; {seconds:.0f} s."
        )
    if isinstance(found.get("growth"), dict):
        lines += ["", "![Time against samples and claims](growth.png)", ""]
        for what, points in found["growth"].items():
            shown = ", ".join(f"{int(n):,}: {s:.2f} s" for n, s in points)
            lines.append(f"Time against {what}: {shown}.")
    return "\n".join(lines) + "\n"


def cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
        names = [x for x in text.splitlines() if x.startswith("model name")]
        return names[0].split(":")[1].strip()
    except (OSError, IndexError):
        return platform.machine()


def plot(growth: dict[str, list[tuple[int, float]]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(growth), figsize=(8, 3), layout="constrained")
    for axis, (what, points) in zip(axes, growth.items(), strict=True):
        axis.plot(*zip(*points, strict=True), marker="o")
        axis.set(xlabel=what, ylabel=peers.unit(), xlim=(0, None), ylim=(0, None))
    figure.savefig(HERE / "growth.png", dpi=110)
    plt.close(figure)


def main(parts: list[str]) -> None:
    kept = HERE / "results.json"
    found: dict[str, object] = {}
    if parts != list(PARTS) and kept.exists():
        found = json.loads(kept.read_text())
    for part in parts:
        found[part] = measure(part)
        print(part, found[part], flush=True)
        found = {name: found[name] for name in PARTS if name in found}
        kept.write_text(json.dumps(found, indent=1) + "\n")
        results = HERE / "RESULTS.md"
        since = results.read_text().partition(SINCE)[1:]  # written by hand, from other scripts
        results.write_text(render(found) + "\n" * bool(since[0]) + "".join(since))
    if isinstance(found.get("growth"), dict):
        plot(found["growth"])


if __name__ == "__main__":
    main(sys.argv[1:] or list(PARTS))
