# ---
# jupyter:
#   accelerator: GPU
#   colab:
#     gpuType: T4
#     name: train_pix2pix.ipynb
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
# Train pix2pix

pix2pix ([Isola et al., CVPR 2017](https://arxiv.org/abs/1611.07004)) learns from pairs of images to
turn one kind of image into another: labels into house fronts, aerial photos into maps, drawings
into shoes. A *generator* makes the output. A *discriminator* looks at input and output together and
tells generated from real, which teaches the generator what looks wrong.

This notebook explains how it works, trains a model while you watch, and lets you use it: in a
drawing page, as a SavedModel, as TFLite and as ONNX. Five short exercises are on the way; leave them
out if you like, nothing waits for them.

In Colab:

1. Choose **Runtime > Change runtime type > T4 GPU**. Do this first: changing the runtime later
   removes uploaded files.
2. Choose **Runtime > Run all**. Section 2 shows a button to upload the project: one file,
   `pix2pix_tf-VERSION-py3-none-any.whl`, which `make wheel` writes in a copy of the project.
3. Read on while it trains. The defaults train on drawn house fronts. At the end the browser
   downloads the model.

To keep the run if Colab disconnects, tick `USE_DRIVE` below before step 2. In Jupyter, install the
project first; the model stays on your machine, and the last cell prints where its zip is.
"""

# %% [markdown]
"""
## 1. Settings

**Data.** `demo` is a set of house fronts that the program draws itself: nothing to download, good for
a first run. The other names are the paper's data sets, which are downloaded: from 30 MB (`facades`)
to 8.6 GB (`edges2handbags`).

**Your own pairs.** Make a folder on Google Drive with a subfolder `train`. Add `test` to see results
on images that the model was not trained on. Each file holds A and B side by side; or use two
folders, `trainA` and `trainB`, with the same file names. Enter the folder as `DATASET`, such as
`/content/drive/MyDrive/my_pairs`. A path below `/content/drive` connects your Drive, and Colab asks
for your permission. With few pairs, try `fine_tune.ipynb`.

**Where runs are kept.** Colab disconnects when you are away, or after some hours. All files are then
lost except those on Drive, so for more than a quick try tick `USE_DRIVE`. A checkpoint of the
full-size networks takes about 1.3 GB, and up to three are kept. Replaced checkpoints go to Drive's
bin, which counts towards your storage, so empty it now and then.
"""

# %% cellView="form" tags=["parameters"]
DATASET = "demo"  # @param ["demo", "facades", "cityscapes", "maps", "edges2shoes", "edges2handbags", "night2day"] {allow-input: true}
# @markdown Which side is the input? `auto` is the paper's task, and A to B for your own pairs.
DIRECTION = "auto"  # @param ["auto", "AtoB", "BtoA"]
# @markdown 0 steps: a number that suits the data set. You can raise it later and resume.
NUM_STEPS = 0  # @param {type: "integer"}
# @markdown Connect Google Drive, and keep the run and the project there?
USE_DRIVE = False  # @param {type: "boolean"}
# @markdown Folder of the runs. Empty: `pix2pix` on Drive if that is connected, else `runs`, here.
RUNS = ""  # @param {type: "string"}
# @markdown Another name starts another run. Empty: named after the data set.
RUN_NAME = ""  # @param {type: "string"}
# @markdown Images to translate at the end: `held-out`, `upload`, or the path of an image or folder.
IMAGES = "held-out"  # @param ["held-out", "upload"] {allow-input: true}
NUM_SAMPLES = 3  # @param {type: "integer"}
# @markdown Steps of the two small runs that compare losses, in section 8. 0: leave them out.
COMPARE_STEPS = 1000  # @param {type: "integer"}
# @markdown Show TensorBoard while it trains?
TENSORBOARD = True  # @param {type: "boolean"}
# @markdown Any other setting by its name, such as `{"crop_size": 128, "lambda_l1": 50}`.
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
the file is copied there, so that after a disconnect nothing has to be uploaded again. Colab's own
TensorFlow stays unchanged.
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
import math
import tempfile
import threading
import zipfile

import keras
import numpy as np
import tensorflow as tf
from IPython import get_ipython
from IPython.display import IFrame, Image, display

from pix2pix_tf import figures, grids, losses, networks, run_folder, serving, translate
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import augment, examples, images, pairs, pipeline, registry
from pix2pix_tf.errors import InputError
from pix2pix_tf.export import onnx, tflite
from pix2pix_tf.export.browser import programs
from pix2pix_tf.export.errors import ModelError
from pix2pix_tf.export.onnx import session
from pix2pix_tf.export.web import assemble, serve
from pix2pix_tf.files import write_atomically
from pix2pix_tf.inference import exported, noise, translator
from pix2pix_tf.models import generator, shapes
from pix2pix_tf.training.live import LivePicture
from pix2pix_tf.training.loop import train

tf.get_logger().setLevel("ERROR")  # An export is no news.
print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}")
if not tf.config.list_physical_devices("GPU"):
    print("There is no GPU: training will be slow. Runtime > Change runtime type > T4 GPU.")


def show(pictures):
    """Shows images in [-1, 1] side by side under their names."""
    display(Image(grids.row_as_png(pictures)))


def show_figure(figure):
    """Shows a figure of matplotlib."""
    display(Image(figures.to_png(figure)))


def check(number, answer, is_right):
    """Says whether the answer to an exercise is right. A wrong one does not stop "Run all"."""
    try:
        given = answer()
        if any(part is ... for part in tf.nest.flatten(given)):
            verdict = "not filled in yet."
        else:
            verdict = "right!" if is_right(given) else "not right yet."
    except Exception as error:  # Whatever the answer does, it is only wrong.
        verdict = f"not right yet ({type(error).__name__}: {error})."
    print(f"Exercise {number}: {verdict}")


# %% [markdown]
"""
The presets below suit a free GPU. They use the paper's batch sizes, but fewer steps than its 200
epochs, and a decoder that leaves no grid. On a T4 the networks compute in float16; weights and
losses stay float32.
"""

# %%
PRESETS = {  # Images a step, and steps.
    "demo": (1, 10_000),
    "facades": (1, 40_000),
    "cityscapes": (1, 60_000),
    "maps": (1, 60_000),
    "edges2shoes": (4, 40_000),
    "edges2handbags": (4, 40_000),
    "night2day": (4, 40_000),
}
EPOCHS = 200  # Of your own pairs, as in the paper.

published = registry.PUBLISHED.get(DATASET)
if published:
    print(f"{published.description}\nCite: {published.citation}")
task = published.direction if published else "AtoB"
batch_size, num_steps = PRESETS.get(DATASET, (1, 0))
num_steps = NUM_STEPS or num_steps
if not num_steps:
    num_pairs = pairs.count_pairs(DATASET, "train", data_dir=SETTINGS.get("data_dir", ""))
    num_steps = math.ceil(EPOCHS * num_pairs / SETTINGS.get("batch_size", batch_size))
preset = dict(
    dataset=DATASET,
    direction=task if DIRECTION == "auto" else DIRECTION,
    upsampling="resize",  # Leaves no grid; "transposed" is the paper's.
    batch_size=batch_size,
    num_steps=num_steps,
    precision="auto",
    sample_every=500,
    num_samples=3,
    checkpoint_every=5000,
)
runs = pathlib.Path(RUNS or (kept if my_drive.is_dir() else "runs"))
workdir = runs / (RUN_NAME or pathlib.Path(DATASET).name)
begun_here = pathlib.Path("runs") / workdir.name
if not RUNS and (begun_here / "config.json").exists() and not workdir.exists():
    shutil.copytree(begun_here, workdir)  # Drive was connected later.
    print(f"Copied the run that was begun in '{begun_here}' to '{workdir}', where it goes on.")
if (workdir / "config.json").exists():  # A run goes on as an earlier version began it.
    begun = TrainConfig.load(workdir)
    preset.update(upsampling=begun.upsampling, ema_decay=begun.ema_decay)
config = TrainConfig.from_dict({**preset, **SETTINGS})
if IMAGES == "upload" and not files:
    raise ValueError("IMAGES is 'upload', which only Colab can do. Give a path instead.")
if IMAGES not in ("held-out", "upload"):
    translate.find_inputs(pathlib.Path(IMAGES))  # If there are none: say so before training.
print(f"{config.direction}, {config.num_steps:,} steps of {config.batch_size}, in '{workdir}'")

# %% [markdown]
"""
## 3. The pairs

Training needs pairs that lie on each other pixel by pixel. Before each step a pair is *jittered*, as
in the paper: scaled up to 286 pixels, cut back to 256 at a random place, and mirrored half of the
time, input and target alike. So the network hardly ever sees the same pair twice.

First a pair four times, then one batch as the training gets it.
"""

# %%
jitter = augment.Jitter(config.mirror, config.vertical_flip, config.rotate90, config.input_jitter)
reader = pipeline.open_reader(config, "train", size=config.load_shape)
pair = [images.normalize_image(side) for side in reader.read(0)]
jittered = [
    augment.jitter_pair(*pair, crop_size=config.crop_shape, jitter=jitter, seed=[seed, 0])
    for seed in range(4)
]
rows = [[side.numpy() for side in sides] for sides in zip(*jittered)]
grid = grids.sample_grid(rows, titles=[f"pair 1, jitter {number}" for number in range(1, 5)])
display(Image(images.encode_image(grid, ".png"), width=800))

batches = pipeline.training_batches(
    reader, batch_size=4, crop_size=config.crop_shape, jitter=jitter, seed=config.seed
)
sources, targets = next(iter(batches))
grid = grids.sample_grid(
    [list(sources.numpy()), list(targets.numpy())], titles=["batch", "", "", ""]
)
display(Image(images.encode_image(grid, ".png"), width=800))

# %% [markdown]
"""
## 4. The networks

**The generator is a U-Net.** The encoder, on the left, halves the image until one pixel is left; the
decoder, on the right, doubles it back. On the way down the network learns *what* there is, but
loses *where* it is. So each block of the decoder also gets the encoder's map of the same size, by a
*skip connection*: edges pass through unharmed.

Three blocks drop half of their units, in use as in training. This *dropout* is the generator's
noise z: it is why one input has many outputs.
"""


# %% cellView="form"
# @title Draws the U-Net
def draw_unet(config):
    """Returns a figure: the maps of the generator by their sizes, and the skips between them."""
    filters = generator.filters_of_encoder(config.crop_size, config.base_filters)
    depth = len(filters)
    figure = figures.new_figure(figsize=(9, 0.55 * depth + 1))
    axes = figure.subplots()
    axes.axis("off")
    axes.set(xlim=(-1.4, 1.4), ylim=(depth + 0.4, -1))
    arrow = dict(arrowstyle="-|>", color="0.45", lw=1)

    def half_width(level):
        return 0.12 + 0.03 * math.log2(config.crop_size >> level)

    def draw_map(x, level, channels, color):
        size, half = config.crop_size >> level, half_width(level)
        axes.barh(level, 2 * half, 0.62, left=x - half, color=color)
        axes.text(x, level, f"{size}x{size}x{channels}", ha="center", va="center", fontsize=8)

    def draw_arrow(start, end, **options):
        axes.annotate("", xy=end, xytext=start, arrowprops={**arrow, **options})

    def place(level):  # Towards the middle as it goes down.
        return 1.05 * (1 - 0.7 * level / depth)

    for level in range(depth):
        x, below = place(level), place(level + 1)
        down = filters[level - 1] if level else config.input_channels
        up = filters[level - 1] if level else config.output_channels
        has_noise = config.dropout and depth - level in config.dropout_block_numbers
        draw_map(-x, level, down, "#8ecae6" if level else "#f2c14e")
        draw_map(x, level, up, "#f4a6a0" if has_noise else "#a8d5a2" if level else "#f2c14e")
        if level:
            half = half_width(level)
            draw_arrow((half - x, level), (x - half, level), linestyle="--")
        if level < depth - 1:
            draw_arrow((-x, level + 0.31), (-below, level + 0.69))
            draw_arrow((below, level + 0.69), (x, level + 0.31))
        else:
            edge = half_width(depth)
            draw_arrow((-x, level + 0.31), (-edge, depth))
            draw_arrow((edge, depth), (x, level + 0.31))
    draw_map(0, depth, filters[-1], "#8ecae6")
    for x, text in ((-1.05, "encoder"), (1.05, "decoder")):
        axes.text(x, -0.65, text, ha="center", fontsize=10)
    legend = "yellow: input and output\ndashed: skips\nred: with noise"
    axes.text(0, 0, legend, ha="center", va="center", fontsize=8)
    return figure


if config.generator == "unet":
    show_figure(draw_unet(config))
else:
    print(f"The generator is {config.generator}, which is not a U-Net.")

# %% [markdown]
"""
**The discriminator is a PatchGAN.** It does not call the whole picture real or generated. It gives a
map of numbers, the *logits*, one for each patch of 70x70 pixels: above 0 is "real", below "generated".
A patch is enough to judge texture and sharp edges; what is where is left to the L1 loss. Section 7
shows such a map of your trained model.

**Exercise 1.** How many weights has a 4x4 convolution from `channels_in` to `channels_out` channels,
without a bias? Fill in the cell, run it and the one below it.
"""


# %% tags=["exercise"]
def num_weights(channels_in, channels_out):
    """Weights of a 4x4 convolution, without a bias."""
    return ...


# %%
def num_weights_in_keras(channels_in, channels_out):
    """Asks a layer."""
    layer = keras.layers.Conv2D(channels_out, 4, use_bias=False)
    layer.build((None, 8, 8, channels_in))
    return layer.count_params()


cases = [(3, 64), (64, 128), (512, 512)]
check(
    1,
    lambda: [num_weights(*case) for case in cases],
    lambda given: given == [num_weights_in_keras(*case) for case in cases],
)

# %% [markdown]
"""
<details><summary>Solution</summary>

```python
def num_weights(channels_in, channels_out):
    return 4 * 4 * channels_in * channels_out
```

From 512 to 512 channels these are four million: most weights of the U-Net are where its maps are
small.
</details>

**Exercise 2.** How many pixels in a row does one logit see? Go from the last layer to the first: one
value of a 4x4 convolution sees 4 pixels of its input; its neighbour sees 4 as well, shifted by the
stride. So how many do `field` neighbours see together? The PatchGAN's strides are 2, 2, 2, 1 and 1,
from the first layer to the last.
"""


# %% tags=["exercise"]
def field_of_input(field, stride):
    """Pixels in a row of a 4x4 convolution's input that `field` neighbours of its output see."""
    return ...


# %%
def receptive_field(strides):
    """Goes through the layers from the last to the first."""
    field = 1
    for stride in reversed(strides):
        field = field_of_input(field, stride)
    return field


check(
    2,
    lambda: [receptive_field([2] * number + [1, 1]) for number in range(1, 6)],
    lambda given: given == [16, 34, 70, 142, 286],
)

# %% [markdown]
"""
<details><summary>Solution</summary>

```python
def field_of_input(field, stride):
    return stride * (field - 1) + 4
```

`SETTINGS = {"receptive_field": 16}` trains with smaller patches; all five sizes can be had.
</details>

## 5. The losses

These ten lines are all that drives the training. They compute what `pix2pix_tf/losses.py` and
`objective.py` do with the default settings; the project's tests compare the two. `logits` come
from the discriminator; cross entropy asks how surprised it is to hear the truth.
"""


# %%
def cross_entropy(logits, is_real):
    """How wrong the logits are, on average over the patches."""
    labels = tf.fill(tf.shape(logits), float(is_real))
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits))


