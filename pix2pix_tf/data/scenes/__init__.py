"""The `demo` data set: house fronts that the project draws by itself, without a network.

A scene is a pair, as in CMP Facades: a map of labelled parts, and a "photo" of
the same house. The parts sit in the photo exactly where the labels say, but a
pixel's colour also depends on what no label tells: masonry, light, shadows of
neighbouring parts, the place inside a window, and colours chosen per scene.

Everything is a pure function of `(size, seed, index)`. Two habits keep the
bytes equal between NumPy versions: random numbers come from `Generator.random`
alone, and pixels only from operations that IEEE 754 rounds exactly (no `exp`,
`sin`, `power`, matrix product or array sum).

Imports run one way, each line importing only from lines above it:

    classes, geometry, randomness           labels; units, boxes and pixels; choices
    layout, canvas, textures                which part is where; the arrays; surfaces
    style                                   what one scene chooses once
    painting, lighting                      parts to colours and relief; these to a photo
    scene                                   the whole

Reference:
    Tylecek and Sara, "Spatial Pattern Templates for Recognition of Objects with
    Regular Structure", GCPR 2013: the classes and their colours.
"""

from pix2pix_tf.data.scenes.classes import CLASSES
from pix2pix_tf.data.scenes.scene import Scene, draw_scene

__all__ = ["CLASSES", "Scene", "draw_scene"]
