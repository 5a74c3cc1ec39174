"""The command `pix2pix`, which starts all others.

    pix2pix train --dataset=facades --direction=BtoA --workdir=runs/facades
    pix2pix export tflite --saved_model=exported/facades --output=facades.tflite

`pix2pix NAME` is `python -m pix2pix_tf.NAME` (`train_segmenter` and `perceptual_study` are in
`pix2pix_tf.evaluation`); `pix2pix export NAME` is `python -m pix2pix_tf.export.NAME`, or, in a
checkout, `python -m export.NAME`.
"""

from __future__ import annotations

import difflib
import importlib.util
import runpy
import sys

from pix2pix_tf.version import __version__

EXIT_USAGE = 2
COMMANDS = {
    "train": "trains on pairs of pictures, or resumes",
    "translate": "translates pictures, folders and videos",
    "evaluate": "measures a model on held-out pairs; writes a page",
    "prepare": "makes, splits and checks data sets",
    "demo": "trains on drawn scenes for some minutes, exports, writes a page",
    "import_pytorch": "makes a run folder of a model of the authors' PyTorch code",
    "train_segmenter": "trains the judge of the FCN-score",
    "perceptual_study": "makes a page that asks people which pictures are real",
}
EXPORTS = {
    "saved_model": "SavedModel, for TensorFlow and TensorFlow Serving",
    "tflite": "TFLite, for phones",
    "onnx": "ONNX, for other runtimes",
    "tfjs": "TF.js, for pages",
    "web": "a site of one page that people draw on",
    "web.serve": "shows such a site in the browser",
    "browser": "installs LiteRT.js and TF.js from npm, for web and verify",
    "pytorch": "a file for the authors' PyTorch code",
    "compact": "a small run folder to give away",
    "verify": "compares a model in all these forms",
    "beam_translate": "translates large collections with Apache Beam",
    "tf_serving.client": "has a TensorFlow Serving translate pictures",
}
_HELP = ("help", "-h", "--help")
_FOLDERS = {name: "pix2pix_tf.evaluation" for name in ("train_segmenter", "perceptual_study")}


def usage() -> str:
    """Returns what the command prints without arguments."""
    lines = ["usage: pix2pix COMMAND [--flag=value ...]", ""]
    lines += [f"  {name:<26}{text}" for name, text in COMMANDS.items()]
    lines += [f"  export {name:<19}{text}" for name, text in EXPORTS.items()]
    return "\n".join([*lines, "", "pix2pix COMMAND --help lists the flags of one."])


def find_module(words: list[str]) -> tuple[str, list[str]]:
    """Returns the module that some words name, and the words that are left for it.

    Args:
        words: What follows `pix2pix` on the command line.

    Raises:
        ValueError: If there is no such command; says which comes nearest.
    """
    known, given, rest = COMMANDS, words[0], words[1:]
    if given == "export":
        known, given, rest = EXPORTS, "".join(rest[:1]), rest[1:]
    if given in known:
        package = "pix2pix_tf.export" if known is EXPORTS else _FOLDERS.get(given, "pix2pix_tf")
        return f"{package}.{given}", rest
    everything = [*COMMANDS, *(f"export {name}" for name in EXPORTS)]
    nearest = [name for name in everything if name.split()[-1] == given]
    nearest += difflib.get_close_matches(given, known, n=1)
    hint = f" Is '{nearest[0]}' meant?" if nearest else ""
    kind = "export" if known is EXPORTS else "command"
    raise ValueError(f"'{given}' is not one of the {kind}s: {', '.join(known)}.{hint}")


def main() -> None:
    """Runs the command that the arguments of this process name."""
    words = sys.argv[1:]
    named = words[1:] if words[:1] == ["export"] else words
    if not named or named[0] in _HELP:
        print(usage())
    elif words[0] == "--version":
        print(f"pix2pix_tf {__version__}")
    else:
        try:
            module, rest = find_module(words)
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(EXIT_USAGE)
        if words[0] == "export" and importlib.util.find_spec("pix2pix_tf.export") is None:
            print(
                "error: The package is not installed here. Run: pip install -e . in the checkout, "
                f"or python -m {module.partition('.')[2]}",
                file=sys.stderr,
            )
            sys.exit(EXIT_USAGE)
        sys.argv[1:] = rest
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
