"""`convert`: an ONNX file from an exported model, compared before it is given out."""

from __future__ import annotations

import json
import logging
import os
import pathlib
import sys
import warnings
from typing import TYPE_CHECKING

import numpy as np

from pix2pix_tf import files
from pix2pix_tf.errors import InputError, MissingInputError, first_line

from .. import image_size
from ..image_size import ImageSize
from ..parity import limits

if TYPE_CHECKING:
    import onnx  # An extra, which not all who ask need.

QUANTIZATIONS = tuple(limits.ONNX)
OPSET = 17
CARD = "model_card"  # Key in the file's metadata.
# Later versions of onnx do not go with what TensorFlow 2.15 needs; see pyproject.toml.
_ONNX = "'onnx<1.18'" if sys.version_info < (3, 12) else "onnx"
INSTALL = f"pip install {_ONNX} onnxruntime 'tf2onnx>=1.17' (Python 3.10 or newer)"
_COMPARED_IMAGES = 3
_FEWEST_ROUNDED = 1024  # Numbers of a weight that is rounded; biases and scales take no room.


def check_installed() -> None:
    """Checks that what converts and runs ONNX files is there.

    Raises:
        MissingInputError: If it is not, saying what to do.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise MissingInputError(
            f"There is no {error.name} for ONNX files. Run: {INSTALL}."
        ) from None


def convert(
    saved_model: str | os.PathLike,
    output: str | os.PathLike,
    *,
    signature: str = "with_noise",
    quantize: str = "none",
    size: ImageSize = None,
) -> dict[str, float]:
    """Writes an ONNX file, whole or not at all.

    Args:
        saved_model: See `serving.version_of`.
        output: The file; its folder is made if it is not there.
        signature: One of `SIGNATURES`. "with_noise" takes `image` and `z`, "serving_default"
            `image` alone, and draws its noise at each call.
        quantize: "none", or "float16": weights of half the size; all else stays float32.
        size: (height, width) in pixels, one image at a time; `image_size.DYNAMIC` for batches of
            any size; None means the model's crop_size.

    Returns:
        The mean and the greatest difference of outputs from the SavedModel's.

    Raises:
        InputError: If the model cannot be used, or the file would differ from it.
        MissingInputError: If what converts is not installed.
        WriteError: If it cannot be written; a file that was there before still is.
    """
    check_installed()
    from pix2pix_tf import serving
    from pix2pix_tf.inference import exported

    output = pathlib.Path(output)
    if output.is_dir():
        raise InputError(f"'{output}' is a folder. Name the file to write in it.")
    with serving.version_of(saved_model) as version:
        card = serving.read_model_card(version)
        portable = exported.portable_model(version)
        model = _to_onnx(
            portable.tensor_signatures(**image_size.input_specs(card, size))[signature]
        )
        if quantize == "float16":
            _round_weights(model)
        _describe(model, serving.published_card(card))
        difference = _compare(exported.load(version), model, size)
    limit = limits.ONNX[quantize].mean
    if not difference["mean"] <= limit:
        raise InputError(
            f"With quantize {quantize} the outputs differ by {difference['mean']:.2g} on average "
            f"from the SavedModel's, more than the {limit:g} of a file that can be used."
        )
    files.make_output_folder(output.parent)
    files.write_atomically(output, model.SerializeToString())
    return difference


def _to_onnx(function) -> onnx.ModelProto:
    """Returns the model of a signature, inputs and output named as there.

    tf2onnx keeps what normalisation and noise compute: nothing in the graph is in an evaluation
    mode, so that nothing is folded into a convolution.
    """
    import tensorflow as tf
    import tf2onnx
    from tensorflow.python.framework import convert_to_constants

    # tf2onnx calls what TensorFlow has announced the end of, and says so a dozen times.
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)

    frozen = convert_to_constants.convert_variables_to_constants_v2(function)
    inputs, outputs = ([tensor.name for tensor in x] for x in (frozen.inputs, frozen.outputs))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, _ = tf2onnx.convert.from_graph_def(
                frozen.graph.as_graph_def(), input_names=inputs, output_names=outputs, opset=OPSET
            )
    except Exception as error:  # tf2onnx raises whatever a handler of an operation does.
        raise InputError(f"tf2onnx fails on this model ({first_line(error)}).") from error
    finally:
        logger.setLevel(level)
    names = {name: name.removesuffix(":0") for name in inputs} | {outputs[0]: "output"}
    for node in model.graph.node:
        for field in (node.input, node.output):
            field[:] = [names.get(name, name) for name in field]
        if node.op_type.startswith("Random"):
            # With a seed each session would begin with the same noise.
            kept = [attribute for attribute in node.attribute if attribute.name != "seed"]
            del node.attribute[:]
            node.attribute.extend(kept)
    for value in (*model.graph.input, *model.graph.output):
        value.name = names.get(value.name, value.name)
    return model


def _round_weights(model: onnx.ModelProto) -> None:
    """Stores large weights in float16; a runtime makes float32 of them when it loads the file."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < _FEWEST_ROUNDED:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_float16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    computed = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *computed])


def _describe(model: onnx.ModelProto, card: dict) -> None:
    """Gives a model its card, and checks it."""
    import onnx

    from pix2pix_tf import version

    model.producer_name, model.producer_version = "pix2pix_tf", version.__version__
    model.doc_string = (
        f"{card['name']}. image: float32 [batch, height, width, channels] in [-1, 1]; z: float32 "
        "in [0, 1). The metadata has the model card."
    )
    onnx.helper.set_model_props(model, {CARD: json.dumps(card)})
    onnx.checker.check_model(model, full_check=True)


def _compare(exported_model, model: onnx.ModelProto, size: ImageSize) -> dict[str, float]:
    """Returns the mean and the greatest difference from the outputs of an exported model."""
    from . import session as onnx_session

    card = exported_model.card
    height, width = image_size.example_size(card, size)
    noise_size = image_size.block_of(card).noise_size_of(height, width)
    session = onnx_session.open_session(_with_noise_given(model).SerializeToString())
    random = np.random.default_rng(0)
    differences = []
    for _ in range(_COMPARED_IMAGES):
        shape = (1, height, width, card["config"]["input_channels"])
        image = random.uniform(-1, 1, shape).astype(np.float32)
        z = random.random((1, noise_size), dtype=np.float32)
        output = onnx_session.run(session, dict(image=image, z=z))
        differences.append(np.abs(output - exported_model.translate_with_noise(image, z)))
    return dict(mean=float(np.mean(differences)), max=float(np.max(differences)))


def _with_noise_given(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a model whose noise is an input, `z`, and not drawn."""
    import onnx

    given = onnx.ModelProto()
    given.CopyFrom(model)
    for node in given.graph.node:
        if node.op_type.startswith("Random"):
            (drawn,) = node.output
            node.CopyFrom(onnx.helper.make_node("Identity", ["z"], [drawn]))
            z = onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, [None, None])
            given.graph.input.append(z)
    return given
