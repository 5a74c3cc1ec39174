"""One seed, several streams of random numbers that do not meet.

A stateless draw takes two integers: which stream of which seed, and which number
of that stream (a position, a step). Without the stream, the jitter of example 7
and the dropout of step 7 would be the same numbers.
"""

from __future__ import annotations

ORDER, JITTER, NOISE, SAMPLES = range(4)
_NUM_STREAMS = 4


def stream(seed, purpose: int):
    """Returns the first integer of a stateless seed.

    Args:
        seed: The run's seed; an int, or an int64 tensor.
        purpose: `ORDER` of the pairs in an epoch, `JITTER` of an example, `NOISE`
            of a training step, `SAMPLES` for the noise of pictures to look at.
    """
    return seed * _NUM_STREAMS + purpose
