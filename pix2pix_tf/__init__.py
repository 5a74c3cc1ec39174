"""pix2pix (Isola et al., CVPR 2017) as a TensorFlow/Keras SavedModel pipeline.

Imports run one way. A module imports from its own package, from lines above its own, and
from what stands before it in its line:

    version, seeds, errors, files               what all may use; no TensorFlow
    quiet_import                                TensorFlow's start-up notes taken out
    config, presets, commands                   settings of a run, as flags; no TensorFlow
    data                                        files and drawn scenes to tf.data batches
    addons, keras_compat                        what the two stacks have in different places
    models, losses, metrics                     networks and objectives from plain arguments
    networks                                    the networks of a configuration
    training                                    state, step, loop, checkpoints, reports
    warmup, serving, inference                  the signatures, and translating with them
    evaluation                                  measures, the segmenter, the perceptual study
    prepare, train, translate, evaluate, demo   commands: python -m pix2pix_tf.train --help
"""

from pix2pix_tf.version import __version__

__all__ = ["__version__"]
