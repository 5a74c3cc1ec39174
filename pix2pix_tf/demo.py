r"""The whole pipeline in some minutes: trains on drawn scenes, exports, translates.

    pix2pix demo --output=demo

No data and no network are needed. Writes `demo/index.html`, a page that shows held-out
label maps, what the exported SavedModel makes of them and the true renderings.
"""

from __future__ import annotations

import dataclasses
import html
import pathlib

from absl import flags

from pix2pix_tf import commands, files, html_page
from pix2pix_tf.config import CONFIG_FILE, TrainConfig

# Small enough for minutes on two cores; everything else is as --preset=own has it.
CONFIG = TrainConfig(
    dataset="demo",
    crop_size=128,
    base_filters=32,
    upsampling="resize",
    num_steps=1700,
    log_every=20,
    sample_every=250,
    checkpoint_every=1000,
    num_evaluated=16,
)
_NUM_SCENES = 6
_NUM_SAMPLES = 2  # Draws of the noise for each scene.


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("output", "demo", "Folder for the run, the model and the page.")
    flags.DEFINE_integer(
        "num_steps", CONFIG.num_steps, "Steps to train; fewer for a quick look.", lower_bound=1
    )


def main(unused_arguments: list[str]) -> None:
    """Trains, exports, translates and writes the page."""
    output = pathlib.Path(flags.FLAGS.output)
    run, exported, pictures = output / "run", output / "saved_model", output / "pictures"
    page_path = output / "index.html"
    config = dataclasses.replace(CONFIG, num_steps=flags.FLAGS.num_steps)
    if (run / CONFIG_FILE).exists():  # A run goes on as an earlier version began it.
        begun = TrainConfig.load(run)
        as_begun = dict(upsampling=begun.upsampling, ema_decay=begun.ema_decay)
        config = dataclasses.replace(config, **as_begun)
    if page_path.exists() and TrainConfig.load(run).num_steps >= config.num_steps:
        print(f"This demo is done: open '{page_path}'. To run it anew, delete '{output}'.")
        return
    # After the cheap checks: TensorFlow takes seconds to import.
    from pix2pix_tf import serving
    from pix2pix_tf.data import images, pairs
    from pix2pix_tf.inference import translator
    from pix2pix_tf.training import loop

    num_steps = int(loop.train(config, run).step.numpy())
    if num_steps < config.num_steps:
        return  # Stopped; it has said so.

    print("Exporting ...", flush=True)
    version = serving.save_version(run, exported)

    # As a user would: files in, files out, by the exported model alone.
    translate = translator.load(exported)
    pictures.mkdir(parents=True, exist_ok=True)
    scenes = pairs.ScenePairs("test", size=CONFIG.crop_size)
    names = list(scenes.names)[:_NUM_SCENES]
    for number, name in enumerate(names):
        labels, rendering = scenes.read(number)
        for kind, pixels in (("labels", labels), ("true", rendering)):
            files.write_atomically(
                pictures / f"{name}_{kind}.png", images.encode_image(pixels, ".png")
            )
        for sample in range(_NUM_SAMPLES):
            pixels = translate.translate_file(pictures / f"{name}_labels.png", sample=sample)
            files.write_atomically(
                pictures / f"{name}_sample{sample}.png", images.encode_image(pixels, ".png")
            )
    page = _page(names, run.name, version.relative_to(output), num_steps)
    files.write_atomically(page_path, page)
    print(f"Done. Open '{page_path}'.")


def _page(names: list[str], run: str, version: pathlib.Path, num_steps: int) -> bytes:
    """Returns the page: a row a scene, and where to look further."""
    columns = [("labels", "labels, never trained on")]
    columns += [(f"sample{n}", f"translated, draw {n + 1}") for n in range(_NUM_SAMPLES)]
    columns += [("true", "true rendering")]
    header = "".join(f"<th>{title}</th>" for _, title in columns)
    rows = ""
    for name in names:
        cells = (
            f'<td><img src="pictures/{name}_{kind}.png" alt="{name}, {title}"></td>'
            for kind, title in columns
        )
        rows += f"<tr>{''.join(cells)}</tr>"
    body = f"""
<p>A U-Net with {CONFIG.base_filters} filters at {CONFIG.crop_size}x{CONFIG.crop_size} pixels,
trained for {num_steps:,} steps and exported, on scenes that the program draws itself.
The pictures come from the exported SavedModel, <code>{html.escape(str(version))}</code>. Draws
differ by the dropout noise alone. How training went: <a href="{run}/index.html">the page of the
run</a>, from the first grid to the last.</p>
<table><tr>{header}</tr>{rows}</table>"""
    style = f"""
  table {{ display: table; width: 100%; }}
  td img {{ width: 100%; display: block; }}
  th {{ font-weight: 600; color: inherit; padding: 0 4px; }}
  td {{ padding: 2px 4px; width: {100 // len(columns)}%; }}
"""
    return html_page.page("pix2pix demo", body, style=style)


if __name__ == "__main__":
    define_flags()
    commands.run(main)
