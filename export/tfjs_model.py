"""A folder of TF.js graph models from an exported SavedModel. See `export.tfjs`, the command."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Sequence

import tensorflow as tf
from google.protobuf import json_format

from export import frozen_graph, subpixel, tfjs_weights
from export.image_size import DYNAMIC, ImageSize
from pix2pix_tf import files, serving
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.errors import InputError
from pix2pix_tf.inference import exported
from pix2pix_tf.networks import noise_size

SIGNATURES = ("serving_default", "with_noise")
# What graphs of the generator hold, and TF.js 4.22 runs. Another operation is refused here
# rather than in somebody's browser; FusedBatchNormV3, above all, which TF.js runs with
# moving averages whatever the graph says.
_RUNS = frozenset(
    "AddV2 BiasAdd Cast ConcatV2 Const Conv2D DepthToSpace FloorDiv FloorMod GatherV2 "
    "GreaterEqual Identity LeakyRelu Maximum Mean Minimum Mul Neg Pack Placeholder Prod "
    "RandomUniform Range Relu Reshape Rsqrt Shape SquaredDifference StridedSlice Sub Tanh".split()
)


def convert(
    saved_model: pathlib.Path,
    output: pathlib.Path,
    *,
    quantize: str = "none",
    size: ImageSize = None,
    signatures: Sequence[str] = SIGNATURES,
) -> pathlib.Path:
    """Writes a folder of TF.js graph models; it appears at once, when it is whole.

    Args:
        saved_model: Folder of exported versions, whose newest is taken, or one of them.
        output: The folder to write.
        quantize: One of `tfjs_weights.QUANTIZATIONS`.
        size: (height, width) in pixels, one image at a time; `image_size.DYNAMIC` for
            batches of any size; None means the model's crop_size.
        signatures: Some of `SIGNATURES`.

    Returns:
        `output`.

    Raises:
        InputError: If `saved_model` is not an exported model, or has operations that TF.js
            lacks; or if `output` exists and is not an empty folder.
        WriteError: If it cannot be written; nothing is left of it then.
    """
    saved_model, output = pathlib.Path(saved_model), pathlib.Path(output)
    check_free(output)
    version = serving.find_version(saved_model)
    card = serving.read_model_card(version)
    graphs = _freeze(version, card, size, signatures)
    files.make_output_folder(output.parent)
    with files.writing(output), files.unfinished_folder(output.parent, output.name) as unfinished:
        _write(unfinished, graphs, card, quantize)
        put_in_place(unfinished, output)
    return output


def check_free(output: pathlib.Path) -> None:
    """Refuses to write a folder where something else is.

    Raises:
        InputError: If there is a file, or a folder that is not empty.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(
            f"'{output}' is there already. Delete it, or name another folder with --output."
        )


def put_in_place(unfinished: pathlib.Path, output: pathlib.Path) -> None:
    """Gives a finished folder its name, where there is nothing but an empty folder."""
    if output.exists():
        output.rmdir()
    os.replace(unfinished, output)


def _freeze(
    version: pathlib.Path, card: dict, size: ImageSize, names: Sequence[str]
) -> dict[str, frozen_graph.FrozenGraph]:
    """Returns the frozen graph of each signature, having checked its operations."""
    config = TrainConfig.from_dict(card["config"])
    if size == DYNAMIC:
        batch, sides, noise = None, (None, None), None
    else:
        batch, sides = 1, size or (config.crop_size, config.crop_size)
        height, width = (-(-side // config.crop_size) * config.crop_size for side in sides)
        noise = noise_size(config, height=height, width=width)
    specs = dict(
        image=tf.TensorSpec([batch, *sides, config.input_channels], tf.float32, name="image"),
        z=tf.TensorSpec([batch, noise], tf.float32, name="z"),
    )
    model = exported.portable_model(version)  # Kept, since its functions do not keep its variables.
    functions = model.tensor_signatures(**specs)
    graphs = {}
    for name in names:
        graph = subpixel.rewrite(frozen_graph.freeze(functions[name]))
        lacking = sorted({node.op for node in graph.nodes} - _RUNS)
        if lacking:
            raise InputError(
                f"'{version}' computes {', '.join(lacking)} in {name}, which TF.js does not run "
                "as TensorFlow does. Export the run again with python -m export.saved_model."
            )
        graphs[name] = graph
    return graphs


def _write(
    folder: pathlib.Path, graphs: dict[str, frozen_graph.FrozenGraph], card: dict, quantize: str
) -> None:
    """Writes the model.json of each graph, and the shards."""
    split = tfjs_weights.split_shared([graph.constants for graph in graphs.values()])
    # The shared weights are equal in all graphs; only their names differ.
    first = next(iter(graphs.values()))
    encoded = [tfjs_weights.encode(key, first.constants[key], quantize) for key in split[0][0]]
    shards = tfjs_weights.write_shards([contents for _, contents in encoded], folder / "weights")
    for (name, graph), (shared, own) in zip(graphs.items(), split):
        model_folder = folder / name
        model_folder.mkdir()
        manifest = [
            dict(
                paths=[f"../weights/{path.name}" for path in shards],
                weights=[dict(entry, name=key) for key, (entry, _) in zip(shared, encoded)],
            )
        ]
        if own:
            own_encoded = [tfjs_weights.encode(key, graph.constants[key], quantize) for key in own]
            own_file = model_folder / "constants.bin"
            own_file.write_bytes(b"".join(contents for _, contents in own_encoded))
            own_entries = [entry for entry, _ in own_encoded]
            manifest.append(dict(paths=[own_file.name], weights=own_entries))
        model = _model_json(graph, manifest, card, quantize)
        (model_folder / "model.json").write_text(json.dumps(model), encoding="utf-8")


def _model_json(
    graph: frozen_graph.FrozenGraph, manifest: list[dict], card: dict, quantize: str
) -> dict:
    """Returns what `tf.loadGraphModel` reads."""

    def describe_shape(spec: tf.TensorSpec) -> dict:
        return dict(dim=[dict(size=str(-1 if side is None else side)) for side in spec.shape])

    def describe(specs: dict[str, tf.TensorSpec]) -> dict:
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
