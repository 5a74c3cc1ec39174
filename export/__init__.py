"""From a run folder to what others run: a SavedModel, a server, TFLite, TF.js, a page.

Imports run one way. A module imports from its own package, from lines above its own, and
from what stands before it in its line:

    errors, image_size              what a runtime raises; which images a conversion is for
    cpp_session, frozen_graph       an export in TensorFlow's C++ session; as a plain graph
    parity                          one model on every runtime; a format registers its rows here
    browser                         models in Node and in Chromium
    tflite, tfjs, onnx              files for phones, for pages, and for other runtimes
    web                             the drawing page
    tf_serving                      the server's files and a client
    beam                            bulk translation as a pipeline
    saved_model, compact, verify    commands: pix2pix export saved_model --help
    beam_translate, pytorch         commands, too

The packages tflite, tfjs, onnx and web are commands as well, and so is tf_serving.client.
"""

from pix2pix_tf import commands as _commands  # noqa: F401  Before Keras; it says why.
