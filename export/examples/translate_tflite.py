"""Translates a picture on a phone or a Raspberry Pi, with a .tflite file of this project.

    pip install ai-edge-litert numpy pillow
    python translate_tflite.py MODEL.tflite INPUT.png OUTPUT.png [SEED]

Copy this one file to the device: it needs nothing else of the project. The same seed
gives the same picture; without one, each call gives another. A file that was made for
one size gets the picture scaled to it, and the result is scaled back. A file of
--size=dynamic gets the picture as it is; the memory that takes grows with its area.
A colorization model gives a photo, grey or not, its colours, and leaves its lightness as it is.
A model of arrays is refused.
"""

import json
import sys
import zipfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps

# Linear sRGB to XYZ, relative to white (D65).
XYZ_OF_RGB = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)
XYZ_OF_RGB /= XYZ_OF_RGB.sum(axis=1, keepdims=True)
DELTA = 6 / 29  # CIE 15: f is a cube root above its cube, and straight below.


def translate(model_path, input_path, output_path, seed=None):
    """Writes the translation of a picture, of the picture's size."""
    with zipfile.ZipFile(model_path) as archive:  # The file's note on itself, behind the model.
        about = json.loads(archive.read("metadata.json"))
    config = about["model_card"]["config"]
    is_colorization = config.get("color_space") == "lab"  # L to a and b, and not files to files.
    check_takes_pictures(config, is_colorization)

    interpreter = Interpreter(model_path=str(model_path), num_threads=4)
    with_noise = interpreter.get_signature_runner("with_noise")
    details = with_noise.get_input_details()
    shapes = {name: about["shape_signature"].tolist() for name, about in details.items()}
    _, height, width, channels = shapes["image"]  # -1 is any size.

    picture = read_picture(input_path, 3 if is_colorization else channels)
    if height == -1:
        scaled, noise_size = picture, dynamic_noise_size(about, picture)
    else:
        scaled = picture.resize((width, height), Image.Resampling.BICUBIC)
        noise_size = shapes["z"][1]
    if is_colorization:
        image = lightness_of(scaled)[..., np.newaxis] / 50 - 1
    else:
        pixels = np.asarray(scaled, np.float32)
        image = pixels.reshape(*pixels.shape[:2], channels) / 127.5 - 1.0
    z = np.random.default_rng(seed).random((1, noise_size), dtype=np.float32)  # Dropout noise.

    output = with_noise(image=image[np.newaxis].astype(np.float32), z=z)["output"][0]
    if is_colorization:
        ab = [Image.fromarray(110 * output[..., channel]) for channel in (0, 1)]
        a, b = (np.asarray(side.resize(picture.size, Image.Resampling.BICUBIC)) for side in ab)
        # The lightness that the picture has in its own size: none of its detail is lost.
        Image.fromarray(to_rgb(lightness_of(picture), a, b)).save(output_path)
        return
    pixels = np.clip(np.round((output + 1.0) * 127.5), 0, 255).astype(np.uint8)
    result = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    result.resize(picture.size).save(output_path)


def check_takes_pictures(config, is_colorization):
    """Raises ValueError for a model of arrays, or of values in a range of their own."""
    channels = [config["input_channels"], config["output_channels"]]
    if not is_colorization and not set(channels) <= {1, 3, 4}:
        raise ValueError(
            f"the model takes {channels[0]} channel(s) and makes {channels[1]}; pictures have 1, 3 "
            "or 4. Call its signature with_noise with arrays"
        )
    if config.get("input_range", "") not in ("", "0,255"):
        raise ValueError(
            f"the model takes values of {config['input_range']}, not the 8 bits of a picture. Call "
            "its signature with_noise with arrays that have this range as -1 to 1"
        )


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


def dynamic_noise_size(about, picture):
    """Returns the length of z: some numbers for each started tile of crop_size pixels."""
    # As pix2pix_tf.networks.Block has it, which is not at hand on a device.
    card = about["model_card"]
    multiple = card.get("multiple", card["config"]["crop_size"])
    columns, rows = (-(-side // multiple) for side in picture.size)
    return about["noise_size"] * columns * rows


# As pix2pix_tf.data.lab has them, in TensorFlow.
def lightness_of(picture):
    """Returns CIE L*, 0 to 100, `[height, width]`, of a picture in mode RGB."""
    rgb = np.asarray(picture, np.float32) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    y = linear @ XYZ_OF_RGB[1]
    return 116 * np.where(y > DELTA**3, np.cbrt(y), y / (3 * DELTA**2) + 4 / 29) - 16


def to_rgb(lightness, a, b):
    """Returns uint8 sRGB of CIE L*, a* and b*; colours beyond sRGB are clipped."""
    y = (lightness + 16) / 116
    f = np.stack([y + a / 500, y, y - b / 200], axis=-1)
    xyz = np.where(f > DELTA, f**3, (f - 4 / 29) * (3 * DELTA**2))
    linear = np.clip(xyz @ np.linalg.inv(XYZ_OF_RGB).T, 0, 1)
    rgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * np.clip(rgb, 0, 1)).astype(np.uint8)


def main(arguments):
    """Translates what the command line names; what cannot be used ends it in one line."""
    if len(arguments) not in (3, 4):
        sys.exit(__doc__)
    try:
        translate(*arguments[:3], seed=int(arguments[3]) if len(arguments) == 4 else None)
    except (KeyError, zipfile.BadZipFile) as error:
        sys.exit(f"error: {arguments[0]} was not written by pix2pix export tflite: {error.args[0]}")
    except (
        OSError,
        ValueError,
        RuntimeError,  # The interpreter's own.
        MemoryError,
        Image.DecompressionBombError,
    ) as error:
        sys.exit(f"error: {' '.join(str(error).split()) or type(error).__name__}")


if __name__ == "__main__":
    main(sys.argv[1:])
