"""A signature of a SavedModel as a plain graph: no variables, no functions, no size arithmetic.

What TensorFlow computes once for a size that is known (shapes, padding indices,
the place of each dropout layer in z) is computed here, so that a small runtime need
not know the operation at all.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import convert_to_constants

# What passes its first input on, once shapes are known and no gradient is taken.
# An EnsureShape guards a server; here the sizes are those that the graph is made for.
_PASSES_ON = ("Identity", "StopGradient", "EnsureShape")
# Constants of more elements are weights; nothing is computed from them beforehand.
_MOST_FOLDED = 4096


@dataclasses.dataclass(frozen=True)
class FrozenGraph:
    """A graph in order of computation.

    Attributes:
        nodes: Without the values of the constants.
        constants: By node name.
        inputs: Placeholder of each input, by its name in the signature.
        outputs: Node of each output, by its name in the signature.
    """

    nodes: list[tf.compat.v1.NodeDef]
    constants: dict[str, np.ndarray]
    inputs: dict[str, tf.TensorSpec]
    outputs: dict[str, tf.TensorSpec]

    def rename(self, names: dict[str, str]) -> FrozenGraph:
        """Returns the graph with other names for constants; those of one name become one."""
        nodes = {}
        for node in self.nodes:
            new = tf.compat.v1.NodeDef()
            new.CopyFrom(node)
            new.name = names.get(node.name, node.name)
            new.input[:] = [names.get(source, source) for source in node.input]
            nodes.setdefault(new.name, new)
        constants = {names.get(name, name): value for name, value in self.constants.items()}
        return dataclasses.replace(self, nodes=list(nodes.values()), constants=constants)


def freeze(function: tf.types.experimental.ConcreteFunction) -> FrozenGraph:
    """Returns the graph of a signature; a size that it leaves open is computed at each call."""
    frozen = convert_to_constants.convert_variables_to_constants_v2(function)
    inputs = function.structured_input_signature[1]
    names = sorted(function.structured_outputs)  # As a function flattens a dictionary.
    outputs = dict(zip(names, (tensor.name for tensor in frozen.outputs)))
    graph_def = frozen.graph.as_graph_def()
    constants = {}
    for node in graph_def.node:
        # What only orders effects; nothing here has any.
        data = [source for source in node.input if not source.startswith("^")]
        node.ClearField("input")
        node.input.extend(data)
        if node.op == "Const":
            value = constants[node.name] = tf.make_ndarray(node.attr["value"].tensor)
            if value.size > _MOST_FOLDED:
                # A stand-in, since TensorFlow would copy hundreds of megabytes several times.
                node.op = "Placeholder"
                del node.attr["value"]
                node.attr["shape"].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(graph_def, name="")  # This infers every shape.
    constants.update(_fold(graph, constants))

    def resolve(tensor: tf.Tensor) -> tf.Tensor:
        while tensor.op.name not in constants and tensor.op.type in _PASSES_ON:
            tensor = tensor.op.inputs[0]
        return tensor

    nodes: dict[str, tf.compat.v1.NodeDef] = {}

    def add(operation: tf.Operation) -> None:
        if operation.name in nodes:
            return
        node = tf.compat.v1.NodeDef(name=operation.name)
        if operation.name in constants:
            node.op = "Const"
            node.attr["dtype"].type = operation.outputs[0].dtype.as_datatype_enum
        else:
            node.op = operation.type
            for tensor in map(resolve, operation.inputs):
                add(tensor.op)
                node.input.append(_reference(tensor))
            for key, value in operation.node_def.attr.items():
                if not key.startswith("_"):  # Notes of TensorFlow to itself.
                    node.attr[key].CopyFrom(value)
        nodes[operation.name] = node

    output_specs = {}
    for name, tensor_name in outputs.items():
        tensor = graph.get_tensor_by_name(tensor_name)
        source = resolve(tensor)
        add(source.op)
        # Under the signature's name, which TF.js and people look for.
        node = tf.compat.v1.NodeDef(name=name, op="Identity", input=[_reference(source)])
        node.attr["T"].type = tensor.dtype.as_datatype_enum
        nodes[name] = node
        output_specs[name] = tf.TensorSpec(tensor.shape, tensor.dtype, name)
    for name in inputs:
        add(graph.get_operation_by_name(name))  # z of a model without dropout is used by nothing.
    return FrozenGraph(
        nodes=list(nodes.values()),
        constants={name: constants[name] for name in nodes if name in constants},
        inputs=inputs,
        outputs=output_specs,
    )


def _reference(tensor: tf.Tensor) -> str:
    """Returns a tensor's name as an input of a node, where output 0 goes without saying."""
    return f"{tensor.op.name}:{tensor.value_index}" if tensor.value_index else tensor.op.name


def _fold(graph: tf.Graph, constants: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the values of the small operations that no input reaches, by name."""
    known = {name: value for name, value in constants.items() if value.size <= _MOST_FOLDED}
    with tf.compat.v1.Session(graph=graph) as session:
        for operation in graph.get_operations():  # In an order in which they can be computed.
            if len(operation.outputs) != 1 or operation.op_def.is_stateful:
                continue
            inputs, (output,) = operation.inputs, operation.outputs
            # A shape may be known although what it measures is not.
            if operation.type == "Shape" and inputs[0].shape.is_fully_defined():
                known[operation.name] = np.array(inputs[0].shape.as_list(), np.int32)
            elif inputs and all(tensor.op.name in known for tensor in inputs):
                size = output.shape.num_elements()
                if size is not None and size <= _MOST_FOLDED:
                    feeds = {tensor: known[tensor.op.name] for tensor in inputs}
                    known[operation.name] = np.asarray(session.run(output, feeds))
    return known
