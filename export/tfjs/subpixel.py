"""Transposed convolutions as plain ones, with which the 256x256 model is about 5 times as fast.

A transposed convolution of stride 2 puts a 4x4 kernel on every input pixel; so an
output pixel is reached by four taps of it, which four depends on whether its row and its
column are even. That is four convolutions with 2x2 kernels, one for each kind of
pixel, whose results are interleaved. The products are the same, and so is the
number of weights. TF.js has no fast kernel for the transposed form on WebAssembly.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from ..frozen_graph import FrozenGraph

# Along one side: output pixel 2m takes input m - 1 by tap 3 and m by tap 1; pixel 2m + 1 takes
# m by tap 2 and m + 1 by tap 0. Hence the taps, and the padding before and after.
_TAPS = ((3, 1), (2, 0))
_PADDING = ((1, 0), (0, 1))


def rewrite(graph: FrozenGraph) -> FrozenGraph:
    """Returns the graph with the transposed convolutions of the generator replaced.

    They are those of Keras: 4x4, stride 2, padding "same", the output twice the input.
    Any other is left as it is.
    """
    nodes: list[tf.compat.v1.NodeDef] = []
    constants = dict(graph.constants)
    for node in graph.nodes:
        if not _fits(node, constants):
            nodes.append(node)
            continue
        kernel = constants.pop(node.input[1])  # [4, 4, output channels, input channels]
        nodes.extend(_phases(node, kernel.transpose(0, 1, 3, 2), constants))
    nodes = _used(nodes, [*graph.outputs, *graph.inputs])
    names = {node.name for node in nodes}
    constants = {name: value for name, value in constants.items() if name in names}
    return dataclasses.replace(graph, nodes=nodes, constants=constants)


def _fits(node: tf.compat.v1.NodeDef, constants: dict[str, np.ndarray]) -> bool:
    return (
        node.op == "Conv2DBackpropInput"
        and node.input[1] in constants
        and constants[node.input[1]].shape[:2] == (4, 4)
        and list(node.attr["strides"].list.i) == [1, 2, 2, 1]
        and node.attr["padding"].s == b"SAME"
        and node.attr["data_format"].s == b"NHWC"
    )


def _phases(
    node: tf.compat.v1.NodeDef, kernel: np.ndarray, constants: dict[str, np.ndarray]
) -> list[tf.compat.v1.NodeDef]:
    """Returns the nodes in the place of one; adds their constants.

    Args:
        node: The transposed convolution; the last of the new nodes has its name.
        kernel: `[4, 4, input channels, output channels]`.
        constants: By node name.
    """
    with tf.Graph().as_default() as graph:
        shape = [None, None, None, kernel.shape[2]]
        image = tf.compat.v1.placeholder(tf.float32, shape, name="image")
        parts = []
        for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):  # The order of depth_to_space.
            taps = np.ascontiguousarray(kernel[np.ix_(_TAPS[row], _TAPS[column])])
            padding = [(0, 0), _PADDING[row], _PADDING[column], (0, 0)]
            parts.append(tf.nn.conv2d(image, taps, 1, padding))
        tf.nn.depth_to_space(tf.concat(parts, axis=-1), 2, name="output")
    outside = {"image": node.input[2], "output": node.name}
    nodes = [new for new in graph.as_graph_def().node if new.op != "Placeholder"]
    for new in nodes:
        new.name = outside.get(new.name, f"{node.name}/{new.name}")
        new.input[:] = [outside.get(source, f"{node.name}/{source}") for source in new.input]
        if new.op == "Const":
            constants[new.name] = tf.make_ndarray(new.attr["value"].tensor)
            del new.attr["value"]
    return nodes


def _used(nodes: list[tf.compat.v1.NodeDef], wanted: list[str]) -> list[tf.compat.v1.NodeDef]:
    """Returns the nodes that `wanted` need: the old kernels and output sizes go."""
    needed = set(wanted)
    kept = []
    for node in reversed(nodes):  # Users come before what they use.
        if node.name in needed:
            needed.update(source.split(":")[0] for source in node.input)
            kept.append(node)
    return kept[::-1]
