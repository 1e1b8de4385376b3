"""What the perceptual deduper misses, as measured, in the words of a report.

The shares are of edits of clothing_small. Candidates: 57 edits of two times 143 photographs, 22 of them light (those of
`bench_perceptual.py`) and 35 heavier: crops of 7 to 40 %, turns of 1 to 12°, covers of 10 to 60 % of the area, blends, shifts,
blurs, borders. The two sets of photographs agree within 0.02 in every band. Tiny pictures: the photographs reduced, and 19
light edits of them, at the threshold 0.85.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curate.dedupers.thumbnail_join.waves import FLOOR, LUMA, RESOLUTION, TINY

LIGHT = 0.997
"""The share of pairs of a photograph and a light edit that are candidates."""
CANDIDATES = ((0.95, 0.90), (0.85, 0.78), (0.7, 0.58), (0.5, 0.27), (0.0, 0.16))
"""The lowest measure of a band, and which share of all edits in it are candidates; a band ends where the last began."""
_TINY_RECALL = "0.26 at 28 pixels a side, 0.30 at 32, 0.42 at 40 and 0.47 at 47"


def candidates_note(threshold: float) -> str:
    """Which share of the pairs at or above a threshold are looked at, by how alike they are."""
    told, above = [], 1.0
    for lowest, share in CANDIDATES:
        told.append(f"{share:.2f} at {max(lowest, threshold):.4g} to {above:.4g}")
        if threshold >= lowest:
            break
        above = lowest
    return (
        f"pairs are looked for by 192-bit codes: {LIGHT} of light edits of photographs were looked at, and of all edits, with "
        f"larger crops, turns and covers, by how alike they are, {', '.join(told)}"
    )


def count_tiny(vectors: NDArray[np.float32]) -> int:
    """How many pictures of (n, WIDTH) vectors are smaller than their thumbnail: `is_tiny`, for many."""
    grey = FLOOR / np.maximum(np.hypot(vectors[:, 0], vectors[:, LUMA]), 1e-6)
    return int((vectors[:, RESOLUTION] * grey < TINY * FLOOR).sum())


def tiny_note(tiny: int, looked_at: int) -> str:
    """What is found of edits of tiny pictures."""
    return (
        f"{tiny:,} of {looked_at:,} pictures have a side under 48 pixels; few edits of such are told from strangers: "
        f"at 0.85, of 19 light edits, {_TINY_RECALL} were found"
    )
