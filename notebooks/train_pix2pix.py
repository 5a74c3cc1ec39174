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

This notebook trains a model, shows the results, and gives you the model as a SavedModel. In Colab:

1. Choose **Runtime > Change runtime type > T4 GPU**. Do this first: changing the runtime later
   removes uploaded files.
2. Provide the project, which section 2 installs. Run
   `git archive --format=zip -o pix2pix_tf.zip HEAD` in a copy of it, and upload `pix2pix_tf.zip` in
   the Files pane, on the left. Or set `REPOSITORY` in section 1 to a zip on Drive, such as
   `/content/drive/MyDrive/pix2pix_tf.zip`, or to the project's address, `git+https://...`.
3. Change the settings in section 1 if you like. The defaults train on drawn house fronts.
4. Choose **Runtime > Run all**. Colab asks for permission if a setting names a path on Drive, and
   for your files in section 5 if `IMAGES` is `upload`. At the end the browser downloads the model.

In Jupyter, install the project first; then only steps 3 and 4 apply, and the model stays on your
machine: the last cell prints where its zip is.
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
for your permission.

**Where runs are kept.** Colab disconnects when you are away, or after some hours. All files are then
lost except those on Drive, so for more than a quick try set `RUNS` to the folder on Drive. A
checkpoint of the full-size networks takes about 1.3 GB, and up to three are kept. Replaced
checkpoints go to Drive's bin, which counts towards your storage, so empty it now and then.
"""

# %% cellView="form" tags=["parameters"]
DATASET = "demo"  # @param ["demo", "facades", "cityscapes", "maps", "edges2shoes", "edges2handbags", "night2day"] {allow-input: true}
# @markdown Which side is the input? `auto` is the paper's task, and A to B for your own pairs.
DIRECTION = "auto"  # @param ["auto", "AtoB", "BtoA"]
# @markdown 0 steps: a number that suits the data set. You can raise it later and resume.
NUM_STEPS = 0  # @param {type: "integer"}
RUNS = "runs"  # @param ["runs", "/content/drive/MyDrive/pix2pix"] {allow-input: true}
# @markdown Another name starts another run. Empty: named after the data set.
RUN_NAME = ""  # @param {type: "string"}
# @markdown Images to translate at the end: `held-out`, `upload`, or the path of an image or folder.
IMAGES = "held-out"  # @param ["held-out", "upload"] {allow-input: true}
NUM_SAMPLES = 3  # @param {type: "integer"}
# @markdown Any other setting by its name, such as `{"crop_size": 128, "lambda_l1": 50}`.
SETTINGS = {}  # @param {type: "raw"}
# @markdown What `pip` installs: a zip of the project, uploaded in the Files pane on the left, or its
# @markdown address, `git+https://...`. The zip is made by `git archive --format=zip -o pix2pix_tf.zip HEAD`.
REPOSITORY = "/content/pix2pix_tf.zip"  # @param {type: "string"}

# %% [markdown]
"""
## 2. Set up

Installs the project unless it is installed already. Colab's own TensorFlow stays unchanged.
"""

# %%
import importlib
import importlib.util
import pathlib
import shutil
import subprocess
import sys

from IPython.display import Image, display

try:
    from google.colab import drive, files
except ImportError:  # Not in Colab.
    drive = files = None

DRIVE = "/content/drive"
if drive and any(path.startswith(DRIVE) for path in (DATASET, RUNS, IMAGES, REPOSITORY)):
    drive.mount(DRIVE)

if importlib.util.find_spec("pix2pix_tf") is None:
    if "://" not in REPOSITORY and not pathlib.Path(REPOSITORY).exists():
        raise FileNotFoundError(
            f"There is no '{REPOSITORY}' to install. In a copy of the project, run: git archive "
            "--format=zip -o pix2pix_tf.zip HEAD. Upload the zip in the Files pane on the left, "
            "and run this again; or let REPOSITORY be the project's address, git+https://..."
        )
    # Colab has all that is needed; without --no-deps, pip might replace its TensorFlow.
    options = ["--no-deps"] if drive else []
    pip = [sys.executable, "-m", "pip", "install", "--quiet", *options, REPOSITORY]
    installed = subprocess.run(pip, capture_output=True, text=True)
    if installed.returncode:
        raise RuntimeError(f"Could not install '{REPOSITORY}':\n{installed.stderr}")
    importlib.invalidate_caches()

importlib.import_module("pix2pix_tf")  # First: it turns on what TensorFlow needs on older CPUs.
import tensorflow as tf

from pix2pix_tf import grids, run_folder, serving, translate
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import examples, images, registry
from pix2pix_tf.files import write_atomically
from pix2pix_tf.inference import translator
from pix2pix_tf.training import loop

print(f"TensorFlow {tf.__version__}")
if not tf.config.list_physical_devices("GPU"):
    print("There is no GPU: training will be slow. Runtime > Change runtime type > T4 GPU.")

# %% [markdown]
"""
## 3. Train

