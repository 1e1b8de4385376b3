"""Whether two pictures of one layout differ in their detail: rendered ones in a line of text, moving ones in a frame.

A function of the two vectors' detail (`curate/embedders/thumbnails/detail.py`): numbers of 24×24 cells, which an honest copy
changes by little everywhere, and another text or frame by much somewhere.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from curate.dedupers.thumbnail_join.waves import CELLS, DETAIL, FLOOR, FRAMES, RENDERED, SHARP

DECIDES = 0.6
"""How far one of two pictures looks rendered where their detail decides."""
KNOWN = 0.55
"""A picture that looks rendered less has no detail in its vector."""
NOISE = 12.0
"""Grey levels of a cell's number that say nothing."""
LIMIT = 0.02
"""Windows of 2×2 cells whose difference has a larger share of their energy are different, in rendered pictures."""
EXACT = (4.0, 0.0015)
"""So are windows whose share is so many times that of nine windows of ten, and this: an honest copy differs everywhere alike.

Chosen on generated screens, dialogues, invoices, forms and line charts, as PNG, JPEG 90 and 75: all of 1,350 pairs with other
contents are told apart, 0.96 of those with one other digit; of the copies JPEG 90, sizes of 0.75 and 1.5 and other brightness
stay the same but for 0.03, WebP 60 for 0.32, JPEG 75 and 50 and half the size for 0.36: those are kept as well."""
FRAME_LIMIT = 0.04
"""The limit for moving pictures, which are packed with more loss: one other frame of n has a share of about 2 / n."""


@njit(cache=True, nogil=True)
def detail_decides(left, right, scale_a, scale_b):  # type: ignore[no-untyped-def]
    """Whether the pictures are rendered, or one of them moves."""
    if left[FRAMES] > 0 or right[FRAMES] > 0:
        return True
    one, other = left[RENDERED] * scale_a / FLOOR, right[RENDERED] * scale_b / FLOOR
    return max(one, other) >= DECIDES and min(one, other) >= KNOWN


@njit(cache=True, nogil=True)
def details_differ(left, right, scale_a, scale_b):  # type: ignore[no-untyped-def]
    """Whether the detail of two vectors (WIDTH,), over which it decides, tells another text or frame."""
    moving = left[FRAMES] > 0 or right[FRAMES] > 0
    if moving and abs(left[FRAMES] * scale_a - right[FRAMES] * scale_b) > 1e-3:
        return True
    a = left[DETAIL:RENDERED] * (scale_a / SHARP)
    b = right[DETAIL:RENDERED] * (scale_b / SHARP)
    ab, bb = 0.0, 1e-9
    for k in range(CELLS * CELLS):
        ab += a[k] * b[k]
        bb += b[k] * b[k]
    gain = min(max(ab / bb, 0.5), 2.0)  # a copy of another contrast
    noise = 2 * 4 * NOISE * NOISE
    shares, inked, worst = np.empty((CELLS - 1) ** 2), 0, 0.0
    for i in range(CELLS - 1):
        for j in range(CELLS - 1):
            difference, energy = 0.0, 0.0
            for k in (i * CELLS + j, i * CELLS + j + 1, (i + 1) * CELLS + j, (i + 1) * CELLS + j + 1):
                difference += (a[k] - gain * b[k]) ** 2
                energy += a[k] ** 2 + (gain * b[k]) ** 2
            share = difference / (energy + noise)
            worst = max(worst, share)
            if energy > noise / 2:
                shares[inked] = share
                inked += 1
    limit = FRAME_LIMIT if moving else LIMIT
    if worst > limit:
        return True
    if moving or inked < 8:
        return False
    usual = np.sort(shares[:inked])[inked * 9 // 10]
    return worst > max(EXACT[0] * usual, EXACT[1])
