"""How far apart two sets of pictures are, as sets of features: Fréchet and kernel distance.

With Inception's features these are FID (Heusel et al., 2017) and KID (Binkowski et
al., 2018); with others they are not, and must not be called so. numpy in float64
alone: which network the features are of is the caller's matter.
"""

from __future__ import annotations

import numpy as np

_DEGREE = 3  # Of the polynomial kernel, as KID has it.
_TAILS = [0.025, 0.975]


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the squared Fréchet distance of Gaussians fitted to two sets; 0 or more.

    |mu1 - mu2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), with unbiased covariances S.
    It is too large for few images, and the fewer the more: values of different
    numbers of images cannot be compared.

    Args:
        first: `[num_images, num_features]`.
        second: The same, of as many images or another number; 2 at least.
    """
    first, second = (np.asarray(x, np.float64) for x in (first, second))
    shift = first.mean(axis=0) - second.mean(axis=0)
    # S = A^T A, so the roots of the eigenvalues of S1 S2 are the singular values of A1 A2^T:
    # no matrix root, which fails where there are fewer images than features.
    roots = [_narrow((x - x.mean(axis=0)) / np.sqrt(len(x) - 1)) for x in (first, second)]
    overlap = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    distance = shift @ shift + sum(np.square(x).sum() for x in roots) - 2.0 * overlap
    return float(max(distance, 0.0))  # Equal sets give rounding errors of either sign.


def _narrow(root: np.ndarray) -> np.ndarray:
    """Returns B with B^T B = A^T A, of as many rows as A has columns at most.

    So the singular values take time with the cube of the features, and not of the images.
    """
    return np.linalg.qr(root, mode="r") if len(root) > root.shape[1] else root


def kernel_distance(
    first: np.ndarray, second: np.ndarray, *, num_resamples: int = 1000, seed: int = 0
) -> tuple[float, tuple[float, float] | None]:
    """Returns the unbiased squared MMD of two sets of pairs, and a 95 % bootstrap interval.

    The kernel is (x.y / num_features + 1)^3. Unbiased for any number of images, so
    it may be below 0 where the sets hardly differ.

    Output i and target i go together, so i = j is left out across the sets as it is within
    them (Gretton et al., "A Kernel Two-Sample Test", JMLR 2012, lemma 6 with m = n). Published
    KID is of sets drawn independently, and keeps it. The interval resamples pairs, and never
    compares a pair with a copy of itself, which would bias every resample.

    Args:
        first: `[num_images, num_features]`, 2 images or more.
        second: The same shape; row i belongs to row i of `first`.
        num_resamples: Resamples of the bootstrap.
        seed: Seed of the resamples.

    Returns:
        (value, (low, high)); None in place of the interval for fewer than 3 images.
    """
    first, second = (np.asarray(x, np.float64) for x in (first, second))
    num_images, num_features = first.shape
    both = np.concatenate([first, second])
    kernel = (both @ both.T / num_features + 1.0) ** _DEGREE
    of_first = kernel[:num_images, :num_images]
    of_second = kernel[num_images:, num_images:]
    across = kernel[:num_images, num_images:]
    terms = of_first + of_second - across - across.T
    np.fill_diagonal(terms, 0.0)

    def discrepancy(weights: np.ndarray) -> np.ndarray:
        """Returns the squared MMD of each row of weights, `[resamples, num_images]`."""
        # What is left without each pair against itself, be it drawn once or more often.
        num_terms = np.square(weights.sum(axis=1)) - np.square(weights).sum(axis=1)
        return np.einsum("ri,ij,rj->r", weights, terms, weights, optimize=True) / num_terms

    value = float(discrepancy(np.ones([1, num_images]))[0])
    if num_images < 3:
        return value, None
    random = np.random.default_rng(seed)
    shares = np.full(num_images, 1.0 / num_images)
    weights = random.multinomial(num_images, shares, size=num_resamples).astype(np.float64)
    weights = weights[np.count_nonzero(weights, axis=1) > 1]  # One image has no distance.
    low, high = np.quantile(discrepancy(weights), _TAILS)
    return value, (float(low), float(high))
