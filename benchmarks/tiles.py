r"""Prints time and memory of translating one large image, by tiles or in one piece.

    python -m benchmarks.tiles --model=runs/facades --width=6000 --height=4000
    python -m benchmarks.tiles --model=runs/facades --width=2048 --height=2048 --whole

The image is a drawn scene, enlarged, and translated once. Memory is the peak of resident
memory (VmHWM of Linux) above what the process had with the model loaded. In one piece that is,
for each pixel of the padded image and each base filter, what
`inference.translator.BYTES_PER_PIXEL_AND_FILTER` states.
"""

from __future__ import annotations

import math
import pathlib
import tempfile
import time

from absl import flags

from benchmarks import results
from benchmarks.contenders import peak_resident_bytes
from pix2pix_tf import commands

_DRAWN_SIZE = 512  # Pixels of the scene before it is enlarged.


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("model", None, commands.MODEL_HELP, required=True)
    flags.DEFINE_integer("width", 6000, "Pixels.", lower_bound=1)
    flags.DEFINE_integer("height", 4000, "Pixels.", lower_bound=1)
    flags.DEFINE_integer("tile", 1024, "Side of a tile in pixels, as of translate.", lower_bound=1)
    flags.DEFINE_boolean("whole", False, "In one piece, instead of by tiles.")


def main(unused_arguments: list[str]) -> None:
    """Measures and prints the table."""
    from PIL import Image

    from pix2pix_tf.data import scenes
    from pix2pix_tf.inference import tiles, translator

    options = flags.FLAGS
    if options.whole:
        how, model = "in one piece", translator.load(options.model)
    else:
        how = f"tiles of {options.tile}"
        config, generator = translator.load_generator(options.model)
        model = tiles.TiledTranslator(config, generator, tile=options.tile)
    size = (options.width, options.height)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "picture.png")
        photo = Image.fromarray(scenes.draw_scene(_DRAWN_SIZE, seed=0, index=0).photo)
        photo.resize(size, Image.Resampling.BICUBIC).save(path)
        # Forgets the peak so far: loading a model may take more than a small picture.
        pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        idle_bytes = peak_resident_bytes()
        start = time.perf_counter()
        model.translate_file(path)
        seconds = time.perf_counter() - start
        above_bytes = peak_resident_bytes() - idle_bytes
    crop_size, base_filters = model.config.crop_size, model.config.base_filters
    num_pixels = math.prod(-(-side // crop_size) * crop_size for side in size)
    row = [
        f"{options.width}x{options.height}, {base_filters} filters, {how}",
        f"{seconds:.1f}",
        f"{idle_bytes / 1e9:.2f}",
        f"{above_bytes / 1e9:.2f}",
        f"{above_bytes / num_pixels / base_filters:.2f}",
    ]
    heads = ["image", "s", "GB idle", "GB above", "bytes a pixel and filter"]
    print(results.markdown_table(heads, [row]))


if __name__ == "__main__":
    define_flags()
    commands.run(main)
