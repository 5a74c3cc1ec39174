r"""Builds a perceptual study, a page on which people say which of two pictures is fake.

    python -m pix2pix_tf.evaluate --model=runs/facades --output=runs/facades/test
    python -m pix2pix_tf.evaluation.perceptual_study --algorithm=cgan=runs/facades/test \
        --output=study
    python -m pix2pix_tf.evaluation.perceptual_study results answers/*.json

An algorithm is a name and a folder: what evaluate wrote, or pictures. The real pictures
are those of the data set that evaluate measured on; for other pictures, those of --dataset,
or of a folder of the same names, --targets. Open study/index.html, or put the folder on any
file host. Each session tests one algorithm, drawn by chance, or given in the address:
index.html?algorithm=cgan. The last command counts the files that people save: see `results --help`.
"""

from __future__ import annotations

import json
import pathlib
import runpy
import sys

from absl import flags

from pix2pix_tf import commands
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation.perceptual_study import protocol

_RESULTS_COMMAND = "results"
_ORIGIN = ("dataset", "split", "direction")  # What evaluate records of the pairs.
_EVALUATION_FILE = "evaluation.json"  # Beside the pictures that evaluate wrote.


def define_flags() -> None:
    """Defines the flags of the command that builds."""
    flags.DEFINE_multi_string(
        "algorithm", [], "NAME=DIR: outputs of an algorithm. Once for each of several."
    )
    flags.DEFINE_string("targets", "", "Folder of the real pictures, named as the outputs.")
    flags.DEFINE_string("dataset", "", "Name or folder. Empty: the one that evaluate measured on.")
    flags.DEFINE_string("data_dir", "", "Folder of published sets. Empty: Keras' own cache.")
    flags.DEFINE_enum(
        "split",
        "",
        ("", "train", "val", "test"),
        "Split of the data set. Empty: as evaluate has it; else test or val.",
    )
    flags.DEFINE_enum(
        "direction",
        "",
        ("", "AtoB", "BtoA"),
        "Direction in the data set. Empty: as evaluate has it.",
    )
    flags.DEFINE_string("output", None, "Folder of the study; not there yet.", required=True)
    flags.DEFINE_integer(
        "num_practice", protocol.NUM_PRACTICE, "Trials with feedback, which do not count (paper)."
    )
    flags.DEFINE_integer("num_trials", protocol.NUM_TRIALS, "Trials that count (paper).")
    flags.DEFINE_float(
        "exposure", protocol.EXPOSURE_MS / 1000, "Seconds that a picture is shown (paper)."
    )
    flags.DEFINE_enum(
        "pairing",
        "same",
        protocol.PAIRINGS,
        "Whether both pictures of a trial show one scene (paper: colorization), or different ones "
        "(paper: maps and aerial photos).",
    )
    flags.DEFINE_string(
        "notice", "", "Who runs the study, and where to send the file: shown before the start."
    )
    flags.DEFINE_integer("seed", 0, "Seed of the order that names the files.")


def main(unused_arguments: list[str]) -> None:
    """Builds what the flags name."""
    options = flags.FLAGS
    algorithms = _parse_algorithms(options.algorithm)
    from pix2pix_tf.evaluation.perceptual_study import build

    settings = build.Settings(
        num_practice=options.num_practice,
        num_trials=options.num_trials,
        exposure_ms=round(1000 * options.exposure),
        pairing=options.pairing,
        notice=options.notice,
    )
    output = pathlib.Path(options.output)
    description = build.build(
        algorithms, _find_targets(algorithms), output, settings=settings, seed=options.seed
    )
    num_pairs = len(description["pairs"])
    print(
        f"Wrote the study {description['study']} to '{output}': {num_pairs} pairs; algorithms: "
        f"{', '.join(algorithms)}. Open '{output / 'index.html'}', or put the folder on a file "
        "host."
    )
    if not options.notice:
        print(
            "It does not say who runs it, nor where to send the answers: --notice does. People "
            "who take part should know both."
        )


