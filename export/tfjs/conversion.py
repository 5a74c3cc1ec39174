"""`convert`: a folder of TF.js graph models from an exported SavedModel."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from pix2pix_tf import files
from pix2pix_tf.errors import InputError

from .. import image_size
from ..image_size import SIGNATURES, ImageSize
from . import weights

# What graphs of the generator hold, and TF.js 4.22 runs. Another operation is refused here
# rather than in somebody's browser; FusedBatchNormV3, above all, which TF.js runs with
# moving averages whatever the graph says.
_RUNS = frozenset(
    "AddV2 BiasAdd Cast ConcatV2 Const Conv2D DepthToSpace FloorDiv FloorMod GatherV2 "
    "GreaterEqual Identity LeakyRelu Maximum Mean Minimum Mul Neg Pack Placeholder Prod "
    "RandomUniform Range Relu Reshape Rsqrt Shape SquaredDifference StridedSlice Sub Tanh".split()
)


def convert(
    saved_model: str | os.PathLike,
    output: pathlib.Path,
    *,
    quantize: str = "none",
    size: ImageSize = None,
) -> pathlib.Path:
    """Writes a folder of TF.js graph models; it appears at once, when it is whole.

    Args:
        saved_model: See `serving.version_of`.
        output: The folder to write.
        quantize: One of `weights.QUANTIZATIONS`.
        size: (height, width) in pixels, one image at a time; `image_size.DYNAMIC` for
            batches of any size; None means the model's crop_size.

    Returns:
        `output`.

    Raises:
        InputError: If `saved_model` is not an exported model, or has operations that TF.js
            lacks; or if `output` exists and is not an empty folder.
        WriteError: If it cannot be written; nothing is left of it then.
    """
    from pix2pix_tf import serving
    from pix2pix_tf.inference import exported

    output = pathlib.Path(output)
    files.check_free(output)
    with serving.version_of(saved_model) as version:
        card = serving.read_model_card(version)
        graphs = freeze(exported.portable_model(version), card, size=size)
    files.make_output_folder(output.parent)
    with files.writing(output), files.unfinished_folder(output.parent, output.name) as unfinished:
        write(unfinished, graphs, card, quantize)
        os.replace(unfinished, output)
    return output


def freeze(
    model, card: dict, *, size: ImageSize = None, signatures: Sequence[str] = SIGNATURES
) -> dict:
    """Returns the frozen graphs of a model by signature, as TF.js runs them.

    Args:
        model: A portable `serving.ServingModel`.
        card: Its model card.
        size: See `convert`.
        signatures: Some of `SIGNATURES`.

    Raises:
        InputError: If there are operations that TF.js lacks.
    """
    from .. import frozen_graph
    from . import subpixel

    functions = model.tensor_signatures(**image_size.input_specs(card, size))
    graphs = {}
    for name in signatures:
        graph = subpixel.rewrite(frozen_graph.freeze(functions[name]))
        lacking = sorted({node.op for node in graph.nodes} - _RUNS)
        if lacking:
            raise InputError(
                f"The model computes {', '.join(lacking)} in {name}, which TF.js does not run "
                "as TensorFlow does. Export the run again with pix2pix export saved_model."
            )
        graphs[name] = graph
    return graphs


def write(folder: pathlib.Path, graphs: dict, card: dict, quantize: str) -> None:
    """Writes a new folder: the model.json of each graph, and the shards, which all share."""
    values, names_by_contents, renamed = {}, {}, {}
    for signature, graph in graphs.items():
        names = {}
        for name, value in graph.constants.items():
            digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).digest()
            key = (value.dtype, value.shape, digest)
            # Named by what it holds, so that equal weights of all graphs are one.
            names[name] = names_by_contents.setdefault(key, f"constant_{len(names_by_contents)}")
            values[names[name]] = value
        renamed[signature] = graph.rename(names)
    group = weights.write(values, folder / "weights", quantize)
    group["paths"] = [f"../weights/{name}" for name in group["paths"]]
    for signature, graph in renamed.items():
        (folder / signature).mkdir()
        model = _model_json(graph, [group], card, quantize)
        (folder / signature / "model.json").write_text(json.dumps(model), encoding="utf-8")


def _model_json(graph, manifest: list[dict], card: dict, quantize: str) -> dict:
    """Returns what `tf.loadGraphModel` reads."""
    from google.protobuf import json_format

    from pix2pix_tf import serving

    def describe_shape(spec) -> dict:
        return dict(dim=[dict(size=str(-1 if side is None else side)) for side in spec.shape])

    def describe(specs: dict) -> dict:
        return {
            name: dict(name=f"{name}:0", dtype="DT_FLOAT", tensorShape=describe_shape(spec))
            for name, spec in specs.items()
        }

    nodes = [json_format.MessageToDict(node) for node in graph.nodes]
    for node in nodes:
        if node["op"] == "Placeholder":
            # Protobuf leaves a size of 0 out, as that of z without dropout; TF.js then reads NaN.
            node["attr"]["shape"] = dict(shape=describe_shape(graph.inputs[node["name"]]))
    return dict(
        format="graph-model",
        generatedBy=f"pix2pix_tf {card['versions']['pix2pix_tf']}",
        convertedBy="pix2pix_tf export.tfjs",
        signature=dict(inputs=describe(graph.inputs), outputs=describe(graph.outputs)),
        modelTopology=dict(node=nodes, versions=dict(producer=1)),
        weightsManifest=manifest,
        userDefinedMetadata=dict(serving.published_card(card), tfjs=dict(quantize=quantize)),
    )
