"""Random numbers that are a function of (seed, key, sample number), in any order and piece."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from causal_scrubbing._data import Floats

_LANES = 4  # Philox 4x64 makes four 64-bit numbers for each value of its counter


def uniforms(seed: int, key: str, start: int, stop: int) -> Floats:
    """One number in [0, 1) for each sample number in start..stop - 1, float64 [stop - start].

    The stream of a key is a Philox 4x64 counter generator (Salmon et al. 2011) keyed by a hash of
    seed and key, so that any piece of it can be made without the pieces before.
    """
    digest = blake2b(f"{seed}|{key}".encode(), digest_size=16).digest()
    words = np.frombuffer(digest, dtype=np.uint64)
    first = start // _LANES
    generator = np.random.Generator(np.random.Philox(key=words, counter=first))
    return generator.random(stop - first * _LANES)[start - first * _LANES :]
