# ---
# jupyter:
#   colab:
#     name: export_and_serve.ipynb
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
[![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/pix2pix_tf/blob/main/notebooks/export_and_serve.ipynb)

# Take a trained pix2pix anywhere

From a run folder, which `train_pix2pix.ipynb` made, to a SavedModel for servers, a TFLite file for
phones and a TF.js folder for web pages. Each gets the same image and the same noise, and gives the same
picture.
"""

# %% [markdown]
"""
## 1. Settings
"""

# %% cellView="form" tags=["parameters"]
# @markdown The run folder: where `train_pix2pix` kept it, on Drive or here.
WORKDIR = "runs/demo"  # @param {type: "string"}
# @markdown `best` by the measure of the training, `newest`, or a step that is kept.
CHECKPOINT = "newest"  # @param ["newest", "best"] {allow-input: true}
OUTPUT = "exported"  # @param {type: "string"}
# @markdown Pairs to show, and to calibrate `int8` with: a name or a folder, and the folder of published
# @markdown sets. Empty: as in the training.
DATASET = ""  # @param {type: "string"}
DATA_DIR = ""  # @param {type: "string"}
# @markdown How the TFLite file holds its weights; `int8` also computes in 8 bits.
TFLITE = "float16"  # @param ["none", "float16", "dynamic", "int8"]
# @markdown How the TF.js folder holds its weights.
TFJS = "float16"  # @param ["none", "float16", "uint8"]
# @markdown What `pip` installs: the project's address, or a zip of it that you uploaded.
REPOSITORY = "git+https://github.com/OWNER/pix2pix_tf"  # @param {type: "string"}

# %% [markdown]
"""
## 2. Set up

Installs the project unless it is there. Colab's own TensorFlow is used as it is.
"""

# %%
import dataclasses
import importlib
import importlib.util
import pathlib
import shutil
import subprocess
import sys
import zipfile

from IPython.display import Image, display

try:
    from google.colab import drive, files
except ImportError:  # Not in Colab.
    drive = files = None

DRIVE = "/content/drive"
if drive and any(path.startswith(DRIVE) for path in (WORKDIR, OUTPUT, DATASET, DATA_DIR)):
    drive.mount(DRIVE)

if importlib.util.find_spec("pix2pix_tf") is None:
    if "OWNER" in REPOSITORY:
        raise ValueError(f"REPOSITORY is '{REPOSITORY}'. Put the project's address there.")
    # Colab has all that is needed; without --no-deps, pip might replace its TensorFlow.
    options = ["--no-deps"] if drive else []
    pip = [sys.executable, "-m", "pip", "install", "--quiet", *options, REPOSITORY]
    installed = subprocess.run(pip, capture_output=True, text=True)
    if installed.returncode:
        raise RuntimeError(f"Could not install '{REPOSITORY}':\n{installed.stderr}")
    importlib.invalidate_caches()

from export import litert, tfjs_model, tflite
from pix2pix_tf import serving
from pix2pix_tf.data import images, lab, pairs, pipeline, readers
from pix2pix_tf.errors import InputError
from pix2pix_tf.inference import exported, translator
from pix2pix_tf.training import reports

workdir, output = pathlib.Path(WORKDIR), pathlib.Path(OUTPUT)

# %% [markdown]
"""
## 3. SavedModel

`serving_default` takes an image in [-1, 1] and draws noise of its own; `with_noise` takes the noise
as well, so that its output can be repeated; `encoded`, where such files hold the model's channels and
values, takes PNG or JPEG files and gives PNG files.
The model card says how it was trained and what it takes.
"""

# %%
version = serving.save_version(workdir, output / "saved_model", checkpoint=CHECKPOINT)
model = exported.load(version)
print(f"'{version}', step {model.step}: {', '.join(sorted(model.card['signatures']))}.")


def show(pictures):
    """Shows images of one size side by side; `pictures` maps titles to them."""
    grid = reports.sample_grid([list(pictures.values())], list(pictures))
    display(Image(data=images.encode_image(grid, ".png"), width=min(grid.shape[1], 1200)))


config = dataclasses.replace(
    model.config,
    dataset=DATASET or model.config.dataset,
    data_dir=DATA_DIR or model.config.data_dir,
)
try:
    split = pairs.find_split(config.dataset, ("test", "val"), data_dir=config.data_dir) or "train"
    reader = readers.open_reader(config, split, size=config.crop_shape)
    (example,) = pipeline.evaluation_examples(reader, crop_size=config.crop_shape, limit=1)
except InputError as error:
    print(f"The input is a drawn scene, not of the training's set, which cannot be had: {error}")
    labels, _ = pairs.ScenePairs("test", size=max(config.crop_shape)).read(0)
    file = images.encode_image(labels, ".png")  # Read again as the model takes it, maybe grey.
    channels = config.input_file_channels
    is_picture = channels in (1, 3, 4)
    scene = images.decode_pixels(file, channels=channels if is_picture else 1).numpy()
    if not is_picture:
        scene = scene.repeat(channels, axis=-1)  # The same grey in each.
    height, width = config.crop_shape
    scene = images.normalize_image(scene[:height, :width])
    source = lab.source_of(scene, config.color_space)[None]
    make = pipeline.LabExample if config.color_space == "lab" else pipeline.Example
    example = make("scene", source, source)
image = example.source.numpy()
noise = translator.draw_noise(config, *config.crop_shape, entropy=[0])[None]
served = model.translate_with_noise(image, noise)


def picture_of(output):
    """Returns an output as it is shown: of colorization the photo, not its a and b."""
    return example.picture_of(output)[0]


shown = {"input": example.source_picture[0], "one draw": picture_of(model.translate(image))}
show({**shown, "another": picture_of(served)})

# %% [markdown]
"""
A server would be asked like this: bytes of files in, bytes of files out. They may differ in size, and
nothing that another file of the batch holds changes a picture.
"""

# %%
answers = []  # Files for the archive.
if config.has_encoded_signature:
    picture = images.denormalize_image(example.source_picture[0])
    request = images.encode_image(picture, ".png")
    (answer,) = model.translate_encoded([request])
    answers.append(output / "answer.png")
    answers[0].write_bytes(answer)
    print(f"{len(request):,} bytes in, {len(answer):,} bytes out.")
    display(Image(data=answer))
else:
    print(f"{serving.why_not_encoded(config)}. Ask the other signatures, which take arrays.")

# %% [markdown]
"""
`export/tf_serving/` holds the configuration of TensorFlow Serving, a client and a load test:

    MODEL_DIR=$PWD/exported/saved_model docker compose -f export/tf_serving/compose.yaml up
    python -m export.tf_serving.client --address=localhost:8500 --input=labels.png --output=out

## 4. TFLite, for phones

`int8` is calibrated with training pairs: where those of the training are not on this machine, `DATASET` and
`DATA_DIR` name others like them.
"""

# %%
path = output / f"{TFLITE}.tflite"
size = config.crop_shape
tflite.convert(version, path, quantize=TFLITE, dataset=DATASET, data_dir=DATA_DIR, size=size)
phone = litert.LiteRtModel(path).run("with_noise", image=image, z=noise)["output"]
print(f"'{path}', {path.stat().st_size / 1e6:.1f} MB")
print(f"Differs from the SavedModel by {abs(phone - served).max():.1e} at most.")
show({"input": shown["input"], "SavedModel": picture_of(served), "TFLite": picture_of(phone)})

# %% [markdown]
"""
## 5. TF.js, for web pages

`python -m export.web` makes a page out of it, on which people draw. Here are only the files that a page
of your own would load.
"""

# %%
folder = output / f"tfjs_{TFJS}"
if folder.exists():
    shutil.rmtree(folder)  # Of an earlier run of this cell.
tfjs_model.convert(version, folder, quantize=TFJS, size=config.crop_shape)
num_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
print(
    f"'{folder}', {num_bytes / 1e6:.1f} MB: {', '.join(sorted(x.name for x in folder.iterdir()))}."
)

# %% [markdown]
"""
## 6. Download

One archive with what the cells above have made; earlier versions stay in the folder.
"""

# %%
archive = output.with_name(f"{output.name}.zip")
with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
    for made in (version, *answers, path, folder):
        for file in (made, *made.rglob("*")):
            packed.write(file, file.relative_to(output))
print(f"'{archive}', {archive.stat().st_size / 1e6:.1f} MB")
if files:
    files.download(str(archive))