The presets below suit a free GPU. They use the paper's batch sizes, but fewer steps than its 200
epochs, and a decoder that leaves no grid. On a T4 the networks compute in float16; weights and losses stay float32.

**To pause**, stop the cell: it saves everything first. Run it again to resume.

**If Colab disconnects**, connect again with a GPU, upload the zip of the project again (or keep it on
Drive and name it in `REPOSITORY`), and run all cells with the same settings. If `RUNS` is on Drive,
the run resumes from its newest checkpoint.
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
OWN_PRESET = (1, 20_000)

published = registry.PUBLISHED.get(DATASET)
if published:
    print(f"{published.description}\nCite: {published.citation}")
task = published.direction if published else "AtoB"
batch_size, num_steps = PRESETS.get(DATASET, OWN_PRESET)
preset = dict(
    dataset=DATASET,
    direction=task if DIRECTION == "auto" else DIRECTION,
    upsampling="resize",  # Leaves no grid; "transposed" is the paper's.
    batch_size=batch_size,
    num_steps=NUM_STEPS or num_steps,
    precision="auto",
    sample_every=1000,
    checkpoint_every=5000,
)
workdir = pathlib.Path(RUNS) / (RUN_NAME or pathlib.Path(DATASET).name)
if (workdir / "config.json").exists():  # A run goes on as an earlier version began it.
    begun = TrainConfig.load(workdir)
    preset.update(upsampling=begun.upsampling, ema_decay=begun.ema_decay)
config = TrainConfig.from_dict({**preset, **SETTINGS})
if IMAGES == "upload" and not files:
    raise ValueError("IMAGES is 'upload', which only Colab can do. Give a path instead.")
if IMAGES not in ("held-out", "upload"):
    translate.find_inputs(pathlib.Path(IMAGES))  # If there are none: say so before training.
print(f"{config.direction}, {config.num_steps:,} steps of {config.batch_size}, in '{workdir}'")

# %%
loop.train(config, workdir)
print(f"The run is in '{workdir}'; open its index.html for all that was written.")

# %% [markdown]
"""
## 4. How did it go?

Each grid shows input, output and target: before training, halfway through, and now.
"""

# %%
paths = list(run_folder.list_sample_grids(workdir).values())
for path in dict.fromkeys([paths[0], paths[len(paths) // 2], paths[-1]]):
    print(path.stem)
    display(Image(filename=str(path)))

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
display(Image(filename=str(workdir / run_folder.LOSSES_PICTURE)))

# %% [markdown]
"""
## 5. Translate images

This cell translates held-out pairs, or your own images: set `IMAGES` in section 1, then run that cell
and this one. Uploads need no target and may have any size. The samples of one input differ by the
generator's noise, which is dropout that stays on after training. The differences are small, as the
paper found too.
"""

# %%
held_out = examples.held_out(config, limit=4)
if IMAGES == "held-out":
    inputs = held_out
else:
    if IMAGES == "upload":
        paths = [pathlib.Path(name) for name in files.upload()]
    else:
        paths = translate.find_inputs(pathlib.Path(IMAGES))
    inputs = (examples.of_file(path, config) for path in paths)

trained = translator.load(workdir)
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
    display(Image(grids.row_as_png(pictures)))

# %% [markdown]
"""
## 6. Export a SavedModel

A SavedModel contains the network and its weights. Using it needs TensorFlow, but not this project.
Its signatures:

- `serving_default`: the input is an image in [-1, 1].
- `with_noise`: the noise is an input as well, so the output is repeatable.
- `encoded`: PNG or JPEG files in, PNG files out. Present only if such files can hold the model's
  channels and values.
"""

# %%
exported = workdir.with_name(f"{workdir.name}_savedmodel")
version = serving.save_version(workdir, exported)

model = tf.saved_model.load(str(version))
print(f"'{version}' has the signatures {', '.join(sorted(model.signatures))}.")
if not config.has_encoded_signature:
    print(f"It has no signature `encoded`. {serving.why_not_encoded(config)}.")
example = held_out[0]
pictures = {"input": example.source_picture[0]}
for title in ("served", "served again"):
    output = model.signatures["serving_default"](image=example.source)["output"]
    pictures[title] = example.picture_of(output)[0]
display(Image(grids.row_as_png(pictures)))

source = example.source[0].numpy()
difference = abs(translator.load(version)(source) - trained(source)).max()
print(f"With the same noise, the export and the run differ by {difference:.1e} at most.")

# %% [markdown]
"""
## 7. Download

Unzip the archive where TensorFlow Serving looks for models, or load the folder with
`tf.saved_model.load`. `export_and_serve.ipynb` accepts the zip unchanged.
"""

# %%
archive = shutil.make_archive(
    str(exported), "zip", root_dir=exported.parent, base_dir=version.relative_to(exported.parent)
)
print(f"'{archive}', {pathlib.Path(archive).stat().st_size / 1e6:.1f} MB")
if files:
    files.download(archive)
