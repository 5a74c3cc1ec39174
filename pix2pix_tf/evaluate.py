r"""Measures outputs on pairs that the model was not trained on.

    pix2pix evaluate --model=runs/facades --output=runs/facades/test
    pix2pix evaluate --outputs=FOLDER --dataset=facades --direction=BtoA --output=out

The first asks a model, the second takes pictures that any program wrote; pairs that are arrays
of other channels or values need the first. Prints a table
and writes `index.html`, `evaluation.json`, plots and pictures; docs/evaluation.md says
what the numbers mean. The data set is the model's own unless `--dataset` names another.
Training chooses its best checkpoint on val where there is such a split: test is then the
fair measure.
"""

from __future__ import annotations

import dataclasses
import pathlib

from absl import flags

from pix2pix_tf import commands
from pix2pix_tf.config import LAB, RGB, TrainConfig, value_range
from pix2pix_tf.data import augment, classes, label_targets, pairs, pipeline
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation import runner
from pix2pix_tf.evaluation.outputs import FolderOutputs, ModelOutputs
from pix2pix_tf.evaluation.reference import Reference
from pix2pix_tf.inference import translator


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("model", "", commands.MODEL_HELP)
    flags.DEFINE_string("outputs", "", "Instead of a model: a folder of translated pictures.")
    flags.DEFINE_string(
        "outputs_suffix", "", "What follows a pair's name in those files' names, such as _fake_B."
    )
    flags.DEFINE_string(
        "outputs_range",
        "",
        "The values that are black and white in --outputs and in the targets, such as 0,4095. "
        "Empty: all of 8 bits, or of 16 where a file has these.",
    )
    commands.define_checkpoint_flags()
    flags.DEFINE_string("output", None, "Folder for the results; made if needed.", required=True)
    flags.DEFINE_string("dataset", "", "Name or folder. Empty: the one of the training.")
    flags.DEFINE_string("data_dir", "", "Folder of published sets. Empty: as in the training.")
    flags.DEFINE_enum(
        "direction",
        "",
        ("", "AtoB", "BtoA"),
        "Direction of --outputs; empty: AtoB. A model has its own.",
    )
    flags.DEFINE_enum(
        "color_space",
        RGB,
        (RGB, LAB),
        "How --outputs were made: lab for colorization, where the data set may be of photos alone. "
        "A model has its own.",
    )
    flags.DEFINE_enum(
        "split", "", ("", "train", "val", "test"), "Which split. Empty: test, or else val."
    )
    flags.DEFINE_integer("samples", 1, "Draws of the noise for each input.", lower_bound=1)
    flags.DEFINE_string(
        "segmenter", "", "For the FCN-score: a folder of pix2pix_tf.evaluation.train_segmenter."
    )
    flags.DEFINE_string(
        "classes",
        "",
        "For outputs that are label maps: the classes that they show, by the name of a data set "
        f"({', '.join(classes.TABLES)}), a .json file, or '{classes.FROM_TARGETS}', learned from "
        "the training targets. Empty: as in the training, or those of a data set that is known.",
    )
    flags.DEFINE_string(
        "class_maps",
        "",
        "For the FCN-score and for label maps: folder of SPLIT/NAME.png, the class of each pixel. "
        "Empty: told by the colours of the pairs' labels.",
    )
    flags.DEFINE_string(
        "feature_weights",
        "",
        "File of Inception v3's weights for FID and KID. Empty: ImageNet's, downloaded; none: do "
        "without.",
    )
    flags.DEFINE_integer("seed", 0, "Seed of the dropout noise.", lower_bound=0)


def main(unused_arguments: list[str]) -> None:
    """Evaluates what the flags name."""
    options = flags.FLAGS
    _check(options)
    outputs, reference = (_open_folder if options.outputs else _open_model)(options)
    output = pathlib.Path(options.output)
    print(runner.table(runner.evaluate(outputs, reference, output)))
    print(f"Open '{output / 'index.html'}'.")