def discriminator_loss(real_logits, fake_logits):
    """D should call the real pair real, and the generated one generated."""
    return 0.5 * (cross_entropy(real_logits, True) + cross_entropy(fake_logits, False))


def generator_loss(fake_logits, fake, target, lambda_l1=100.0):
    """G should make D call its output real, and stay close to the target."""
    return cross_entropy(fake_logits, True) + lambda_l1 * tf.reduce_mean(tf.abs(target - fake))


undecided = tf.zeros([1, 30, 30, 1])
print(f"A discriminator that cannot tell: {discriminator_loss(undecided, undecided):.4f}, log 2.")

# %% [markdown]
"""
Each step updates the discriminator once by its loss, then the generator once by its own. Note that
both say something of `fake_logits`, and want the opposite: this is the game.

**Exercise 3.** Least squares (`gan_loss="lsgan"`, Mao et al., ICCV 2017) is another loss for the same
game: the mean squared distance of the logits from 1, if they should say "real". Write the adversarial
term of the generator.
"""


# %% tags=["exercise"]
def least_squares(fake_logits):
    """How far D is from calling every patch real."""
    return ...


# %%
some_logits = tf.random.stateless_normal([2, 30, 30, 1], seed=[1, 2])
check(
    3,
    lambda: least_squares(some_logits),
    lambda given: np.isclose(given, losses.adversarial_loss(some_logits, gan_loss="lsgan")),
)

