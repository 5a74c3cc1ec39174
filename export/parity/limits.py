"""How far a converted model may be from the one it was made of: the one table of limits.

`export.verify` holds every runtime against it, and `export.tflite` every file that it
writes; docs/parity.md and docs/tflite.md quote it, which a test compares.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Limit:
    """Greatest absolute differences of outputs, in units of the range [-1, 1].

    Attributes:
        mean: Mean over all pixels of all images.
        max: Difference of a single value.
        mean_shift: Difference of the mean over many draws of the noise, root mean square over the
            values, beyond what the sampling of the draws explains.
    """

    mean: float
    max: float
    mean_shift: float


# float32 everywhere: kernels sum in another order, no more.
EXACT = Limit(mean=1e-5, max=1e-4, mean_shift=1e-5)
# By --quantize. For scale: one grey level of 256 is 0.008, two draws of the noise differ by 0.015
# on average. 8 bits: about three times what the 256x256 facades model shows (docs/parity.md),
# since models differ in how their weights spread; a broken conversion is off by far more.
# float16: what nobody sees. That model shows 6e-5, a tiny one without normalisation 3e-4.
# mean_shift likewise: beyond the sampling error, that model's mean over 64 draws is off by 0.010
# in int8 and by 0.002 in dynamic. In the other forms nothing is seen of it, and a shift that is
# the same in each draw is no more than the mean difference: so much is allowed.
TFLITE = {
    "none": EXACT,
    # Weights rounded to 11 bits.
    "float16": Limit(mean=1e-3, max=0.01, mean_shift=1e-3),
    # Weights, and what enters a layer, in 8 bits.
    "dynamic": Limit(mean=0.016, max=0.16, mean_shift=0.006),
    # All activations of the convolutions in 8 bits.
    "int8": Limit(mean=0.045, max=0.35, mean_shift=0.03),
}
ONNX = {name: TFLITE[name] for name in ("none", "float16")}
TFJS = {
    "none": EXACT,
    "float16": TFLITE["float16"],
    "uint8": Limit(mean=5e-3, max=0.1, mean_shift=5e-3),  # Weights in 8 bits.
}
