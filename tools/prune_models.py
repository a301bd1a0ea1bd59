"""Models to prune: small ones with tensors that are hard on rules, and readers of all of them.

Readers give Tensors by name, in the order of the file.
"""

from dataclasses import dataclass, replace

import flatbuffers
import ml_dtypes
import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.lite.python import schema_py_generated as schema

from judge import SEED

FLOATS = [np.float32, np.float16, ml_dtypes.bfloat16, np.float64]
TFLITE_DTYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.UINT8: np.uint8,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
}
LISTED_DTYPES = {
    "float_val": np.float32,
    "double_val": np.float64,
    "half_val": np.float16,
    "one for all": np.float32,
    "one for the rest": np.float32,
}


@dataclass
class Tensor:
    """A tensor as a file has it, and how its elements stand for numbers."""

    stored: np.ndarray
    scale: np.ndarray | float = 1.0
    zero_point: np.ndarray | int = 0

    def numbers(self):
        return self.scale * (self.stored.astype(np.float64) - self.zero_point)

    def with_numbers(self, numbers, where):
        """The tensor with the elements nearest to numbers in some places."""
        with np.errstate(invalid="ignore", divide="ignore"):
            elements = numbers / self.scale + self.zero_point
        if np.issubdtype(self.stored.dtype, np.integer):
            limits = np.iinfo(self.stored.dtype)
            elements = np.clip(np.rint(elements), limits.min, limits.max)
        stored = self.stored.copy()
        stored[where] = elements[where].astype(stored.dtype)
        return replace(self, stored=stored)

    def masked(self, mask):
        return self.with_numbers(np.zeros(mask.shape), ~mask)


# Tensors that are hard on rules


def hard_floats(dtype):
    """Named arrays; each is in the graph under its name."""
    rng = np.random.default_rng(SEED)
    normal = lambda *shape: rng.normal(0, 0.3, shape)
    tiny = float(ml_dtypes.finfo(dtype).smallest_subnormal)
    tensors = {
        "normal": normal(40, 30),
        "odd_edges": normal(13, 11),
        "one_row": normal(1, 57),
        "one_column": normal(57, 1),
        "one_element": normal(1, 1),
        "no_rows": normal(0, 5),
        "no_columns": normal(5, 0),
        "rank_3": normal(3, 5, 7),
        "rank_4": normal(3, 3, 5, 6),
        "equal": np.full((9, 10), 0.5),
        "equal_sizes": np.where(normal(9, 10) < 0, -0.5, 0.5),
        "all_zeros": np.zeros((6, 7)),
        "ties": rng.integers(-3, 4, (30, 20)) / 4,
        "sparse": normal(20, 20) * (rng.random((20, 20)) < 0.1),
        "tenths": np.full((3, 5), 0.1),
        "subnormal": rng.integers(-9, 10, (8, 9)) * tiny,
        "nan": salted(normal(12, 13), rng, [np.nan]),
        "infinite": salted(normal(12, 13), rng, [np.inf, -np.inf]),
        "all_three": salted(normal(10, 16), rng, [np.nan, np.inf, -np.inf, 0.0, -0.0]),
        "no_number": np.full((3, 4), np.nan),
        "negative_zeros": normal(10, 10) * (rng.random((10, 10)) < 0.5),
    }
    stored = {name: values.astype(dtype) for name, values in tensors.items()}
    add_payloads(stored["nan"])
    return stored


def salted(values, rng, salt):
    """Every third element or so is one of a few."""
    return np.where(rng.random(values.shape) < 0.3, rng.choice(salt, values.shape), values)


def add_payloads(values):
    """Not-a-numbers with other bits than NumPy's own."""
    words = values.view(f"u{values.itemsize}")
    words[np.isnan(values)] |= 5


def extremes():
    """Numbers whose squares a float64 does not hold."""
    values = np.random.default_rng(SEED).normal(0, 1, (12, 10))
    return {"huge": values * 1e200, "tiny": values * 1e-200}


