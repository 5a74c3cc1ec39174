# ---
# jupyter:
#   accelerator: GPU
#   colab:
#     gpuType: T4
#     name: fine_tune.ipynb
#     provenance: []
#     toc_visible: true
#   jupytext:
#     cell_markers: '"""'
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
"""
# Start from a trained model, with twenty pairs

A network that can draw houses already does not have to learn from nothing what an edge or a window
is. This notebook takes `houses`, a model that comes with the project, and trains it on twenty pairs.
Without changes the program draws these pairs: houses by night. With your own it is the same.

In Colab choose **Runtime > Change runtime type > T4 GPU**, then **Runtime > Run all**. Section 2 shows
a button to upload the project: one file, `pix2pix_tf-VERSION-py3-none-any.whl`, which `make wheel`
writes in a copy of it. `train_pix2pix.ipynb` explains how the networks and the losses work.
"""

# %% [markdown]
"""
## 1. Settings

**Your pairs.** A folder, on Drive or here, with the subfolders `train` and `test`. Each file holds A and
B side by side, A being the input; or use `trainA`, `trainB`, `testA` and `testB`, with the same file
names. Keep a few pairs for `test`: they show what the model makes of inputs that it has not seen.

**The model to start from.** `houses` turns label maps with the colours of CMP Facades into drawn houses.
The closer your task is to that of the model, the more it helps. A run folder of your own does as well,
such as `/content/drive/MyDrive/pix2pix/demo`.
"""

# %% cellView="form" tags=["parameters"]
# @markdown Folder of your pairs, such as `/content/drive/MyDrive/my_pairs`. Empty: twenty drawn houses by night.
PAIRS = ""  # @param {type: "string"}
DIRECTION = "AtoB"  # @param ["AtoB", "BtoA"]
# @markdown `houses`, or a run folder.
START_FROM = "houses"  # @param ["houses"] {allow-input: true}
NUM_STEPS = 600  # @param {type: "integer"}
# @markdown Connect Google Drive, and keep the run and the project there?
USE_DRIVE = False  # @param {type: "boolean"}
# @markdown Folder of the runs. Empty: `pix2pix` on Drive if that is connected, else `runs`, here.
RUNS = ""  # @param {type: "string"}
# @markdown Another name starts another run: needed for other pairs or other settings.
RUN_NAME = "fine_tuned"  # @param {type: "string"}
# @markdown Any other setting by its name, such as `{"learning_rate": 1e-4}`.
SETTINGS = {}  # @param {type: "raw"}
# @markdown Where the project is, if not in a wheel here or on Drive: the path of a wheel or zip, or
# @markdown an address, `git+https://...`. Empty: Colab asks for the wheel.
REPOSITORY = ""  # @param {type: "string"}

# %% [markdown]
"""
## 2. Set up

The first cell takes the project from the first of these places that has it: already installed; a
wheel (`pix2pix_tf-*.whl`) or a zip of the project (`pix2pix_tf*.zip`) in Colab's Files pane, in *My
Drive* or in its folder `pix2pix`; `REPOSITORY`; a button to upload a wheel. If Drive is connected,
the file is copied there. Colab's own TensorFlow stays unchanged.
"""

# %%
# This cell is the same in all notebooks. It installs the project unless it is there.
import importlib
import importlib.util
import pathlib
import shutil
import subprocess
import sys

try:
    from google.colab import drive, files
except ImportError:  # Not in Colab.
    drive = files = None

my_drive = pathlib.Path("/content/drive/MyDrive")
kept = my_drive / "pix2pix"  # What is here outlasts a disconnect.
settings = [value for name, value in list(globals().items()) if name.isupper()]
if drive and (USE_DRIVE or any("/content/drive" in str(value) for value in settings)):
    drive.mount("/content/drive")


def pip_install(*arguments):
    """Runs `pip install`; returns its complaints, which are empty if all went well."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    importlib.invalidate_caches()
    return done.stderr if done.returncode else ""


def find_project():
    """Returns what pip can install: a wheel or zip that is here or on Drive, or an address."""
    places = (pathlib.Path("/content"), my_drive, kept)
    names = ("pix2pix_tf-*-any.whl", "pix2pix_tf*.zip")
    found = [path for place in places for name in names for path in place.glob(name)]
    if found:
        return max(found, key=lambda path: path.stat().st_mtime)  # The newest.
    if REPOSITORY:
        return REPOSITORY
    what = "pix2pix_tf-VERSION-py3-none-any.whl. In a copy of the project, `make wheel` writes it."
    if files:
        print(f"Choose {what}")
        for name, data in files.upload().items():  # Colab may call the file "NAME (1)".
            pathlib.Path("/content", name).write_bytes(data)
            return pathlib.Path("/content", name)
    raise FileNotFoundError(f"Nothing to install. Upload {what} Or set REPOSITORY, in section 1.")


installed = importlib.util.find_spec("pix2pix_tf")
if installed is None or installed.origin is None:  # A mere folder of that name does not count.
    project = find_project()
    # Colab has all that is needed; without --no-deps, pip might replace its TensorFlow.
    complaints = pip_install(*(["--no-deps"] if drive else []), str(project))
    if complaints:
        raise RuntimeError(f"Could not install '{project}':\n{complaints}")
    is_file = isinstance(project, pathlib.Path)
    if is_file and my_drive.is_dir() and not project.is_relative_to(my_drive):
        kept.mkdir(exist_ok=True)
        shutil.copy(project, kept)
        print(f"Copied '{project.name}' to '{kept}', where it is found next time.")

# Imported first, since it turns on what TensorFlow needs on older CPUs.
print(f"pix2pix_tf {importlib.import_module('pix2pix_tf').__version__}")

# %%
import dataclasses

import numpy as np
import tensorflow as tf
from IPython.display import Image, display

from pix2pix_tf import grids, serving
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import examples, images, scenes
from pix2pix_tf.files import write_atomically
from pix2pix_tf.inference import translator
from pix2pix_tf.training.live import LivePicture
from pix2pix_tf.training.loop import train

tf.get_logger().setLevel("ERROR")  # An export is no news.
if not tf.config.list_physical_devices("GPU"):
    print("There is no GPU: training will be slow. Runtime > Change runtime type > T4 GPU.")
before = translator.load(START_FROM)

# %% [markdown]
"""
## 3. The pairs

