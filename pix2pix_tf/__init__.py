"""pix2pix (Isola et al., CVPR 2017) as a TensorFlow/Keras SavedModel pipeline.

Imports run one way. A module imports from its own package, from lines above its own, and
from what stands before it in its line:

    version, seeds, errors, files, signals      what all may use; no TensorFlow
    progress, html_page, figures                progress bars; the shell of all pages; plots
    config, presets                             settings of a run; no TensorFlow
    pretrained, run_folder, commands            trained models; run folders; flags; no TensorFlow
    data                                        files and drawn scenes to tf.data batches
    grids                                       pictures side by side
    addons, keras_compat                        what the two stacks have in different places
    precision, optimizers                       arithmetic by name; the paper's Adam
    models, losses, metrics                     networks and losses from plain arguments
    pytorch                                     files and networks of the authors' PyTorch code
    networks, objective                         those of a configuration, by registered names
    warmup, serving, inference                  the signatures, and translating with them
    evaluation                                  measures, the segmenter, the perceptual study
    training                                    state, step, loop, checkpoints, reports
    prepare, train, translate, evaluate, demo   commands: pix2pix train --help
    import_pytorch                              command, too
"""

import os

from pix2pix_tf.version import __version__

# Read when TensorFlow is imported, which itself turns oneDNN on only for processors with VNNI,
# bfloat16 or AMX. On others, too, a step takes three quarters of the time with it (docs/speed.md).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Read when TensorFlow first uses a GPU, of which it would else take all memory at once.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

__all__ = ["__version__"]
