r"""Converts an exported SavedModel to TF.js graph models, one a signature.

    python -m export.tfjs --saved_model=exported/facades --output=exported/facades_tfjs

Writes `serving_default/model.json` (an image in, noise drawn inside) and
`with_noise/model.json` (image and z in, determined by its inputs), which share the
files in `weights/`. TF.js 4.22 loads each with `tf.loadGraphModel`. The model card
is each model.json's `userDefinedMetadata`.

The signature `encoded` is left out: TF.js has no operation that decodes an image,
and a browser decodes images by itself.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil

from absl import flags

from export import tfjs_weights
from pix2pix_tf import commands, files
from pix2pix_tf.errors import InputError, MissingInputError

SIGNATURES = ("serving_default", "with_noise")
# What graphs of the generator hold, and TF.js 4.22 runs. Another operation is refused here
# rather than in somebody's browser; FusedBatchNormV3, above all, which TF.js runs with
# moving averages whatever the graph says.
_RUNS = frozenset(
    "AddV2 BiasAdd Cast ConcatV2 Const Conv2D DepthToSpace FloorDiv FloorMod GatherV2 "
    "GreaterEqual Identity LeakyRelu Maximum Mean Minimum Mul Neg Pack Placeholder Prod "
    "RandomUniform Range Relu Reshape Rsqrt Shape SquaredDifference StridedSlice Sub Tanh".split()
)


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string(
        "saved_model", None, "Folder of exported versions, or one version.", required=True
    )
    flags.DEFINE_string("output", None, "Folder to write; not there yet.", required=True)
    flags.DEFINE_enum(
        "quantize",
        "none",
        tfjs_weights.QUANTIZATIONS,
        "How kernels are stored: as they are, or in a half or a quarter of the bytes. TF.js "
        "computes in float32 in all cases.",
    )
    flags.DEFINE_integer(
        "size",
        None,
        "Pixels of the square images that the graphs take, one at a time. Default: the model's "
        "crop_size. 0: batches of any size, slower, since sizes are then computed at each call.",
        lower_bound=0,
        upper_bound=8192,
    )


def main(unused_arguments: list[str]) -> None:
    """Converts what the flags name."""
    options = flags.FLAGS
    written = convert(
        pathlib.Path(options.saved_model),
        pathlib.Path(options.output),
        quantize=options.quantize,
        size=options.size,
    )
    total = sum(path.stat().st_size for path in written.rglob("*") if path.is_file())
    print(f"Wrote '{written}', {total / 1e6:.1f} MB.")


def convert(
    saved_model: pathlib.Path,
    output: pathlib.Path,
    *,
    quantize: str = "none",
    size: int | None = None,
) -> pathlib.Path:
    """Writes a folder of TF.js graph models; it appears at once, when it is whole.

    Args:
        saved_model: Folder of exported versions, whose newest is taken, or one of them.
        output: The folder to write.
        quantize: One of `tfjs_weights.QUANTIZATIONS`.
        size: Pixels of the square images, one at a time; None means the model's
            crop_size, 0 batches of any size.

    Returns:
        `output`.

    Raises:
        InputError: If `saved_model` is none, or has operations that TF.js lacks; or if
            there is something in the place of `output`.
    """
    from pix2pix_tf import serving

    saved_model, output = pathlib.Path(saved_model), pathlib.Path(output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(
            f"'{output}' is there already. Delete it, or name another folder with --output."
        )
    version = _find_version(saved_model)
    card = serving.read_model_card(version)
    graphs = _freeze(version, card, size)
    files.make_output_folder(output.parent)
    unfinished = output.parent / f".{output.name}.{os.getpid()}"
    try:
        _write(unfinished, graphs, card, quantize)
        if output.exists():
            output.rmdir()
        os.replace(unfinished, output)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return output


def _find_version(folder: pathlib.Path) -> pathlib.Path:
    """Returns the newest version of a model folder; a version is its own."""
    from pix2pix_tf import serving

    if not folder.is_dir():
        raise MissingInputError(
            f"There is no folder '{folder}'. Pass the --output of python -m export.saved_model."
        )
    if (folder / "saved_model.pb").is_file():
        return folder
    versions = serving.list_versions(folder)
    if not versions:
        raise InputError(
            f"'{folder}' is no SavedModel: it has no saved_model.pb and no numbered versions. "
            "Pass the --output of python -m export.saved_model."
        )
    return folder / str(versions[-1])


def _freeze(version: pathlib.Path, card: dict, size: int | None) -> dict:
    """Returns the frozen graph of each signature, having checked its operations."""
    import tensorflow as tf

    from export import frozen_graph, subpixel
    from pix2pix_tf.config import TrainConfig
    from pix2pix_tf.training.state import noise_size

    config = TrainConfig.from_dict(card["config"])
    size = config.crop_size if size is None else size
    batch = None
    sides, noise = (None, None), None
    if size:
        batch, sides = 1, (size, size)
        padded = -(-size // config.crop_size) * config.crop_size
        noise = noise_size(config, height=padded, width=padded)
    specs = dict(
        image=tf.TensorSpec([batch, *sides, config.input_channels], tf.float32),
        z=tf.TensorSpec([batch, noise], tf.float32),
    )
    files.check_no_pattern(version)
    try:
        loaded = tf.saved_model.load(str(version))
        signatures = {name: loaded.signatures[name] for name in SIGNATURES}
    except (OSError, ValueError, LookupError, tf.errors.OpError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"'{version}' cannot be loaded as a SavedModel ({reason}). Export the run again."
        ) from None
    graphs = {}
    for name, signature in signatures.items():
        wanted = signature.structured_input_signature[1]
        graph = subpixel.rewrite(
            frozen_graph.freeze(signature, {key: specs[key] for key in wanted})
        )
        lacking = sorted({node.op for node in graph.nodes} - _RUNS)
        if lacking:
            raise InputError(
                f"'{version}' computes {', '.join(lacking)} in {name}, which TF.js does not run "
                "as TensorFlow does. Export the run again with python -m export.saved_model."
            )
        graphs[name] = graph
    return graphs


def _write(folder: pathlib.Path, graphs: dict, card: dict, quantize: str) -> None:
    """Writes the model.json of each graph, and the shards."""
    split = tfjs_weights.split_shared([graph.constants for graph in graphs.values()])
    shards = None
    for (name, graph), (shared, own) in zip(graphs.items(), split):
        encoded = {
            key: tfjs_weights.encode(key, value, quantize) for key, value in graph.constants.items()
        }
        if shards is None:  # The first graph's are everybody's.
            stream = [encoded[key][1] for key in shared]
            shards = tfjs_weights.write_shards(stream, folder / "weights")
        model_folder = folder / name
        model_folder.mkdir()
        manifest = [
            dict(
                paths=[f"../weights/{path.name}" for path in shards],
                weights=[encoded[key][0] for key in shared],
            )
        ]
        if own:
            own_file = model_folder / "constants.bin"
            own_file.write_bytes(b"".join(encoded[key][1] for key in own))
            manifest.append(dict(paths=[own_file.name], weights=[encoded[key][0] for key in own]))
        model = _model_json(graph, manifest, card, quantize)
        (model_folder / "model.json").write_text(json.dumps(model), encoding="utf-8")


def _model_json(graph, manifest: list[dict], card: dict, quantize: str) -> dict:
    """Returns what `tf.loadGraphModel` reads."""
    from google.protobuf import json_format

    def describe(specs: dict) -> dict:
        return {
            name: dict(
                name=f"{name}:0",
                dtype=f"DT_{spec.dtype.name.upper()}".replace("FLOAT32", "FLOAT"),
                tensorShape=dict(
                    dim=[dict(size=str(-1 if side is None else side)) for side in spec.shape]
                ),
            )
            for name, spec in specs.items()
        }

    return dict(
        format="graph-model",
        generatedBy=f"pix2pix_tf {card['versions']['pix2pix_tf']}",
        convertedBy="pix2pix_tf export.tfjs",
        signature=dict(inputs=describe(graph.inputs), outputs=describe(graph.outputs)),
        modelTopology=dict(
            node=[json_format.MessageToDict(node) for node in graph.nodes],
            versions=dict(producer=1),
        ),
        weightsManifest=manifest,
        userDefinedMetadata=dict(card, tfjs=dict(quantize=quantize)),
    )


if __name__ == "__main__":
    define_flags()
    commands.run(main)