def _parse_algorithms(values: list[str]) -> dict[str, pathlib.Path]:
    """Returns the folders of --algorithm by name."""
    if not values:
        raise InputError("No outputs were named. Pass --algorithm=NAME=DIR, once for each.")
    folders = {}
    for value in values:
        name, equals, folder = value.partition("=")
        if not (name and equals and folder):
            raise InputError(f"--algorithm is {value!r}. Write it as NAME=DIR.")
        if name in folders:
            raise InputError(f"There are two algorithms {name!r}. Give them different names.")
        folders[name] = pathlib.Path(folder)
    return folders


def _find_targets(algorithms: dict[str, pathlib.Path]):
    """Returns the real pictures that the flags name, or that evaluate measured on."""
    from pix2pix_tf.data import images, pairs
    from pix2pix_tf.evaluation.perceptual_study import build

    options = flags.FLAGS
    if options.targets:
        for flag in (*_ORIGIN, "data_dir"):
            if getattr(options, flag):
                raise InputError(f"--targets and --{flag} were given. Pass one of the two.")
        return build.targets_of_folder(pathlib.Path(options.targets))
    origin = _find_origin(algorithms)
    if not origin["direction"]:
        raise InputError(
            f"Which side of the pairs of {origin['dataset']} the outputs imitate is not known. "
            "Pass --direction: AtoB if they imitate B."
        )
    split = origin["split"] or pairs.find_split(
        origin["dataset"], ("test", "val"), data_dir=options.data_dir
    )
    first = next(iter(build.find_outputs(next(iter(algorithms.values()))).values()))
    header = images.inspect_image(first)
    return build.targets_of_dataset(
        origin["dataset"],
        split or "test",
        direction=origin["direction"],
        data_dir=options.data_dir,
        scene_size=min(header.width, header.height),
    )


def _find_origin(algorithms: dict[str, pathlib.Path]) -> dict[str, str]:
    """Returns the data set, the split and the direction that the outputs are of.

    What evaluate has recorded counts. A flag may only say what it does not: another split
    may have pictures of the same names (facades: 1, 2, ... in each), which nothing else
    would notice.

    Returns:
        By these names; only the split and the direction may be "", not known.

    Raises:
        InputError: If records contradict the flags or one another, or the data set is not known.
    """
    said = {name: _read_origin(folder) for name, folder in algorithms.items()}
    unknown = [name for name, record in said.items() if record is None]
    if unknown and not flags.FLAGS.dataset:
        raise InputError(
            "Which pictures are the real ones is not known: there is no "
            f"'{algorithms[unknown[0]] / _EVALUATION_FILE}'. Pass --dataset and --direction, or "
            "--targets."
        )
    said["the flags"] = {key: getattr(flags.FLAGS, key) for key in _ORIGIN}
    origin = {}
    for key in _ORIGIN:
        values = {who: record[key] for who, record in said.items() if record and record[key]}
        first, value = next(iter(values.items()), ("", ""))
        for who, other in values.items():
            if not _is_same(key, other, value):
                raise InputError(
                    f"The {key} of {first!r} is {value!r}, and that of {who!r} {other!r}. Evaluate "
                    "all on the same data, and leave such flags out; or, if an "
                    f"{_EVALUATION_FILE} is wrong, name the folder of the pictures themselves in "
                    "--algorithm."
                )
        origin[key] = value
    return origin


def _is_same(key: str, one: str, other: str) -> bool:
    """Returns whether two values mean the same; a data set's folder may be written in two ways."""
    if key == "dataset":
        return pathlib.Path(one).resolve() == pathlib.Path(other).resolve()
    return one == other


def _read_origin(folder: pathlib.Path) -> dict[str, str] | None:
    """Returns what evaluate measured the outputs of a folder on; None if it did not.

    Raises:
        InputError: If its record does not say so.
    """
    path = folder / _EVALUATION_FILE
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        origin = {key: found[key] for key in _ORIGIN}
    except (OSError, ValueError, KeyError, TypeError):
        origin = {}
    if not origin or not all(isinstance(value, str) for value in origin.values()):
        raise InputError(
            f"'{path}' does not say what was measured. Write it again with python -m "
            "pix2pix_tf.evaluate, or pass --targets."
        )
    return origin


if __name__ == "__main__":
    if sys.argv[1:2] == [_RESULTS_COMMAND]:
        del sys.argv[1]
        # As the main module, so that --help is its own.
        runpy.run_module(f"{__package__}.results", run_name="__main__", alter_sys=True)
    else:
        define_flags()
        commands.run(main)