# %% [markdown]
"""
<details><summary>Solution</summary>

```python
def least_squares(fake_logits):
    return tf.reduce_mean((fake_logits - 1.0) ** 2)
```
</details>

## 6. Train

**How long will it take?** Nobody has measured this project on a T4, so this is an *estimate*. A step takes
as long as the floating-point operations of its convolutions need on the card, whose data sheet says
65 trillion a second in float16; of these, networks that see one image at a time reach a
small share. To that comes the time to start the thousands of small operations that a step is made
of. The share, 3 to 10%, and that time, 5 to 20 ms, are guesses. After the first hundred steps, trust
the progress bar instead.
"""

# %%
T4_PEAK = 65e12  # Float16 operations a second, by NVIDIA's data sheet.
GUESSES = ((0.10, 0.005), (0.03, 0.020))  # Share of the peak, and seconds to start a step.


def forward_operations(network):
    """Floating-point operations of the convolutions for one image: a product and a sum each."""
    convolutions = [x for x in network.layers if x.weights and x.weights[0].shape.rank == 4]
    outputs = shapes.output_shapes(network, convolutions, size=config.crop_shape)
    total = 0
    for layer, (_, height, width, _) in zip(convolutions, outputs):
        if isinstance(layer, keras.layers.Conv2DTranspose):  # Its kernel goes over the input.
            height, width = height // layer.strides[0], width // layer.strides[1]
        total += 2 * height * width * math.prod(layer.weights[0].shape)
    return total


