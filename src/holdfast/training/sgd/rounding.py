"""What 32-bit floats round off a sum of clipped gradients, and the share of the clipping norm that is kept for it."""

from __future__ import annotations

from typing import Final

BLOCK: Final = 256
"""Examples whose gradients are added in one go; the sums of blocks are added one after the other."""


def clip_margin(micro_batch: int) -> float:
    """The share of the clipping norm that is kept for the rounding of 32-bit floats.

    Gradients are clipped to (1 - margin) * clip_norm, and the accountant counts with clip_norm. An addition rounds its
    result by 2**-24 of its size at most, and the sum of k clipped vectors is no longer than k clipping norms. So the
    sum of a block of b is off by 2**-24 times 2 + 3 + … + b < b (b + 1) / 2, whatever the order: m (b + 1) / 2 for all
    blocks. The B = m / b sums of blocks, added one after the other, are off by 2 b + 3 b + … + m < m (B + 1) / 2 more.
    Two sums, with and without one record, differ by both their errors together. Micro-batches are added as whole
    numbers, without rounding. Another 2**-11 is for the norm itself: of its square, 2**-12 for each of a product and a
    sum in 32 bits over up to 4,096 terms.

    Args:
        micro_batch: m, the most examples that are summed in floating point.
    """
    blocks = -(-micro_batch // BLOCK)
    return float(micro_batch * (min(micro_batch, BLOCK) + blocks + 2) * 2.0**-24 + 2.0**-11)
