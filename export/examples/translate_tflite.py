"""Translates a picture on a phone or a Raspberry Pi, with a .tflite file of this project.

    pip install ai-edge-litert numpy pillow
    python translate_tflite.py MODEL.tflite INPUT.png OUTPUT.png [SEED]

Copy this one file to the device: it needs nothing else of the project. The same seed
gives the same picture; without one, each call gives another. A file that was made for
one size gets the picture scaled to it, and the result is scaled back. A file of
--size=dynamic gets the picture as it is; the memory that takes grows with its area.
"""

import json
import sys
import zipfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps


def translate(model_path, input_path, output_path, seed=None):
    """Writes the translation of a picture, of the picture's size."""
    interpreter = Interpreter(model_path=str(model_path), num_threads=4)
    with_noise = interpreter.get_signature_runner("with_noise")
    details = with_noise.get_input_details()
    shapes = {name: about["shape_signature"].tolist() for name, about in details.items()}
    _, height, width, channels = shapes["image"]  # -1 is any size.

    picture = read_picture(input_path, channels)
    if height == -1:
        scaled, noise_size = picture, dynamic_noise_size(model_path, picture)
    else:
        scaled = picture.resize((width, height), Image.Resampling.BICUBIC)
        noise_size = shapes["z"][1]
    pixels = np.asarray(scaled, np.float32)
    image = pixels.reshape(1, *pixels.shape[:2], channels) / 127.5 - 1.0
    z = np.random.default_rng(seed).random((1, noise_size), dtype=np.float32)  # Dropout noise.

    output = with_noise(image=image, z=z)["output"][0]
    pixels = np.clip(np.round((output + 1.0) * 127.5), 0, 255).astype(np.uint8)
    result = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    result.resize(picture.size).save(output_path)


def read_picture(path, channels):
    """Returns a picture as it is seen: upright, and transparent parts over white.

    In mode L, RGB or RGBA, for 1, 3 and 4 channels; the last keeps the transparency.
    """
    with Image.open(path) as file:
        picture = ImageOps.exif_transpose(file)  # Phones store photos lying on a side.
    if picture.mode.startswith("I"):  # Grey of 16 bits, which `convert` would clip to white.
        levels = np.round(np.asarray(picture, np.float32) / 257)
        picture = Image.fromarray(levels.astype(np.uint8))
    picture = picture.convert("RGBA")
    if channels == 4:
        return picture
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("L" if channels == 1 else "RGB")


def dynamic_noise_size(model_path, picture):
    """Returns the length of z: some numbers for each started tile of crop_size pixels."""
    with zipfile.ZipFile(model_path) as archive:  # The file's note on itself, behind the model.
        about = json.loads(archive.read("metadata.json"))
    # As pix2pix_tf.networks.Block has it, which is not at hand on a device.
    card = about["model_card"]
    multiple = card.get("multiple", card["config"]["crop_size"])
    columns, rows = (-(-side // multiple) for side in picture.size)
    return about["noise_size"] * columns * rows


def main(arguments):
    """Translates what the command line names; what cannot be used ends it in one line."""
    if len(arguments) not in (3, 4):
        sys.exit(__doc__)
    try:
        translate(*arguments[:3], seed=int(arguments[3]) if len(arguments) == 4 else None)
    except KeyError as error:
        sys.exit(f"error: {arguments[0]} was not written by export.tflite: {error.args[0]}")
    except (
        OSError,
        ValueError,
        RuntimeError,  # The interpreter's own.
        MemoryError,
        zipfile.BadZipFile,
        Image.DecompressionBombError,
    ) as error:
        sys.exit(f"error: {' '.join(str(error).split()) or type(error).__name__}")


if __name__ == "__main__":
    main(sys.argv[1:])