# Backward takes twice the forward pass: once for the input, once for the weights. D sees two
# pictures for its own update; for that of G one, forward and back to its input.
of_generator = 3 * forward_operations(networks.build_generator(config))
of_discriminator = 8 * forward_operations(networks.build_discriminator(config))
operations = of_generator + config.uses_gan * of_discriminator
print(f"{operations / 1e9:.1f} GFLOP for an image. Estimated, not measured, on a T4:")
for name, (images_a_step, steps) in {
    **PRESETS,
    "this run": (config.batch_size, config.num_steps),
}.items():
    least, most = (
        steps * (operations * images_a_step / (T4_PEAK * share) + overhead) / 60
        for share, overhead in GUESSES
    )
    print(f"{name:15} {steps:6,} steps of {images_a_step}: {least:4.0f} to {most:4.0f} minutes")

# %% [markdown]
"""
The next cell shows TensorBoard, which reads the run's folder anew every half minute: reload it by
the arrow at its top. The cell after that trains. Under its progress bar a picture shows input,
output and target of held-out pairs, with the losses beside them, and is replaced every 500 steps. The
picture is drawn by an *action*, an object that `train` calls after each step; `docs/extending.md`
shows others.

**To pause**, stop the cell: it saves everything first. Run it again to resume.

**If Colab disconnects**, connect again with a GPU and run all cells with the same settings. If the
run is on Drive, it resumes from its newest checkpoint.
"""

