"""Translates a picture on a phone or a Raspberry Pi, with a .tflite file of this project.

    pip install ai-edge-litert numpy pillow
    python translate_tflite.py MODEL.tflite INPUT.png OUTPUT.png [SEED]

Copy this one file to the device: it needs nothing else of the project. The same seed
gives the same picture; without one, each call gives another.
"""

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image


def translate(model_path, input_path, output_path, seed=None):
    """Writes the translation of a picture, scaled to the size that the model takes."""
    interpreter = Interpreter(model_path=model_path, num_threads=4)
    with_noise = interpreter.get_signature_runner("with_noise")
    shapes = {name: about["shape"] for name, about in with_noise.get_input_details().items()}
    _, height, width, channels = shapes["image"]

    picture = Image.open(input_path).convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])
    pixels = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), np.float32)
    image = pixels.reshape(shapes["image"]) / 127.5 - 1.0  # [1, height, width, channels]
    z = np.random.default_rng(seed).random(shapes["z"], dtype=np.float32)  # The dropout noise.

    output = with_noise(image=image, z=z)["output"][0]
    pixels = np.clip(np.round((output + 1.0) * 127.5), 0, 255).astype(np.uint8)
    Image.fromarray(np.squeeze(pixels)).resize(picture.size).save(output_path)


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    translate(*sys.argv[1:4], seed=int(sys.argv[4]) if len(sys.argv) == 5 else None)