def _check(options) -> None:
    """Refuses flags that do not go together."""
    if bool(options.model) == bool(options.outputs):
        raise InputError(
            "Give either --model, a run folder or SavedModel, or --outputs, a folder of pictures."
        )
    if options.outputs:
        kind, other = "--outputs", ("checkpoint", "weights", "samples")
    else:
        kind, other = "--model", ("direction", "outputs_suffix", "outputs_range", "color_space")
    given = [name for name in other if options[name].present]
    if given:
        raise InputError(f"--{given[0]} does not go with {kind}. Leave it out.")
    if options.outputs:
        if not options.dataset:
            raise InputError("--outputs needs --dataset, the pairs that the pictures belong to.")
        outputs = pathlib.Path(options.outputs).resolve()
        folders = (*runner.FOLDERS, runner.SAMPLES_FOLDER)
        written = [pathlib.Path(options.output, name).resolve() for name in folders]
        if any(folder in (outputs, *outputs.parents) for folder in written):
            raise InputError(
                f"'{options.outputs}' is where --output would write its pictures. Name another "
                "--output."
            )
    if options.segmenter and options.classes:
        raise InputError(
            "--segmenter judges photos, and --classes is for outputs that are label maps. Leave "
            "one of them out."
        )


def _open_model(options) -> tuple[ModelOutputs, Reference]:
    """Returns the outputs of the model and what they are compared with."""
    translate = translator.load(options.model, **commands.checkpoint_from_flags())
    table = translator.classes_of(options.model)
    if table is None:
        dataset = options.dataset or translate.config.dataset
        table = classes.of_side(dataset, translate.config.direction[-1])
    reference = _open_reference(options, translate.config, translate.config.crop_shape, table)
    outputs = ModelOutputs(
        translate,
        name=pathlib.Path(options.model).resolve().name,
        num_pairs=len(reference.reader),
        seed=options.seed,
        num_samples=options.samples,
    )
    return outputs, reference


def _open_folder(options) -> tuple[FolderOutputs, Reference]:
    """Returns the outputs in the folder and what they are compared with."""
    value_range(options.outputs_range, name="outputs_range")  # Refuses what is not a range.
    config = TrainConfig(
        dataset=options.dataset,
        data_dir=options.data_dir,
        direction=options.direction or "AtoB",
        output_range=options.outputs_range,
        color_space=options.color_space,
    )
    # For the names alone; the size is then that of the outputs.
    names = pipeline.open_reader(config, _find_split(options, config), size=1).names
    outputs = FolderOutputs(
        options.outputs,
        pairs=names,
        suffix=options.outputs_suffix,
        value_range=config.output_limits,
    )
    if config.dataset == pairs.DEMO:
        # Scenes are drawn at a size; load_size follows from it.
        config = dataclasses.replace(config, crop_size=outputs.size, load_size=0)
    table = classes.of_side(config.dataset, config.direction[-1])
    reference = _open_reference(options, config, outputs.size, table)
    if reference.label_maps is not None:
        channels = config.output_file_channels
        outputs.check_shows_colours(reference.label_maps.table, channels=channels)
    return outputs, reference


def _open_reference(
    options, config: TrainConfig, size: augment.Size, table: classes.ClassTable | None
) -> Reference:
    """Returns what outputs are compared with; the table is of the classes that they show."""
    dataset, data_dir = options.dataset or config.dataset, options.data_dir or config.data_dir
    config = dataclasses.replace(config, dataset=dataset, data_dir=data_dir)
    judges = {name: options[name].value for name in ("segmenter", "class_maps", "feature_weights")}
    split = _find_split(options, config)
    if options.segmenter:
        table = None
    elif options.classes == classes.FROM_TARGETS:
        table = label_targets.learn(pipeline.open_reader(config, "train", size=size))
    elif options.classes:
        table = classes.read(options.classes)
        classes.check_told_apart(table)
    if options.classes and not config.shows_classes:
        raise InputError(
            f"--classes are told by the colours of pictures, and outputs have "
            f"{config.output_file_channels} channels, color_space {config.color_space}. Leave it "
            "out."
        )
    if table is not None:
        targets, supposed = pipeline.open_reader(config, split, size=size), table
        table = label_targets.checked(targets, supposed, is_guess=not options.classes)
        if table is None:
            print(
                f"Note: the targets do not show the classes of '{supposed.name}', so label maps "
                "are not scored. Name the right classes by --classes.",
                flush=True,
            )
    if options.class_maps and not (options.segmenter or table):
        raise InputError(
            "--class_maps is for the FCN-score, which needs --segmenter, and for outputs that are "
            "label maps, whose --classes are not known."
        )
    return Reference(config, split=split, size=size, seed=options.seed, classes=table, **judges)


def _find_split(options, config: TrainConfig) -> str:
    found = pairs.find_split(config.dataset, ("test", "val"), data_dir=config.data_dir)
    return options.split or found or "test"  # Which will be refused, naming those that there are.


if __name__ == "__main__":
    define_flags()
    commands.run(main)