The program's houses are drawn by day, so the model knows only days. Here night falls: everything becomes
dark and blue, and in the windows there is light. Files like these, A and B side by side, are all
that a data set needs.
"""

# %%
WINDOW = next(kind.color for kind in scenes.CLASSES if kind.name == "window")


def at_night(scene):
    """Returns the photo of a drawn house as it looks by night, uint8 `[height, width, 3]`."""
    light = scene.photo.mean(axis=-1, keepdims=True)
    dark = scene.photo * [0.28, 0.34, 0.50]
    lit = (0.4 + 0.6 * light / 255) * [255, 210, 110]
    is_window = (scene.labels == WINDOW).all(axis=-1, keepdims=True)
    return np.where(is_window, lit, dark).astype(np.uint8)


def draw_pairs(folder):
    """Writes twenty pairs to train on and four to look at."""
    for split, first, count in (("train", 0, 20), ("test", 100, 4)):
        (folder / split).mkdir(parents=True)
        for number in range(first, first + count):
            scene = scenes.draw_scene(before.config.load_size, seed=1, index=number)
            sides = np.concatenate([scene.labels, at_night(scene)], axis=1)
            write_atomically(folder / split / f"{number}.png", images.encode_image(sides, ".png"))


pairs = pathlib.Path(PAIRS or "night_pairs")
if not PAIRS and not pairs.exists():
    draw_pairs(pairs)

# %%
runs = pathlib.Path(RUNS or (kept if my_drive.is_dir() else "runs"))
workdir = runs / RUN_NAME
begun_here = pathlib.Path("runs") / workdir.name
if not RUNS and (begun_here / "config.json").exists() and not workdir.exists():
    shutil.copytree(begun_here, workdir)  # Drive was connected later.
    print(f"Copied the run that was begun in '{begun_here}' to '{workdir}', where it goes on.")
# All that shapes the networks is as the model has it, so that its weights fit.
settings = dict(
    dataset=str(pairs),
    data_dir="",
    direction=DIRECTION,
    init_from=START_FROM,
    decay_steps=0,
    num_steps=NUM_STEPS,
    precision="auto",
    sample_every=100,
    checkpoint_every=200,
    keep_checkpoints=2,
    num_samples=3,
)
config = TrainConfig.from_dict({**dataclasses.asdict(before.config), **settings, **SETTINGS})
shown = examples.held_out(config, limit=4)
rows = [(example.source_picture[0], example.target_picture[0]) for example in shown[:2]]
grid = grids.sample_grid(rows, titles=["input", "target"])
display(Image(images.encode_image(grid, ".png")))

# %% [markdown]
"""
## 4. Train

600 steps of `houses` take a minute on two processor cores (measured: 47 s, AMD EPYC with bfloat16); a
GPU was not measured. The picture is replaced every hundred steps. To pause, stop the cell; run it
again to resume. To train longer, raise `NUM_STEPS` and run all cells again.

With few pairs look at the *held-out* pictures: if they get worse while the L1 loss still falls, the
network learns your pairs by heart. The best checkpoint by held-out pairs is
kept: `translator.load(workdir, checkpoint="best")` takes it; below is the newest.
"""

# %%
train(config, workdir, actions=[LivePicture()])

# %% [markdown]
"""
## 5. Before and after

Inputs that the model was not trained on.
"""

# %%
after = translator.load(workdir)
for example in shown:
    pictures = {
        "input": example.source_picture[0],
        "before": before.translate_example(example),
        "after": after.translate_example(example),
        "target": example.target_picture[0],
    }
    display(Image(grids.row_as_png(pictures)))

# %% [markdown]
"""
## 6. Export and download

A SavedModel, zipped. `export_and_serve.ipynb` makes TFLite, TF.js and server files of it: name the zip in
its setting `MODEL`.
"""

# %%
saved_model = workdir.with_name(f"{workdir.name}_savedmodel")
shutil.rmtree(saved_model, ignore_errors=True)  # From an earlier run of this cell.
version = serving.save_version(workdir, saved_model)
archive = shutil.make_archive(
    str(saved_model),
    "zip",
    root_dir=saved_model.parent,
    base_dir=version.relative_to(saved_model.parent),
)
print(f"'{archive}', {pathlib.Path(archive).stat().st_size / 1e6:.1f} MB")
if files:
    files.download(archive)
