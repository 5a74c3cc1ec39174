"""Where Keras 2.15 and Keras 3 differ; the only module that asks which one runs."""

from __future__ import annotations

import io

import keras
import tensorflow as tf
from keras.src.saving import saving_lib

IS_KERAS_3 = int(keras.__version__.split(".")[0]) >= 3


def weights_file(model: keras.Model) -> bytes:
    """Returns what `model.save_weights("NAME.weights.h5")` writes into the file.

    For Python to write: HDF5 cannot give up a file that it lacks room to finish, and the
    process ends by SIGSEGV. Keras keeps the way into memory for itself.
    """
    buffer = io.BytesIO()
    store = saving_lib.H5IOStore(buffer, mode="w")
    visited = "visited_saveables" if IS_KERAS_3 else "visited_trackables"
    saving_lib._save_state(
        model, weights_store=store, assets_store=None, inner_path="", **{visited: set()}
    )
    store.close()
    return buffer.getvalue()


class ScaledOptimizer(tf.Module):
    """A Keras optimizer with loss scaling, or without, behind one interface.

    float16 cannot hold a gradient under 6e-8, so the loss is multiplied before the
    gradient is taken and the gradient divided after; a step whose gradient is
    not finite is skipped and the scale halved (Micikevicius et al., "Mixed
    Precision Training", ICLR 2018).

    Args:
        optimizer: A Keras optimizer.
        variables: What it will update; its own variables are made here, so that
            nothing is created while a step is traced.
        loss_scaling: Whether to scale.
    """

    def __init__(self, optimizer, variables, *, loss_scaling: bool):
        super().__init__()
        self._scales = loss_scaling
        if loss_scaling:
            module = keras.optimizers if IS_KERAS_3 else keras.mixed_precision
            optimizer = module.LossScaleOptimizer(optimizer)
        self.optimizer = optimizer
        if loss_scaling and not IS_KERAS_3:
            optimizer.inner_optimizer.build(variables)
        else:
            optimizer.build(variables)

    def scale_loss(self, loss: tf.Tensor) -> tf.Tensor:
        """Returns what to take the gradient of."""
        if not self._scales:
            return loss
        if IS_KERAS_3:
            return self.optimizer.scale_loss(loss)
        return self.optimizer.get_scaled_loss(loss)

    def apply(self, gradients, variables) -> None:
        """Updates `variables` with gradients of the scaled loss, summed over replicas."""
        if IS_KERAS_3:
            if self._scales:
                gradients = _agreed_gradients(gradients)
            self.optimizer.apply(gradients, variables)
            return
        if self._scales:
            gradients = self.optimizer.get_unscaled_gradients(gradients)
        self.optimizer.apply_gradients(zip(gradients, variables))

    @property
    def loss_scale(self) -> float:
        """The loss scale of the next step; 1 without loss scaling."""
        if not self._scales:
            return 1.0
        scale = self.optimizer.dynamic_scale if IS_KERAS_3 else self.optimizer.loss_scale
        return float(tf.convert_to_tensor(scale))

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        # Not the public property: with a schedule Keras 2 gives that of the last step.
        inner = self.optimizer.inner_optimizer if self._scales else self.optimizer
        rate = inner._learning_rate
        rate = rate(inner.iterations) if callable(rate) else rate
        return float(tf.convert_to_tensor(rate))  # float() of a mirrored variable fails.


class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam, each variable updated by one operation that reads everything once.

    Keras writes the update as a dozen element-wise operations, each of which goes
    through all weights; for 57 million of them the memory is what takes the time.
    TensorFlow's own kernel computes the same formula in one pass, without amsgrad.
    """

    def __init__(self, *args, **kwargs):
        if not IS_KERAS_3:
            kwargs["jit_compile"] = False  # On a GPU it would compile each weight by itself.
        super().__init__(*args, **kwargs)

    def apply(self, *args, **kwargs):
        """Updates all variables; Keras 3 calls this."""
        self._raise_betas()
        super().apply(*args, **kwargs)

    def apply_gradients(self, *args, **kwargs):
        """Updates all variables; Keras 2 calls this."""
        self._raise_betas()
        return super().apply_gradients(*args, **kwargs)

    def _raise_betas(self) -> None:
        """Computes the powers of both betas, which all weights of a step share."""
        step = tf.cast(self.iterations + 1, tf.float32)
        self._beta_1_power = tf.pow(self.beta_1, step)
        self._beta_2_power = tf.pow(self.beta_2, step)

    def update_step(self, gradient, variable, learning_rate=None):
        """Updates one variable; Keras 3 passes the rate, Keras 2 keeps it itself."""
        if IS_KERAS_3:
            index = self._get_variable_index(variable)
        else:
            index = self._index_dict[self._var_key(variable)]
            learning_rate = self.learning_rate
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[index]),
            v=_handle(self._velocities[index]),
            beta1_power=self._beta_1_power,
            beta2_power=self._beta_2_power,
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, tf.float32),
        )


def average_into(averages, variables, decay: tf.Tensor) -> None:
    """Moves averages towards variables: `average += (1 - decay) * (variable - average)`.

    On each replica its own copies, which stay equal since the variables are.

    Args:
        averages: Variables that nothing else writes.
        variables: As many, of the same shapes.
        decay: float32, a scalar.
    """
    for average, variable in zip(averages, variables):
        # In place, so that nothing is copied but the difference.
        tf.raw_ops.ResourceApplyGradientDescent(
            var=_handle(average),
            alpha=1.0 - decay,
            delta=tf.convert_to_tensor(average) - tf.convert_to_tensor(variable),
        )


def _handle(variable) -> tf.Tensor:
    """Returns the resource of a Keras or TensorFlow variable; of a mirrored one, this replica's."""
    # Keras 3 wraps its variables, but may pass the bare one.
    is_wrapped = IS_KERAS_3 and isinstance(variable, keras.Variable)
    return (variable.value if is_wrapped else variable).handle


def _agreed_gradients(gradients):
    """Returns the mean over the replicas, on every replica.

    Keras 3 decides whether to skip a step by the first replica's gradients; an
    overflow on another one would go into the weights. The optimizer sums over
    the replicas afterwards: the sum of N equal means is the sum it would have had.
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return gradients
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, gradients)


def tf_variables(model: keras.Model) -> list[tf.Variable]:
    """Returns a model's weights as TensorFlow variables.

    Keras 3 wraps them, and a SavedModel that tracks the wrappers alone cannot be
    loaded outside Python.
    """
    return [variable.value if IS_KERAS_3 else variable for variable in model.variables]
