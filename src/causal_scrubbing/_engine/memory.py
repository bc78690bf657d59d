"""Memory budgets: sizes in words, what a machine has free, and what running out looks like."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import torch

from causal_scrubbing._errors import ScrubError

Size: TypeAlias = int | str
MemoryLimit: TypeAlias = Size | Mapping[str, Size] | None
"""Bytes, a size in words ("4GiB"), or one of these for each kind of device."""

KINDS: Final = ("cpu", "cuda", "mps", "xpu")
"""Kinds of devices that a budget may name, whether the run is on one or not."""

_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*$", re.IGNORECASE)
_POWERS: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_SHARE: Final = 0.5
_MOST: Final = 4 << 30
_UNKNOWN: Final = 2 << 30
_LARGEST_KEPT: Final = (32 << 20) - (64 << 10)


@dataclass(frozen=True)
class Budget:
    """How many bytes a run may take.

    Attributes:
        device: on the device that computes.
        host: in main memory, where the table goes if the device is another and cannot hold it; 0
            where the device is the host.
        given: whether the user gave the budget.
    """

    device: int
    host: int
    given: bool


def parse_bytes(size: Size) -> int:
    """A size such as ``"4GiB"``, ``"500 MB"`` or a number of bytes, in bytes.

    Raises:
        ScrubError: it is no size, or not positive.
    """
    if isinstance(size, str) and (match := _SIZE.match(size)):
        number, prefix, binary = match.groups()
        base = 1024 if binary else 1000
        value = int(float(number) * base ** _POWERS[prefix.upper()])
    elif isinstance(size, int) and not isinstance(size, bool):
        value = size
    else:
        raise ScrubError(f"memory={size!r} is no size; write a number of bytes, or like '4GiB'.")
    if value <= 0:
        raise ScrubError(f"memory={size!r} leaves no room; give a positive size, like '4GiB'.")
    return value


def read_budget(memory: MemoryLimit, device: torch.device) -> Budget:
    """The budget of a run: what the user allows, else half of what is free, at most 4 GiB on a CPU.

    Raises:
        ScrubError: a size cannot be read, or a key names no kind of device.
    """
    if isinstance(memory, Mapping):
        for key in memory:
            if key not in (*KINDS, device.type):
                raise ScrubError(
                    f"memory={dict(memory)!r} names {key!r}, which is no kind of device; give a "
                    f"size for any of {', '.join(map(repr, KINDS))}. Those a run is not on are not "
                    "used."
                )
            parse_bytes(memory[key])
        own = memory.get(device.type)
        host = memory.get("cpu")
    else:
        own = memory
        host = None
    on_device = parse_bytes(own) if own is not None else _default(device)
    on_host = 0
    if device.type != "cpu":
        on_host = parse_bytes(host) if host is not None else _default(torch.device("cpu"))
    return Budget(on_device, on_host, memory is not None)


def _default(device: torch.device) -> int:
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free * _SHARE)
    free = free_memory()
    return min(int(free * _SHARE), _MOST) if free else _UNKNOWN


def free_memory() -> int:
    """Bytes of main memory that can still be taken, or 0 where that cannot be told."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        entry = next(line for line in lines if line.startswith("MemAvailable:"))
        found.append(int(entry.split()[1]) * 1024)
    except (OSError, StopIteration, ValueError, IndexError):
        return 0
    try:  # a container's own limit
        root = Path("/sys/fs/cgroup")
        limit = int((root / "memory.max").read_text())
        found.append(limit - int((root / "memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return max(min(found), 0)


def release(device: torch.device | None) -> None:
    """Give memory that is cached for reuse, but not in use, back to a device."""
    if device is not None and device.type == "cuda":
        torch.cuda.empty_cache()


def keep_freed() -> None:
    """Have the C library keep up to 64 MiB that a batch freed, for the next batch.

    glibc gives the end of its heap back once that is twice the largest block it has yet seen
    freed, of at most 32 MiB, and pays a page fault for every 4 KiB when it takes it again: a
    fifth of a run on a small model. It has now seen one of nearly 32 MiB, never written to.
    Elsewhere nothing changes.
    """
    with suppress(MemoryError):
        np.empty(_LARGEST_KEPT, dtype=np.uint8)


def clock(device: torch.device | None) -> float:
    """Seconds on a clock that only goes up, once the device has done what it was told to do."""
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device is not None and device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()


def enough(count: float) -> str:
    """Bytes as a person reads them, not less than there are, so that the text can be given back."""
    power = 0
    while count >= 1024 and power < 3:
        count /= 1024
        power += 1
    tenths = math.ceil(count * 10) / 10 if power else math.ceil(count)
    return f"{tenths:g} {('B', 'KiB', 'MiB', 'GiB')[power]}"


def show_bytes(count: float) -> str:
    """Bytes as a person reads them: ``1.5 GiB``."""
    return _scaled(count, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))


def show_flops(count: float) -> str:
    """Operations as a person reads them: ``2.1 GFLOP``."""
    return _scaled(count, 1000, ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP"))


def _scaled(count: float, base: int, units: tuple[str, ...]) -> str:
    power = 0
    while abs(count) >= base and power < len(units) - 1:
        count /= base
        power += 1
    return f"{count:.3g} {units[power]}" if power else f"{count:.0f} {units[0]}"