def hard_integers():
    rng = np.random.default_rng(SEED)
    return {
        "all": rng.integers(-128, 128, (40, 30), dtype=np.int8),
        "lowest": np.full((5, 6), -128, np.int8),
        "ties": rng.integers(-2, 3, (11, 13), dtype=np.int8),
        "rank_4": rng.integers(-128, 128, (3, 3, 4, 5), dtype=np.int8),
        "no_rows": np.zeros((0, 4), np.int8),
    }


# Frozen graphs


def write_graph(path, arrays):
    """A graph that multiplies by each of the arrays, or TensorProtos."""
    graph = tf.compat.v1.GraphDef()
    for name, array in arrays.items():
        proto = array if isinstance(array, TensorProto) else tensor_proto(array)
        add_product(graph, name, proto)
    path.write_bytes(graph.SerializeToString(deterministic=True))
    return path


def add_product(graph, name, proto):
    const = graph.node.add(name=name, op="Const")
    const.attr["dtype"].type = proto.dtype
    const.attr["value"].tensor.CopyFrom(proto)
    graph.node.add(name=f"{name}/x", op="Placeholder").attr["dtype"].type = proto.dtype
    op = {2: "MatMul", 3: "BatchMatMulV2", 4: "Conv2D"}[len(proto.tensor_shape.dim)]
    product = graph.node.add(name=f"{name}/y", op=op, input=[f"{name}/x", name])
    product.attr["T"].type = proto.dtype


def tensor_proto(array):
    """With the elements as bytes, which TensorFlow does for some dtypes only."""
    proto = shaped(array.shape, array.dtype)
    proto.tensor_content = array.tobytes()
    return proto


def shaped(shape, dtype):
    proto = TensorProto(dtype=tf.as_dtype(dtype).as_datatype_enum)
    proto.tensor_shape.SetInParent()
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def listed():
    """TensorProtos with a field for each element.

    The last three are not pruned: fields of half_val are wider than the elements, and of the other
    two, one field stands for several elements.
    """
    values = np.random.default_rng(SEED).normal(0, 0.3, (7, 9))
    protos = {name: shaped(values.shape, dtype) for name, dtype in LISTED_DTYPES.items()}
    elements = values.ravel().tolist()
    words = values.astype(np.float16).view(np.uint16)
    protos["float_val"].float_val.extend(elements)
    protos["double_val"].double_val.extend(elements)
    protos["half_val"].half_val.extend(words.ravel().tolist())
    protos["one for all"].float_val.append(0.25)
    protos["one for the rest"].float_val.extend(elements[:30])
    return protos


def read_graph(path):
    return constants(tf.compat.v1.GraphDef.FromString(path.read_bytes()))


def constants(graph):
    protos = {
        node.name: node.attr["value"].tensor for node in graph.node if node.op == "Const"
    }
    return {name: Tensor(array_of(proto)) for name, proto in protos.items()}


def array_of(proto):
    """Straight from the bytes where they are, so that no bit of a NaN is lost."""
    if not proto.tensor_content:
        return tf.make_ndarray(proto)
    dtype = tf.as_dtype(proto.dtype).as_numpy_dtype
    shape = [dim.size for dim in proto.tensor_shape.dim]
    return np.frombuffer(proto.tensor_content, dtype).reshape(shape)


# Checkpoints and SavedModels


def write_checkpoint(prefix, arrays):
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        tensors=[tf.constant(array) for array in arrays.values()],
    )
    return prefix


def read_checkpoint(path):
    """Of a prefix, or of a folder, which is what a pruned checkpoint is in."""
    prefix = next(path.glob("*.index")).with_suffix("") if path.is_dir() else path
    reader = tf.train.load_checkpoint(str(prefix))
    keys = reader.get_variable_to_dtype_map()
    return {key: Tensor(np.asarray(reader.get_tensor(key))) for key in keys}


def read_saved_model(folder):
    """The checkpoint's tensors and the graph's constants."""
    message = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    tensors = read_checkpoint(folder / "variables" / "variables")
    for meta_graph in message.meta_graphs:
        tensors |= constants(meta_graph.graph_def)
    return tensors


# TFLite


