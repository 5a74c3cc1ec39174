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
# Take a trained pix2pix anywhere

This notebook converts the model that `train_pix2pix.ipynb` trained to a SavedModel for servers, a
TFLite file for phones and a TF.js folder for web pages. It needs no GPU. In Colab:

1. Have the project at hand: one file, `pix2pix_tf-VERSION-py3-none-any.whl`, which `make wheel`
   writes in a copy of it. Section 2 finds it in Colab's Files pane or on Drive, where
   `train_pix2pix` has copied it if it was connected; else it shows a button to upload it.
2. Provide the model: upload its zip in the Files pane, on the left, or set `MODEL` in section 1 to the run
   folder on Drive.
3. Choose **Runtime > Run all**. At the end the browser downloads an archive with all files.

With the same image and the same noise, the forms `none` and `float16` give the same picture to the
eye; the 8-bit forms differ a little more. Mean differences from Keras on the facades model of
`docs/parity.md`, in grey levels of 256:

| form | mean difference |
|---|---|
| SavedModel, and `none` and `float16` of TFLite and TF.js | below 0.01 |
| `uint8` of TF.js | 0.2 |
| `dynamic` of TFLite | 0.3 to 0.7 |
| `int8` of TFLite | 1.8 |

Section 4 compares your TFLite file with the SavedModel.
"""

# %% [markdown]
"""
## 1. Settings

**The model.** Colab gives each notebook its own machine, so the files of `train_pix2pix` are not here.
Set `MODEL` to one of these:

- The zip that `train_pix2pix` gave you at the end, uploaded in the Files pane on the left. The
  default is the zip of the demo.
- The run's folder on Drive, if `RUNS` was on Drive. Colab asks for your permission.
- In Jupyter, a run folder or a SavedModel on this machine, such as `runs/demo`.
"""

# %% cellView="form" tags=["parameters"]
MODEL = "demo_savedmodel.zip"  # @param ["demo_savedmodel.zip", "/content/drive/MyDrive/pix2pix/demo", "runs/demo"] {allow-input: true}
# @markdown Checkpoint of a run folder: `best` by the run's own measure, `newest`, or a step that is kept.
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
# @markdown Connect Google Drive? A setting that names a path on it does so, too.
USE_DRIVE = False  # @param {type: "boolean"}
# @markdown Where the project is, if not in a wheel here or on Drive: the path of a wheel or zip, or
# @markdown an address, `git+https://...`. Empty: Colab asks for the wheel.
REPOSITORY = ""  # @param {type: "string"}

# %% [markdown]
"""
## 2. Set up

The first cell takes the project from the first of these places that has it: already installed; a
wheel (`pix2pix_tf-*.whl`) or a zip of the project (`pix2pix_tf*.zip`) in Colab's Files pane, in *My
Drive* or in its folder `pix2pix`; `REPOSITORY`; a button to upload a wheel. Colab's own TensorFlow
stays unchanged.
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
import zipfile

from IPython.display import Image, display

if not pathlib.Path(MODEL).exists():
    raise FileNotFoundError(
        f"There is no '{MODEL}'. Upload the zip that train_pix2pix gave you, in the Files pane on "
        "the left, and name it in MODEL, section 1; or name the run's folder on Drive, or one here."
    )
if importlib.util.find_spec("ai_edge_litert") is None:
    # What runs .tflite files; where it cannot be installed, TensorFlow's own interpreter does.
    pip_install("ai-edge-litert>=2.3,<3")

from pix2pix_tf import grids, serving
from pix2pix_tf.data import examples, images
from pix2pix_tf.errors import InputError
from pix2pix_tf.export import tfjs, tflite
from pix2pix_tf.inference import exported, forms, noise

output = pathlib.Path(OUTPUT)

# %% [markdown]
"""
## 3. SavedModel

The signatures:

- `serving_default`: the input is an image in [-1, 1]; the model draws the noise itself.
- `with_noise`: the noise is an input as well, so the output is repeatable.
- `encoded`: PNG or JPEG files in, PNG files out. Present only if such files can hold the model's
  channels and values.

The model card describes the training and the inputs.
"""

# %%
version = forms.save_version(MODEL, output / "saved_model", checkpoint=CHECKPOINT)
model = exported.load(version)
print(f"'{version}', step {model.step}: {', '.join(sorted(model.card['signatures']))}.")

config = dataclasses.replace(
    model.config,
    dataset=DATASET or model.config.dataset,
    data_dir=DATA_DIR or model.config.data_dir,
)
try:
    (example,) = examples.held_out(config, limit=1)
except InputError as error:
    print(f"The input is a drawn scene, since the training's data set is not here: {error}")
    example = examples.drawn(config)
image = example.source.numpy()
z = noise.draw(model.block.noise_size_of(*config.crop_shape), entropy=[0])[None]
served = model.translate_with_noise(image, z)
one_draw = model.translate(image)
pictures = {"input": example.source_picture[0]}
for title, values in {"one draw": one_draw, "another": served}.items():
    pictures[title] = example.picture_of(values)[0]
display(Image(grids.row_as_png(pictures)))

# %% [markdown]
"""
This is what a request to a server looks like: bytes of files in, bytes of files out. The files of a
batch may differ in size, and none of them changes the picture of another.
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
To serve the model, download the archive of section 6. On your own machine, in a copy of the project:

    unzip exported.zip -d exported
    MODEL_DIR=$PWD/exported/saved_model docker compose -f export/tf_serving/compose.yaml up --detach --wait
    pix2pix export tf_serving.client --address=localhost:8500 --input=labels.png --output=out

`export/tf_serving/` contains the configuration of TensorFlow Serving, and a client; its
`README.md` says what the client needs and what has not been run yet.

## 4. TFLite, for phones

`int8` is calibrated with training pairs. If the model's own are not on this machine, set `DATASET` and
`DATA_DIR` to others like them.
"""

# %%
path = output / f"{TFLITE}.tflite"
size = config.crop_shape
tflite.convert(version, path, quantize=TFLITE, dataset=DATASET, data_dir=DATA_DIR, size=size)
phone = tflite.LiteRtModel(path).run("with_noise", image=image, z=z)["output"]
print(f"'{path}', {path.stat().st_size / 1e6:.1f} MB")
print(f"Differs from the SavedModel by {abs(phone - served).max():.1e} at most.")
pictures = {"input": example.source_picture[0]}
for title, values in {"SavedModel": served, "TFLite": phone}.items():
    pictures[title] = example.picture_of(values)[0]
display(Image(grids.row_as_png(pictures)))

# %% [markdown]
"""
## 5. TF.js, for web pages

This cell makes the files that a page of your own would load. For a complete drawing page, run
`pix2pix export web --workdir=RUN --output=site` on your own machine, with the run folder.
"""

# %%
folder = output / f"tfjs_{TFJS}"
if folder.exists():
    shutil.rmtree(folder)  # From an earlier run of this cell.
tfjs.convert(version, folder, quantize=TFJS, size=config.crop_shape)
num_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
print(
    f"'{folder}', {num_bytes / 1e6:.1f} MB: {', '.join(sorted(x.name for x in folder.iterdir()))}."
)

# %% [markdown]
"""
## 6. Download

One archive with the files that the cells above have made. Earlier versions stay in the folder.
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
