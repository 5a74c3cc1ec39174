"""The runtimes that a page may compute with: their files, and a model as each reads it."""

from __future__ import annotations

import dataclasses
import pathlib
import shlex
from collections.abc import Callable, Mapping

from pix2pix_tf.errors import InputError, MissingInputError

from ...browser import programs
from ...image_size import SIGNATURES

_MODULES = programs.RUNNER / "node_modules"
DEFAULT = "litert"  # The faster one: docs/parity.md.
_SIGNATURE = "with_noise"  # The page draws z by itself, so that a picture can be had again.


@dataclasses.dataclass(frozen=True)
class PageRuntime:
    """A runtime of pages.

    Attributes:
        script: What is the page's runtime.js.
        vendored: Files of the site's folder `vendor`, and where they come from below node_modules.
        quantizations: Values of `quantize` that it knows.
        write: `(version, folder, quantize)`; writes the model of an exported version to a new
            folder, and returns the name of the file in it to load.
    """

    script: pathlib.Path
    vendored: Mapping[str, str]
    quantizations: tuple[str, ...]
    write: Callable[[pathlib.Path, pathlib.Path, str], str]

    def check(self, quantize: str) -> None:
        """Sees to it that a page can be made.

        Raises:
            InputError: If it does not know `quantize`.
            MissingInputError: If it is not installed.
        """
        if quantize not in self.quantizations:
            raise InputError(
                f"quantize is {quantize}, but of --runtime={self.script.stem} one of "
                f"{', '.join(self.quantizations)}. Choose one of these, or another --runtime."
            )
        sources = map(_MODULES.joinpath, self.vendored.values())
        missing = [path for path in sources if not path.is_file()]
        if missing:
            raise MissingInputError(
                f"There is no '{missing[0]}', which the page loads. Run: "
                f"{shlex.join(programs.install_command())}"
            )

    def copy(self, site: pathlib.Path) -> None:
        """Copies the runtime to a site."""
        (site / "runtime.js").write_bytes(self.script.read_bytes())
        (site / "vendor").mkdir()
        for name, source in self.vendored.items():
            contents = (_MODULES / source).read_bytes()
            if name.endswith(".js"):
                # A page finds a package by its address, and no map of sources of somebody else.
                for before, after in _IN_SCRIPTS.items():
                    contents = contents.replace(before, after)
            (site / "vendor" / name).write_bytes(contents)


_IN_SCRIPTS = {
    b'from "@litertjs/wasm-utils"': b'from "./litert-wasm-utils.js"',
    b"//# sourceMappingURL=": b"// Built with ",
}


def _write_tflite(version: pathlib.Path, folder: pathlib.Path, quantize: str) -> str:
    from pix2pix_tf import serving

    from ...tflite import conversion

    has_noise = serving.read_model_card(version)["noise_size"] > 0
    conversion.convert(
        version,
        folder / "model.tflite",
        quantize=quantize,
        # litert.js says why.
        signatures=[_SIGNATURE] if has_noise else SIGNATURES,
    )
    return "model.tflite"


def _write_tfjs(version: pathlib.Path, folder: pathlib.Path, quantize: str) -> str:
    from pix2pix_tf import serving
    from pix2pix_tf.inference import exported

    from ...tfjs import conversion

    card = serving.read_model_card(version)
    graphs = conversion.freeze(exported.portable_model(version), card, signatures=[_SIGNATURE])
    folder.mkdir()
    conversion.write(folder, graphs, card, quantize)
    return f"{_SIGNATURE}/model.json"


_SCRIPTS = pathlib.Path(__file__).resolve().parent
_KINDS_OF_LITERT = ("", "_compat", "_threaded")  # The second is for browsers of some years ago.
RUNTIMES = {
    "litert": PageRuntime(
        script=_SCRIPTS / "litert.js",
        vendored={
            "litert.js": "@litertjs/core/dist/index.js",
            "litert-wasm-utils.js": "@litertjs/wasm-utils/dist/index.js",
            # Under the names that LiteRT.js asks for.
            **{
                name: f"@litertjs/core/wasm/{name}"
                for kind in _KINDS_OF_LITERT
                for name in (f"litert_wasm{kind}_internal.js", f"litert_wasm{kind}_internal.wasm")
            },
        },
        quantizations=("none", "float16", "dynamic"),
        write=_write_tflite,
    ),
    "tfjs": PageRuntime(
        script=_SCRIPTS / "tfjs.js",
        vendored={
            "tf.js": "@tensorflow/tfjs/dist/tf.es2017.min.js",
            "tf-backend-wasm.js": (
                "@tensorflow/tfjs-backend-wasm/dist/tf-backend-wasm.es2017.min.js"
            ),
            "tf-backend-webgpu.js": (
                "@tensorflow/tfjs-backend-webgpu/dist/tf-backend-webgpu.es2017.min.js"
            ),
            # Under the names that the WebAssembly backend asks for.
            "tfjs-backend-wasm.wasm": "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm",
            "tfjs-backend-wasm-simd.wasm": (
                "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm"
            ),
        },
        quantizations=("none", "float16", "uint8"),
        write=_write_tfjs,
    ),
}
