"""pix2pix (Isola et al., CVPR 2017) as a TensorFlow/Keras SavedModel pipeline.

Imports run one way, each line importing only from lines above it:

    errors, files, seeds, version, config   settings of a run; no TensorFlow
    data                                    files and drawn scenes to tf.data batches
    addons, models, losses, metrics         networks and objectives from plain arguments
    keras_compat, training                  state, step, loop, checkpoints, reports
    serving, inference, evaluation          signatures, translation, measures
    presets                                 the paper's tasks as settings
    prepare, train, translate, evaluate     commands: python -m pix2pix_tf.train --help
"""

from pix2pix_tf.version import __version__

__all__ = ["__version__"]