def quantised_weights():
    """Name, operator, elements, scales, zero points, and their axis."""
    rng = np.random.default_rng(SEED)
    dense, conv, depthwise = (
        getattr(schema.BuiltinOperator, name)
        for name in ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D")
    )
    some = lambda dtype, *shape: rng.integers(*span(dtype), shape, dtype, endpoint=True)
    return [
        ("plain", dense, some(np.int8, 20, 30), [0.02], [0], 0),
        ("shifted", dense, some(np.uint8, 20, 30), [0.02], [131], 0),
        ("rows", dense, some(np.int8, 6, 50), scales(rng, 6), [0] * 6, 0),
        ("first_axis", conv, some(np.int8, 7, 3, 3, 4), scales(rng, 7), range(-3, 4), 0),
        ("last_axis", depthwise, some(np.uint8, 1, 3, 3, 5), scales(rng, 5), range(5), 3),
        ("float", dense, rng.normal(0, 1, (9, 8)).astype(np.float32), [], [], 0),
    ]


def span(dtype):
    return np.iinfo(dtype).min, np.iinfo(dtype).max


def scales(rng, n):
    return (rng.random(n) + 0.01).astype(np.float32)


def write_tflite(path):
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [], [], []
    model.operatorCodes = []
    for name, code, elements, *quantization in quantised_weights():
        model.operatorCodes.append(operator_code(code))
        add_tensor(model, f"{name}/x", np.zeros(0, np.float32), None)
        add_tensor(model, name, elements, quantization)
        add_tensor(model, f"{name}/y", np.zeros(0, np.float32), None)
        add_operator(graph, len(model.operatorCodes) - 1)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
    return path


def operator_code(code):
    made = schema.OperatorCodeT()
    made.builtinCode = made.deprecatedBuiltinCode = code
    made.version = 1
    return made


def add_tensor(model, name, elements, quantization):
    tensor, buffer = schema.TensorT(), schema.BufferT()
    tensor.name, tensor.shape = name, list(elements.shape)
    types = {np.dtype(dtype): number for number, dtype in TFLITE_DTYPES.items()}
    tensor.type = types[elements.dtype]
    if elements.size:
        tensor.buffer = len(model.buffers)
        buffer.data = np.frombuffer(elements.tobytes(), np.uint8)
        model.buffers.append(buffer)
    if quantization:
        tensor.quantization = schema.QuantizationParametersT()
        scale, zero_points, axis = quantization
        tensor.quantization.scale = list(map(float, scale))
        tensor.quantization.zeroPoint = list(zero_points)
        tensor.quantization.quantizedDimension = axis
    model.subgraphs[0].tensors.append(tensor)


def add_operator(graph, code):
    """On the three tensors that were added last: input, weights, output."""
    end = len(graph.tensors)
    operator = schema.OperatorT()
    operator.opcodeIndex = code
    operator.inputs, operator.outputs = [end - 3, end - 2], [end - 1]
    graph.operators.append(operator)
    graph.inputs.append(end - 3)
    graph.outputs.append(end - 1)


def read_tflite(path):
    model = schema.Model.GetRootAs(path.read_bytes(), 0)
    graph = model.Subgraphs(0)
    tensors = {}
    for index in range(graph.TensorsLength()):
        tensor = graph.Tensors(index)
        buffer = model.Buffers(tensor.Buffer())
        if buffer.DataLength():
            name = tensor.Name().decode() + (":values" if tensor.Sparsity() else "")
            tensors[name] = tflite_tensor(tensor, buffer.DataAsNumpy())
    return tensors


def tflite_tensor(tensor, data):
    """Of a sparse tensor, its stored elements."""
    stored = data.view(TFLITE_DTYPES[tensor.Type()])
    shape = [-1] if tensor.Sparsity() else tensor.ShapeAsNumpy()
    stored = stored.reshape(shape)
    quantization = tensor.Quantization()
    if quantization is None or not quantization.ScaleLength() or stored.dtype.kind == "f":
        return Tensor(stored)
    along = [1] * stored.ndim
    if quantization.ScaleLength() > 1:
        along[quantization.QuantizedDimension()] = -1
    scale = quantization.ScaleAsNumpy().astype(np.float64).reshape(along)
    return Tensor(stored, scale, quantization.ZeroPointAsNumpy().reshape(along))