# %%
shell = get_ipython()
if TENSORBOARD and shell:  # As %load_ext and %tensorboard do.
    shell.run_line_magic("load_ext", "tensorboard")
    shell.run_line_magic("tensorboard", f"--logdir '{workdir}'")

# %%
train(config, workdir, actions=[LivePicture()])
print(f"The run is in '{workdir}'; open its index.html for all that was written.")

# %% [markdown]
"""
## 7. What has it learned?

Each grid shows input, output and target: before training, halfway through, and now.
"""

# %%
paths = list(run_folder.list_sample_grids(workdir).values())
for path in dict.fromkeys([paths[0], paths[len(paths) // 2], paths[-1]]):
    print(path.stem)
    display(Image(filename=str(path), width=600))

# %% [markdown]
"""
**The losses.**

- *discriminator*: how badly it tells real from generated. 0.69 (log 2) is a coin toss. Close to 0 it
  always tells them apart, and the generator can no longer keep up.
- *generator* (adversarial): how badly the generator fools the discriminator. These two losses pull
  against each other, so neither falls for ever. Both should stay in between.
- *L1*: the mean distance to the target, where black to white is 2. It should fall. It has 100 times
  the weight and decides what is where; the adversarial term makes the result crisp.

In the progress bar, D is the discriminator's loss and G the generator's total: adversarial +
100 x L1.

No loss tells you how good a picture looks. Trust the grids.
"""

# %%
display(Image(filename=str(workdir / run_folder.LOSSES_PICTURE), width=700))

# %% [markdown]
"""
**What the discriminator sees.** Its logits over a generated picture and over the true one: blue says
"generated", red "real". The square is one patch: the value in its middle is all that the
discriminator says of it.
"""

# %%
trained = translator.load(workdir)
held_out = examples.held_out(config, limit=4)


def draw_logits(example, fake):
    """Returns a figure of the discriminator's logits over a generated and the true picture."""
    discriminator = networks.build_discriminator(config)
    networks.load_weights(discriminator, workdir / run_folder.DISCRIMINATOR_WEIGHTS)
    height, width = config.crop_shape
    figure = figures.new_figure(figsize=(11, 3.9))
    shown = [("input", example.source, None)]
    for title, picture in (("generated", fake), ("real", example.target)):
        seen = tf.concat([example.source, picture], -1) if config.conditional else picture
        shown.append((title, picture, discriminator(seen)[0, ..., 0].numpy()))
    # A spectral norm wraps its layer.
    layers = [getattr(layer, "layer", layer) for layer in discriminator.layers]
    stride = math.prod(getattr(layer, "strides", (1,))[0] for layer in layers)
    for axes, (title, picture, logits) in zip(figure.subplots(1, 3), shown):
        pixels = images.shown_pixels(picture[0])
        axes.imshow(pixels, extent=(0, width, height, 0))
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(title if logits is None else f"{title}: mean logit {logits.mean():.1f}")
        if logits is None:
            continue
        rows, columns = logits.shape
        left, top = (width - stride * columns) / 2, (height - stride * rows) / 2
        extent = (left, width - left, height - top, top)
        colors = axes.imshow(logits, extent=extent, cmap="coolwarm", vmin=-4, vmax=4, alpha=0.55)
        side = config.receptive_field
        x = left + (columns // 2 + 0.5) * stride - side / 2
        y = top + (rows // 2 + 0.5) * stride - side / 2
        axes.plot([x, x + side, x + side, x, x], [y, y, y + side, y + side, y], "k", lw=1.5)
        axes.set(xlim=(0, width), ylim=(height, 0))
    figure.colorbar(colors, ax=axes, label="logit")
    return figure


if config.uses_gan:
    for example in held_out[:2]:
        show_figure(draw_logits(example, trained(example.source[0].numpy())[np.newaxis]))

# %% [markdown]
"""
**Exercise 4.** Losses swing, so the last checkpoint need not be the best. At each checkpoint the run
measures the L1 distance on held-out pairs. Which step has the least? The records are dicts; those of
checkpoints have the key `"held_out_l1"`.
"""

# %% tags=["exercise"]
records = run_folder.read_metrics(workdir)
best_step = ...

# %%
check(4, lambda: best_step, lambda given: given == run_folder.read_best(workdir)["step"])

# %% [markdown]
"""
<details><summary>Solution</summary>

```python
records = run_folder.read_metrics(workdir)
measured = [record for record in records if "held_out_l1" in record]
best_step = min(measured, key=lambda record: record["held_out_l1"])["step"]
```

`translator.load(workdir, checkpoint="best")` loads it.
</details>

## 8. Why a discriminator at all?

Two small runs, alike but for the loss: `gan_loss="none"`, which is L1 alone, and the default. L1 asks
for the middle of all outputs that are possible: flat walls, soft edges. The discriminator knows that
no wall looks like that. The L1 distance of the blurred pictures is usually the better one all the
same, so do not choose by it.

They train for `COMPARE_STEPS` steps with small images and narrow networks, a sixteenth of the work for
a step. Both together took 77 s on two processor cores (measured, AMD EPYC with bfloat16); a T4 was not
measured.
"""

# %%
if COMPARE_STEPS:
    small = dataclasses.replace(
        config,
        crop_size=min(128, config.crop_size),
        **dict(crop_height=0, crop_width=0, load_size=0),  # Those that follow from it.
        base_filters=min(32, config.base_filters),
        num_steps=COMPARE_STEPS,
        sample_every=COMPARE_STEPS,
        checkpoint_every=COMPARE_STEPS,
        **dict(init_from="", decay_steps=0, dropout_blocks=TrainConfig.dropout_blocks),
        **dict(lambda_l1=100.0, lambda_l2=0.0, lambda_gan=1.0, extra_terms=""),
    )
    compared = examples.held_out(small, limit=16)
    columns = {"input": [example.source_picture[0].numpy() for example in compared]}
    adversarial = config.gan_loss if config.uses_gan else "vanilla"
    target = [example.target_picture[0].numpy() for example in compared]
    for title, gan_loss in {"L1 alone": "none", "L1 + GAN": adversarial}.items():
        with tempfile.TemporaryDirectory() as folder:
            train(dataclasses.replace(small, gan_loss=gan_loss), folder)
            small_model = translator.load(folder)
        columns[title] = [small_model.translate_example(example) for example in compared]
        l1 = np.mean([abs(fake - real) for fake, real in zip(columns[title], target)])
        print(f"{title}: L1 distance to {len(target)} held-out targets {l1:.3f}")
    columns["target"] = target
    rows = list(zip(*columns.values()))[:3]
    grid = grids.sample_grid(rows, list(columns))
    display(Image(images.encode_image(grid, ".png"), width=700))

# %% [markdown]
"""
## 9. Translate images

This cell translates held-out pairs, or your own images: set `IMAGES` in section 1, then run that cell
and this one. Uploads need no target and may have any size. The samples of one input differ by the
generator's noise. The differences are small, as the paper found too.
"""

# %%
if IMAGES == "held-out":
    inputs = held_out
else:
    if IMAGES == "upload":
        uploaded = files.upload()
        paths = [pathlib.Path(name) for name in uploaded]
        for path in paths:  # Colab may have called it "NAME (1)".
            path.write_bytes(uploaded[path.name])
    else:
        paths = translate.find_inputs(pathlib.Path(IMAGES))
    inputs = [examples.of_file(path, config) for path in paths]

translations = workdir / "translations"
translations.mkdir(exist_ok=True)
for example in inputs:
    pictures = {"input": example.source_picture[0]}
    if example.target is not None:
        pictures["target"] = example.target_picture[0]
    for sample in range(1, NUM_SAMPLES + 1):
        picture = trained.translate_example(example, sample=sample)
        pictures[f"sample {sample}"] = picture
        path = translations / translate.output_name(pathlib.Path(example.name), sample, config)
        write_atomically(path, images.encode_image(trained.file_values(picture), path.suffix))
    print(example.name)
    show(pictures)

# %% [markdown]
"""
## 10. Export a SavedModel

A SavedModel contains the network and its weights. Using it needs TensorFlow, but not this project.
Its signatures:

- `serving_default`: the input is an image in [-1, 1].
- `with_noise`: the noise is an input as well, so the output is repeatable.
- `encoded`: PNG or JPEG files in, PNG files out. Present only if such files can hold the model's
  channels and values.
"""

# %%
saved_model = workdir.with_name(f"{workdir.name}_savedmodel")
shutil.rmtree(saved_model, ignore_errors=True)  # From an earlier run of this cell.
version = serving.save_version(workdir, saved_model)
model = exported.load(version)
print(f"'{version}' has the signatures {', '.join(sorted(model.card['signatures']))}.")
if not config.has_encoded_signature:
    print(f"It has no signature `encoded`. {serving.why_not_encoded(config)}.")
source = held_out[0].source.numpy()
difference = abs(translator.load(version)(source[0]) - trained(source[0])).max()
print(f"With the same noise, the export and the run differ by {difference:.1e} at most.")

# %% [markdown]
"""
**The noise.** z has a number between 0 and 1 for each unit that dropout may drop; a unit whose number
is below 0.5 is dropped. `with_noise` takes z, so you decide: the same z gives the same picture to the
last bit, another z another picture. The last picture shows where eight draws differ, brightened: where
the input does not say what the output has to be.
"""

# %%
height, width = config.crop_shape
noise_size = model.block.noise_size_of(height, width)
draws = np.concatenate(
    [
        model.translate_with_noise(source, noise.draw(noise_size, entropy=[number])[np.newaxis])
        for number in range(8)
    ]
)
z = noise.draw(noise_size, entropy=[0])[np.newaxis]
again = model.translate_with_noise(source, z)
print(f"z has {noise_size:,} numbers. Same z: differs by {abs(again - draws[:1]).max()} at most.")
spread = draws.std(axis=0).mean(axis=-1, keepdims=True)
brightest = max(np.percentile(spread, 99), 1e-6)
print(f"Eight draws differ by {127.5 * spread.mean():.1f} grey levels of 256 on average.")
example = held_out[0]
pictures = {"input": example.source_picture[0]}
for number in range(3):
    pictures[f"draw {number + 1}"] = example.picture_of(draws[number : number + 1])[0]
show({**pictures, "differences": np.minimum(2 * spread / brightest, 2) - 1})

# %% [markdown]
"""
**Exercise 5.** Make a z with which no unit is dropped, of shape `[1, noise_size]`. (Then all units of
these blocks are twice as strong as on average in training. Look at the picture: does it matter?)
"""

# %% tags=["exercise"]
z_without_dropout = ...

# %%
check(
    5,
    lambda: z_without_dropout,
    lambda z: np.shape(z) == (1, noise_size) and np.all(np.asarray(z) >= config.dropout),
)
if z_without_dropout is not ... and np.shape(z_without_dropout) == (1, noise_size):
    output = model.translate_with_noise(source, np.asarray(z_without_dropout, np.float32))
    show({"input": example.source_picture[0], "your z": example.picture_of(output)[0]})

# %% [markdown]
"""
<details><summary>Solution</summary>

```python
z_without_dropout = np.full([1, noise_size], 0.99, np.float32)
```
</details>

## 11. Your picture, on a phone and in other runtimes

The first of your images (`IMAGES`; else a held-out input) through the SavedModel, through TFLite, which
phones have, and through ONNX, which most other runtimes read; their weights have 16 bits. All get the
same z. The files are made for pictures of the training's size, so the image is scaled and cut to it.
Converting the full-size network takes about a minute.
"""

# %%
example = (inputs or held_out)[0]
covering = augment.resize_to_cover(example.source[0], config.crop_shape)
source = tf.image.resize_with_crop_or_pad(covering, height, width)[tf.newaxis].numpy()
example = example._replace(source=tf.constant(source), target=None)
outputs = {"SavedModel": model.translate_with_noise(source, z)}
made = []  # Files for the archive.

path = workdir.with_name(f"{workdir.name}.tflite")
tflite.convert(version, path, quantize="float16", size=config.crop_shape)
phone = tflite.LiteRtModel(path)
outputs["TFLite"] = phone.run("with_noise", image=source, z=z)["output"]
made.append(path)

if drive and importlib.util.find_spec("tf2onnx") is None:
    print(pip_install("onnx>=1.18,<2", "onnxruntime>=1.20,<2", "tf2onnx>=1.17,<2"), end="")
path = workdir.with_name(f"{workdir.name}.onnx")
try:
    onnx.convert(version, path, quantize="float16", size=config.crop_shape)
    runtime = session.open_session(path)
    outputs["ONNX"] = session.run(runtime, dict(image=source, z=z))
    made.append(path)
except (InputError, ModelError) as error:
    print(f"No ONNX file: {error}")

for file in made:
    print(f"'{file}', {file.stat().st_size / 1e6:.1f} MB")
for name in list(outputs)[1:]:
    difference = abs(outputs[name] - outputs["SavedModel"]).mean() * 127.5
    print(f"{name} differs from the SavedModel by {difference:.3f} grey levels of 256 on average.")
pictures = {name: example.picture_of(values)[0] for name, values in outputs.items()}
show({"input": example.source_picture[0], **pictures})

# %% [markdown]
"""
## 12. Draw

A page in which the model runs in *your* browser: draw, or open a picture of your own, and look at what
it becomes. The page is a folder of files for any web host, made here as by `pix2pix export web`. It
needs LiteRT.js, which `npm` of Node.js fetches (Colab has it); where there is none, this cell says so and
the notebook goes on.

If Colab's frame stays empty, your browser blocks third-party cookies: allow them for this page, or
download the folder and serve it on your machine.
"""

# %%
site = workdir.with_name(f"{workdir.name}_page")
if drive and shutil.which("npm"):
    npm = subprocess.run(programs.install_command(), capture_output=True, text=True)
    if npm.returncode:
        print(f"npm could not fetch LiteRT.js:\n{npm.stderr}")
shutil.rmtree(site, ignore_errors=True)  # From an earlier run of this cell.
try:
    assemble.assemble(workdir, site)
except InputError as error:  # Node.js is not there, or the model is not for pictures.
    print(f"No page: {error}")
else:
    # A frame has no memory to share with threads, so the page is served without.
    server = serve.make_server(site, threads=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"The page is at http://localhost:{server.server_port}, as long as this notebook runs.")
    if drive:
        from google.colab import output as frames

        frames.serve_kernel_port_as_iframe(server.server_port, height="900")
    else:
        display(IFrame(f"http://localhost:{server.server_port}", width="100%", height=900))

# %% [markdown]
"""
## 13. Download

One zip: the SavedModel, and the TFLite and ONNX files beside it; 0.4 GB for the full-size network. Unzip
it where TensorFlow Serving looks for models, or load the folder with `tf.saved_model.load`.
`export_and_serve.ipynb` accepts the zip unchanged.

**What next?** Train on your own pairs; or with a setting changed, such as
`SETTINGS = {"lambda_l1": 10}` and another `RUN_NAME`, and compare the grids. `fine_tune.ipynb` starts
from a trained model, with twenty pairs.
"""

# %%
archive = shutil.make_archive(
    str(saved_model),
    "zip",
    root_dir=saved_model.parent,
    base_dir=version.relative_to(saved_model.parent),
)
with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as content:
    for file in made:
        content.write(file, file.name)
print(f"'{archive}', {pathlib.Path(archive).stat().st_size / 1e6:.1f} MB")
if files:
    files.download(archive)
