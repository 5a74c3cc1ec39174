"""The generator's objective: a list of named, weighted terms.

    adversarial, l1, l2     the paper's, weighted by lambda_gan, lambda_l1 and lambda_l2
    another name            registered, and weighted by `extra_terms` of the configuration

A term of one's own is a function and a registration:

    @objective.register("gradient_difference")
    def make(config):
        return lambda seen: tf.reduce_mean(...)  # Of seen.target and seen.fake.

    train(TrainConfig(extra_terms="gradient_difference=10", ...), "runs/mine")

It then is in the metrics, the curves and the progress by its name. docs/extending.md has a whole
example, with a fixed network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from pix2pix_tf import losses
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError


class Seen(NamedTuple):
    """What a term of the objective sees of a batch.

    Attributes:
        source: `[batch, height, width, input_channels]`, float32 in [-1, 1].
        target: `[batch, height, width, output_channels]`, float32 in [-1, 1].
        fake: The generator's output, of the shape of `target`.
        fake_logits: What the discriminator says of it, float32
            `[batch, patch_rows, patch_cols, 1]`, no sigmoid applied; None without a discriminator.
    """

    source: tf.Tensor
    target: tf.Tensor
    fake: tf.Tensor
    fake_logits: tf.Tensor | None


Function = Callable[[Seen], tf.Tensor]


class Term(NamedTuple):
    """A term of the objective.

    Attributes:
        name: In metrics it is called `name_loss`.
        weight: Factor in the sum; metrics show the term without it.
        function: Returns a float32 scalar, a mean over the batch.
    """

    name: str
    weight: float
    function: Function


_MADE_BY: dict[str, Callable[[TrainConfig], Function]] = {
    "adversarial": lambda config: (
        lambda seen: losses.adversarial_loss(seen.fake_logits, gan_loss=config.gan_loss)
    ),
    "l1": lambda config: lambda seen: losses.l1_loss(seen.fake, seen.target),
    "l2": lambda config: lambda seen: losses.l2_loss(seen.fake, seen.target),
}


# Of the paper's terms, and of the losses of both networks, which metrics have beside the terms.
_RESERVED = (*_MADE_BY, "generator", "discriminator")


def register(name: str) -> Callable:
    """Returns a decorator that registers what makes a term.

    Args:
        name: A Python identifier; see `Term`. What was registered by it before is replaced.

    Returns:
        A decorator of a function, or class, that takes the configuration and returns the term's
        `function`. It is called once for a run, before anything is traced, and may build or load
        a fixed network; the checkpoints do not hold its variables.
    """
    if not name.isidentifier() or name in _RESERVED:
        raise InputError(
            f"A term cannot be called {name!r}. Use letters, digits and _, but none of "
            f"{', '.join(_RESERVED)}."
        )

    def add(make: Callable[[TrainConfig], Function]) -> Callable[[TrainConfig], Function]:
        _MADE_BY[name] = make
        return make

    return add


def build(config: TrainConfig) -> list[Term]:
    """Returns the terms of a configuration; those of weight 0 are left out.

    Raises:
        InputError: If `extra_terms` names one that is not registered, or one of the paper's.
    """
    own = _own_weights(config)
    for name in config.extra_weights:
        if name in own or name not in _MADE_BY:
            known = ", ".join(other for other in _MADE_BY if other not in own)
            raise InputError(
                f"extra_terms names {name!r}. Registered terms: {known or 'none'}; the program "
                "that trains has to register one of your own (docs/extending.md)."
            )
    weights = {**own, **config.extra_weights}
    return [
        Term(name, weight, _MADE_BY[name](config)) for name, weight in weights.items() if weight
    ]


def loss_names(config: TrainConfig) -> list[str]:
    """Returns the names of the losses of a step, in the order in which they are reported."""
    weights = {**_own_weights(config), **config.extra_weights}
    terms = [f"{name}_loss" for name, weight in weights.items() if weight]
    return [*(["discriminator_loss"] if config.uses_gan else []), "generator_loss", *terms]


def _own_weights(config: TrainConfig) -> dict[str, float]:
    """Returns the weights of the paper's terms."""
    return dict(
        adversarial=config.lambda_gan if config.uses_gan else 0.0,
        l1=config.lambda_l1,
        l2=config.lambda_l2,
    )


def evaluate(terms: Sequence[Term], seen: Seen) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns the weighted sum, and each term without its weight as `name_loss`.

    Raises:
        InputError: If output and target differ in shape.
    """
    if not seen.fake.shape.is_compatible_with(seen.target.shape):
        raise InputError(
            f"The output has shape {seen.fake.shape} and the target {seen.target.shape}. Make "
            "output_channels and the sizes agree."
        )
    values = {f"{term.name}_loss": term.function(seen) for term in terms}
    total = tf.add_n([term.weight * value for term, value in zip(terms, values.values())])
    return total, values
