#!/usr/bin/env python3
"""Let TensorFlow judge models that are more than a GraphDef.

    python tools/judge_kinds.py same ORIGINAL RESTORED [ORIGINAL RESTORED ...]
    python tools/judge_kinds.py zeroed ORIGINAL CHANGED NAME [ORIGINAL CHANGED NAME ...]

A model is a SavedModel folder, a saved_model.pb or .meta alone, a checkpoint of
TensorFlow 2 or 1 (its prefix, `.index`, single file, or a folder with any number of
them), a TFLite flatbuffer, a Keras archive, or an HDF5 file. It is told by its content;
what else is in a folder is compared byte by byte. Of frozen graphs judge.py judges.

Every model is read for its tensors: checkpoints with TensorFlow's checkpoint reader,
graphs as protobufs, TFLite's buffers with its own schema, HDF5 with h5py. And it is
loaded the way its users load it: with tf.saved_model.load and, for models of TensorFlow 1
and where that fails, tf.compat.v1.saved_model.load; with tf.lite.Interpreter; with
keras.models.load_model. What was loaded is run on seeded inputs.

`same` passes when all tensors, everything around them, all variables as loaded and all
outputs are equal bit for bit.

`zeroed` passes when the changed model loads and runs like the original, the tensor NAME
was not all zeros and now is (each of its bytes), and all other tensors and everything
around them are equal bit for bit. NAME is what tfzip calls the tensor: a checkpoint's key
or variable (`VARIABLE[0:2,0:3]` for a piece of it), a node of a graph, a TFLite tensor
(`TENSOR:values` if TFLite stores it sparse), the path of a dataset. If several tensors have
that name or share its bytes, all of them must be zero. Of a fingerprint.pb, the
checkpoint_hash may have been renewed or be the old one; the line says which.

One line is printed for each case, and `N passed, M failed` at the end. A line says what
was compared, and what TensorFlow could not load or execute and why; that fails only if
the original could be. Exit status: 0 all passed, 1 some failed, 2 wrong usage.
"""

import argparse
import functools
import io
import itertools
import re
import shutil
import sys
import tempfile
import warnings
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from judge import BATCH, MAX_ATTEMPTS, REASON_CHARS, SEED, Difference, NotExecuted
from judge import all_tensors, bits, imported, random_array, seeded, tally, tensor_bits, to_array

import absl.logging
import h5py
import keras
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.fingerprint_pb2 import FingerprintDef
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.python.saved_model.pywrap_saved_model import fingerprinting

# How a LevelDB table ends, which an index or a TensorFlow 1 checkpoint is.
TABLE_END = bytes.fromhex("57fb808b247547db")
SHARD = re.compile(r"(?P<prefix>.*)-\d{5}-of-(?P<count>\d{5})", re.DOTALL)
PIECE = re.compile(r"(?P<key>.*)\[(?P<bounds>\d+:\d+(,\d+:\d+)*)\]", re.DOTALL)
DATA_SHARDS = ".data-?????-of-?????"
KERAS_WEIGHTS = "model.weights.h5"
CHECKPOINT_HASH = "fingerprint.pb: checkpoint_hash"
# Runs initialisers, computes nothing.
INIT_SIGNATURE = "__saved_model_init_op"
# How TensorFlow's messages begin before they come to the point.
PREAMBLE = re.compile(r"\s*($|Graph execution error|Detected at node|Node:|File )")
VARIABLE_OPS = {"VarHandleOp", "VariableV2", "Variable"}
# What a place begins with, and what the tensors there are called.
UNITS = {
    "key": "keys",
    "graph": "tensors in graphs",
    "subgraph": "constants",
    "dataset": "datasets",
}
# What TensorFlow and Keras raise when they cannot run something on an input.
RUN_ERRORS = (tf.errors.OpError, ValueError, TypeError, KeyError, RuntimeError)


@dataclass
class Tensor:
    """A tensor as it is stored."""

    name: str
    value: object  # an array, or what else must be equal
    storage: object = None  # equal for tensors that share their bytes


@dataclass
class Loading:
    """A model as TensorFlow has loaded it in one way."""

    how: str
    variables: dict
    outputs: dict
    remarks: list  # what was run, or why not


@dataclass
class Contents:
    """All that is compared of one model."""

    tensors: dict  # Tensors by their places, which begin with one of UNITS
    rest: dict = field(default_factory=dict)
    loadings: list = field(default_factory=list)
    refusals: list = field(default_factory=list)  # ways of loading that fail, and why
    right_hash: int | None = None  # what fingerprint.pb should have as CHECKPOINT_HASH


@dataclass
class Part:
    """One model among the files of an input."""

    kind: str
    path: Path  # a folder, a file, or a prefix


# What an input consists of


def parsed(message_type, data):
    """The message, or None for bytes that are no such message."""
    try:
        return message_type.FromString(data)
    except DecodeError:
        return None


def kind_of(path):
    """The kind of model that one file is, or None."""
    data = path.read_bytes()
    for kind, found in [
        ("TFLite", data[4:8] == b"TFL3"),
        ("Keras archive", data.startswith(b"PK\3\4")),
        ("HDF5", data.startswith(b"\x89HDF\r\n\x1a\n")),
        ("TensorFlow 1 checkpoint", data.endswith(TABLE_END)),
    ]:
        if found:
            return kind
    model = parsed(SavedModel, data)
    if model and model.saved_model_schema_version and model.meta_graphs:
        return "saved_model.pb"
    meta_graph = parsed(MetaGraphDef, data)
    if meta_graph and meta_graph.HasField("meta_info_def") and meta_graph.graph_def.node:
        return "MetaGraphDef"
    return None


def is_index(path):
    return path.suffix == ".index" and path.read_bytes().endswith(TABLE_END)


def files_of_bundle(prefix):
    """The index and the data shards of a TensorFlow 2 checkpoint."""
    index = prefix.with_name(prefix.name + ".index")
    return [index, *sorted(prefix.parent.glob(prefix.name + DATA_SHARDS))]


def bundle_at(prefix):
    return Part("TensorFlow 2 checkpoint", prefix)


def parts_of_folder(folder):
    """The models in a folder and the files that belong to none, by their names."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    parts, taken = {}, set()

    def take(path, part, owned):
        parts[path.relative_to(folder).as_posix()] = part
        taken.update(owned)

    for path in files:
        if path.name == "saved_model.pb":
            owned = [path, path.with_name("fingerprint.pb")]
            owned += files_of_bundle(path.parent / "variables" / "variables")
            take(path.parent, Part("SavedModel", path.parent), owned)
    for path in files:
        if path not in taken and is_index(path):
            prefix = path.with_suffix("")
            take(prefix, bundle_at(prefix), files_of_bundle(prefix))
    for path in files:
        kind = None if path in taken else kind_of(path)
        shard = SHARD.fullmatch(path.name)
        if kind == "TensorFlow 1 checkpoint" and shard:
            take(path.with_name(shard["prefix"]), v1_shards(path, shard), [path])
        elif kind:
            take(path, Part(kind, path), [path])
    others = [path for path in folder.rglob("*") if path not in taken and not holds_files(path)]
    return parts, {path.relative_to(folder).as_posix(): path for path in others}


def holds_files(path):
    return path.is_dir() and any(path.iterdir())


def v1_shards(path, shard):
    """The sharded checkpoint that a file belongs to: a pattern is how TensorFlow opens it."""
    pattern = f"{shard['prefix']}-?????-of-{shard['count']}"
    return Part("TensorFlow 1 checkpoint", path.with_name(pattern))


def parts_of(path):
    """The models that a path means, and the other files, by their names."""
    if path.is_dir():
        return parts_of_folder(path)
    if path.is_file():
        if is_index(path):
            return {path.stem: bundle_at(path.with_suffix(""))}, {}
        kind = kind_of(path)
        if not kind:
            raise Difference(f"{path} is no model of a kind that is judged here")
        return {path.name: Part(kind, path)}, {}
    if files_of_bundle(path)[0].is_file():
        return {path.name: bundle_at(path)}, {}
    for file in sorted(path.parent.glob(path.name + "-?????-of-?????")):
        return {path.name: v1_shards(file, SHARD.fullmatch(file.name))}, {}
    raise Difference(f"{path} does not exist")


# Graphs


def graph_contents(message, meta_graphs):
    """The tensors of all meta graphs in a protobuf, and the protobuf without them."""
    contents = Contents({})
    for number, meta_graph in enumerate(meta_graphs):
        for place, tensor in all_tensors(meta_graph.graph_def).items():
            value = to_array(tensor)
            contents.tensors[f"graph {number}, {place}"] = Tensor(
                place, tensor_bits(tensor) if value is None else value
            )
            tensor.Clear()
    contents.rest["the protobuf without its tensors"] = message.SerializeToString(
        deterministic=True
    )
    return contents


def import_graph(contents, meta_graph):
    how = "tf.import_graph_def"
    try:
        imported(meta_graph.graph_def)
        remark = f"{len(meta_graph.graph_def.node)} nodes"
        contents.loadings.append(Loading(how, {}, {}, [remark]))
    except NotExecuted as why:
        contents.refusals.append(f"{how}: {why}")


def read_graph_file(path, message_type, meta_graphs_of):
    """A protobuf without the files it belongs to: TensorFlow can only import it."""
    data = path.read_bytes()
    message = message_type.FromString(data)
    contents = graph_contents(message, meta_graphs_of(message))
    for meta_graph in meta_graphs_of(message_type.FromString(data)):
        import_graph(contents, meta_graph)
    return contents


def read_meta_graph(path):
    return read_graph_file(path, MetaGraphDef, lambda message: [message])


def read_saved_model_file(path):
    return read_graph_file(path, SavedModel, lambda message: message.meta_graphs)


# Checkpoints


def read_bundle(prefix):
    shards = [file.name.removeprefix(prefix.name) for file in files_of_bundle(prefix)]
    tensors = checkpoint_tensors(tf.train.load_checkpoint(str(prefix)), prefix)
    return Contents(tensors, {"the shards": shards})


def read_v1_checkpoint(path):
    reader = tf.compat.v1.train.NewCheckpointReader(str(path))
    return Contents(checkpoint_tensors(reader, path))


def checkpoint_tensors(reader, path):
    dtypes = reader.get_variable_to_dtype_map()
    return {
        f"key {key}": Tensor(key, np.asarray(checkpoint_value(reader, path, key, dtypes[key])))
        for key in sorted(dtypes)
    }


def checkpoint_value(reader, path, key, dtype):
    try:
        return reader.get_tensor(key)
    except tf.errors.UnimplementedError:  # a partitioned variable in a TensorFlow 1 checkpoint
        restored = tf.raw_ops.Restore(file_pattern=str(path), tensor_name=key, dt=dtype)
        return restored.numpy()


# SavedModels


def read_saved_model(folder):
    data = (folder / "saved_model.pb").read_bytes()
    model = SavedModel.FromString(data)
    contents = graph_contents(model, model.meta_graphs)
    prefix = folder / "variables" / "variables"
    if files_of_bundle(prefix)[0].is_file():
        bundle = read_bundle(prefix)
        contents.tensors |= bundle.tensors
        contents.rest |= bundle.rest
    if (folder / "fingerprint.pb").is_file():
        read_fingerprint(contents, folder)
    model = SavedModel.FromString(data)
    copy = seeded_copy(folder, model)
    for meta_graph in model.meta_graphs:
        load_saved_model(contents, copy, meta_graph)
    return contents


def seeded_copy(folder, model):
    """Where the model is loaded from: some initialise variables again, at random."""
    copy = staged(folder, "")
    for meta_graph in model.meta_graphs:
        graph_def = seeded(meta_graph.graph_def)
        if graph_def != meta_graph.graph_def:
            meta_graph.graph_def.CopyFrom(graph_def)
            (copy / "saved_model.pb").write_bytes(model.SerializeToString())
    return copy


def read_fingerprint(contents, folder):
    fingerprint = FingerprintDef.FromString((folder / "fingerprint.pb").read_bytes())
    contents.rest[CHECKPOINT_HASH] = fingerprint.checkpoint_hash
    fingerprint.ClearField("checkpoint_hash")
    contents.rest["fingerprint.pb"] = fingerprint.SerializeToString(deterministic=True)
    right = FingerprintDef.FromString(fingerprinting.CreateFingerprintDef(str(folder)))
    contents.right_hash = right.checkpoint_hash


def load_saved_model(contents, folder, meta_graph):
    """Loads one meta graph as TensorFlow 2 does, and as TensorFlow 1 does if it is from there.

    TensorFlow 2 makes no objects for TensorFlow 1's reference variables.
    """
    is_loaded = try_to_load(contents, "tf.saved_model.load", load_v2, folder, meta_graph)
    if not is_loaded or not meta_graph.HasField("object_graph_def"):
        try_to_load(contents, "tf.compat.v1.saved_model.load", load_v1, folder, meta_graph)


def try_to_load(contents, how, load, *arguments):
    """Whether it could be loaded, which `contents` says from now on."""
    try:
        contents.loadings.append(Loading(how, *load(*arguments)))
        return True
    except Exception as error:  # loaders answer strange models with any exception
        contents.refusals.append(f"{how}: {type(error).__name__}: {first_line(error)}")
        return False


def first_line(error):
    """The first line of an error that says something."""
    text = getattr(error, "message", None) or str(error)
    lines = [line.strip() for line in text.splitlines() if not PREAMBLE.match(line)]
    line = lines[0] if lines else "no message"
    return line if len(line) <= REASON_CHARS else line[: REASON_CHARS - 3] + "..."


def load_v2(folder, meta_graph):
    loaded = tf.saved_model.load(str(folder), tags=list(meta_graph.meta_info_def.tags))
    objects = tf.train.TrackableView(loaded).descendants()
    variables = numbered(item for item in objects if isinstance(item, tf.Variable))

    def call(key, feeds):
        tensors = {name: tf.constant(value) for name, value in feeds.items()}
        return {name: value.numpy() for name, value in loaded.signatures[key](**tensors).items()}

    return variables, *run_signatures(folder, meta_graph, call)


def numbered(variables):
    """Arrays by number and name, since names need not be unique."""
    return {
        f"variable {number}, {variable.name}": np.asarray(variable.numpy())
        for number, variable in enumerate(variables)
    }


def load_v1(folder, meta_graph):
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=1, inter_op_parallelism_threads=1
    )
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(config=config) as session:
        tags = list(meta_graph.meta_info_def.tags)
        tf.compat.v1.saved_model.load(session, tags, str(folder))
        handles = [node for node in graph.get_operations() if node.type in VARIABLE_OPS]
        values = session.run({f"variable {node.name}": value_of(node) for node in handles})

        def call(key, feeds):
            signature = meta_graph.signature_def[key]
            names = {name: info.name for name, info in signature.outputs.items()}
            inputs = {signature.inputs[name].name: value for name, value in feeds.items()}
            return session.run(names, inputs)

        return arrays_of(values), *run_signatures(folder, meta_graph, call)


def value_of(node):
    """The tensor with a variable's value."""
    if node.type == "VarHandleOp":
        return tf.raw_ops.ReadVariableOp(resource=node.outputs[0], dtype=node.get_attr("dtype"))
    return node.outputs[0]


# Running


@functools.cache
def stage():
    """A folder that lasts as long as the program."""
    return tempfile.TemporaryDirectory()


def staged(path, suffix):
    """A copy that is at the same place for each model.

    Some have variables that say where they were loaded from, and Keras goes by the suffix.
    """
    copy = Path(stage().name, "model" + suffix)
    if path.is_dir():
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(path, copy, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(path, copy)
    return copy


def run_signatures(folder, meta_graph, call):
    """All outputs of all signatures, and in words what was run or why not."""
    texts = candidate_texts(folder, meta_graph)
    outputs, remarks = {}, []
    for key, signature in sorted(meta_graph.signature_def.items()):
        if key == INIT_SIGNATURE:
            continue
        try:
            feeds, values = first_run(signature, texts, functools.partial(call, key))
        except NotExecuted as why:
            remarks.append(f"{key} not executed: {why}")
            continue
        outputs |= {f"{key}:{name}": value for name, value in values.items()}
        remarks.append(f"{key}: {ran(values, feeds)}")
    return outputs, remarks


def ran(values, feeds):
    return f"{describe(values) or 'nothing'} from {describe(feeds) or 'no input'}"


def describe(arrays):
    return ", ".join(f"{name} {list(value.shape)}" for name, value in arrays.items())


def first_run(signature, texts, call):
    """The first inputs that a signature accepts, and its outputs for them."""
    choices = [candidate_inputs(info, texts) for info in signature.inputs.values()]
    why = "no input to try"
    for values in itertools.islice(itertools.product(*choices), MAX_ATTEMPTS):
        feeds = dict(zip(signature.inputs, values))
        try:
            return feeds, arrays_of(call(feeds))
        except RUN_ERRORS as error:
            why = first_line(error)
    raise NotExecuted(why)


def arrays_of(values):
    return {name: np.asarray(value) for name, value in values.items()}


def candidate_inputs(info, texts):
    """Arrays to try for an input of a signature; no shape means any in old models."""
    sizes = [dim.size for dim in info.tensor_shape.dim]
    shapes = [[rows if size < 0 else size for size in sizes] for rows in (BATCH, 1)]
    if not sizes:
        shapes = [[], [BATCH], [1], [BATCH, 1]]
    dtype = tf.dtypes.as_dtype(info.dtype)
    if dtype == tf.string:
        return [np.resize(text, shape) for text in texts for shape in shapes]
    if dtype in (tf.resource, tf.variant):
        raise NotExecuted(f"it wants a {dtype.name}")
    rng = np.random.default_rng(SEED)
    return [np.asarray(random_array(rng, dtype.as_numpy_dtype, shape)) for shape in shapes]


def candidate_texts(folder, meta_graph):
    """Strings that a model may understand: lines of its assets, and tf.train.Examples.

    An Example has a number for every string constant of the graph, among which are the
    names of the features that are parsed.
    """
    lines = [
        line
        for path in sorted((folder / "assets").glob("*"))
        for line in path.read_bytes().splitlines()
    ]
    arrays = [to_array(tensor) for tensor in all_tensors(meta_graph.graph_def).values()]
    names = {
        value.decode(errors="replace")
        for array in arrays
        if array is not None and array.dtype == object
        for value in array.ravel()
    }
    examples = [example(names, value) for value in np.random.default_rng(SEED).random(BATCH)]
    return [np.array(texts, object) for texts in (lines, examples) if texts]


def example(names, value):
    features = tf.train.Features(
        feature={
            name: tf.train.Feature(float_list=tf.train.FloatList(value=[value])) for name in names
        }
    )
    return tf.train.Example(features=features).SerializeToString(deterministic=True)


# TFLite


def read_tflite(path):
    data = bytearray(path.read_bytes())
    contents = Contents({})
    try_to_load(contents, "tf.lite.Interpreter", load_tflite, bytes(data))
    constants = tflite_constants(data)
    for place, name, buffer, stored in constants:
        contents.tensors[place] = Tensor(name, stored.copy(), storage=buffer)
    for *_, stored in constants:
        stored[:] = 0
    contents.rest["the flatbuffer without its tensors"] = bytes(data)
    return contents


def tflite_constants(data):
    """Place, name, buffer and stored bytes (a view) of each tensor that is not computed."""
    model = schema.Model.GetRootAs(data, 0)
    constants = []
    for subgraph, index, tensor in tflite_tensors(model):
        stored = stored_bytes(model.Buffers(tensor.Buffer()), data)
        if stored.size:
            name = (tensor.Name() or b"").decode(errors="replace")
            name += ":values" if tensor.Sparsity() else ""
            place = f"{place_of(subgraph, index)}, {name}"
            constants.append((place, name, tensor.Buffer(), stored))
    return constants


def tflite_tensors(model):
    for subgraph in range(model.SubgraphsLength()):
        for index in range(model.Subgraphs(subgraph).TensorsLength()):
            yield subgraph, index, model.Subgraphs(subgraph).Tensors(index)


def place_of(subgraph, index):
    return f"subgraph {subgraph}, tensor {index}"


def stored_bytes(buffer, data):
    """A view of a buffer's bytes, which may stand after the flatbuffer."""
    if buffer.Offset() > 1:
        return np.frombuffer(data, np.uint8, buffer.Size(), buffer.Offset())
    return buffer.DataAsNumpy() if buffer.DataLength() else np.empty(0, np.uint8)


def load_tflite(data):
    interpreter = tf.lite.Interpreter(
        model_content=data,
        num_threads=1,
        experimental_op_resolver_type=(
            tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        ),
    )
    interpreter.allocate_tensors()
    model = schema.Model.GetRootAs(data, 0)
    constants, remarks = {}, []
    for subgraph, index, tensor in tflite_tensors(model):
        if not stored_bytes(model.Buffers(tensor.Buffer()), data).size:
            continue
        place = place_of(subgraph, index)
        try:
            constants[place] = np.asarray(interpreter.get_tensor(index, subgraph))
        except ValueError as error:  # NumPy lacks the type
            remarks.append(f"{place} not read: {first_line(error)}")
    outputs, remark = run_tflite(interpreter)
    return constants, outputs, [*remarks, remark]


def run_tflite(interpreter):
    rng = np.random.default_rng(SEED)
    feeds = {
        item["name"]: tflite_input(rng, item["dtype"], item["shape"])
        for item in interpreter.get_input_details()
    }
    try:
        for item in interpreter.get_input_details():
            interpreter.set_tensor(item["index"], feeds[item["name"]])
        interpreter.invoke()
    except RUN_ERRORS as error:
        return {}, f"not executed: {first_line(error)}"
    outputs = {
        item["name"]: interpreter.get_tensor(item["index"])
        for item in interpreter.get_output_details()
    }
    return outputs, ran(outputs, feeds)


def tflite_input(rng, dtype, shape):
    """Random elements; of the whole range where they are quantised."""
    if dtype in (np.int8, np.uint8):
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return np.asarray(random_array(rng, dtype, shape))


# Keras


class OldDepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """Keras 2 wrote down a parameter, always 1, that Keras 3 refuses."""

    def __init__(self, *arguments, groups=1, **options):
        if groups != 1:
            raise ValueError(f"{groups} groups")
        super().__init__(*arguments, **options)


def read_hdf5(path):
    with h5py.File(path, "r") as file:
        contents = hdf5_contents(file)
        holds_model = "model_config" in file.attrs
    if holds_model:
        load_keras_model(contents, path, ".h5")
    else:
        contents.refusals.append("keras: weights without a model, read with h5py only")
    return contents


def hdf5_contents(file):
    contents = Contents({}, attributes("/", file))

    def visit(name, link):
        if not isinstance(link, h5py.HardLink):
            contents.rest[f"link {name}"] = repr(link), link.path
            return
        item = file[name]
        contents.rest.update(attributes(name, item))
        if isinstance(item, h5py.Dataset):
            address = h5py.h5o.get_info(item.id).addr
            value = np.asarray(item[()])
            contents.tensors[f"dataset {name}"] = Tensor(name, value, storage=address)
        else:
            contents.rest[f"group {name}"] = type(item).__name__

    file.visititems_links(visit)
    return contents


def attributes(name, item):
    return {f"attribute {key} of {name}": np.asarray(item.attrs[key]) for key in sorted(item.attrs)}


def read_keras(path):
    with zipfile.ZipFile(path) as archive:
        members = {
            info.filename: (info.compress_type, archive.read(info)) for info in archive.infolist()
        }
    if KERAS_WEIGHTS not in members:
        raise Difference(f"{path} is a zip without {KERAS_WEIGHTS}")
    with h5py.File(io.BytesIO(members[KERAS_WEIGHTS][1]), "r") as file:
        contents = hdf5_contents(file)
    contents.rest["the names of members"] = list(members)
    for name in members.keys() - {KERAS_WEIGHTS}:
        contents.rest[f"member {name}"] = members[name]
    load_keras_model(contents, path, ".keras")
    return contents


def load_keras_model(contents, path, suffix):
    """Loads with the optimizer or else, as Keras 3 does not know all of Keras 2, without."""
    copy = staged(path, suffix)
    how = "keras.models.load_model"
    if not try_to_load(contents, how, load_keras, copy, True):
        try_to_load(contents, how + "(compile=False)", load_keras, copy, False)


def load_keras(path, with_optimizer):
    keras.backend.clear_session()  # so that names are the same each time,
    keras.utils.set_random_seed(SEED)  # and so is what is not in the file
    model = keras.models.load_model(
        path, compile=with_optimizer, custom_objects={"DepthwiseConv2D": OldDepthwiseConv2D}
    )
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *(optimizer.variables if optimizer else [])]
    return numbered(variables), *run_keras(model)


def run_keras(model):
    rng = np.random.default_rng(SEED)
    arrays = [
        random_array(
            rng, np.dtype(item.dtype), [BATCH if size is None else size for size in item.shape]
        )
        for item in model.inputs
    ]
    try:
        results = model(arrays if len(arrays) > 1 else arrays[0], training=False)
    except RUN_ERRORS as error:
        return {}, [f"not executed: {first_line(error)}"]
    outputs = {
        f"output {number}": np.asarray(result)
        for number, result in enumerate(keras.tree.flatten(results))
    }
    feeds = {item.name: array for item, array in zip(model.inputs, arrays)}
    return outputs, [ran(outputs, feeds)]


# Comparing


READERS = {
    "SavedModel": read_saved_model,
    "saved_model.pb": read_saved_model_file,
    "MetaGraphDef": read_meta_graph,
    "TensorFlow 2 checkpoint": read_bundle,
    "TensorFlow 1 checkpoint": read_v1_checkpoint,
    "TFLite": read_tflite,
    "Keras archive": read_keras,
    "HDF5": read_hdf5,
}


def read(part):
    try:
        return READERS[part.kind](part.path)
    except Difference:
        raise
    except Exception as error:  # nor do readers of damaged files agree on one
        raise Difference(f"{part.path} cannot be read: {first_line(error)}") from None


def exact(value):
    """What must be equal for two values to be equal bit for bit."""
    value = value.value if isinstance(value, Tensor) else value
    return bits(value) if isinstance(value, np.ndarray) else value


def differing(ours, theirs, what):
    """The keys whose values differ."""
    if ours.keys() != theirs.keys():
        names = sorted(ours.keys() ^ theirs.keys())
        raise Difference(f"{what}: not in both: {', '.join(names[:3])} ({len(names)} in all)")
    return [key for key in ours if exact(ours[key]) != exact(theirs[key])]


def demand_equal(ours, theirs, what):
    """The count in words, in a list that is empty if there is nothing to compare."""
    places = differing(ours, theirs, what)
    if places:
        raise Difference(f"{what} differ: {', '.join(places[:3])} ({len(places)} in all)")
    return [f"{len(ours)} {what} equal"] if ours else []


def count(places):
    units = Counter(UNITS[place.split()[0]] for place in places)
    return " and ".join(f"{number} {unit}" for unit, number in units.items()) or "no tensors"


def loadings_of(ours, theirs):
    """Pairs of loadings, of which both models must have the same."""
    ways = [[loading.how for loading in contents.loadings] for contents in (ours, theirs)]
    if ways[0] != ways[1]:
        refusals = "; ".join(theirs.refusals) or "nothing refused"
        raise Difference(f"the original loads with {ways[0]}, not so the other: {refusals}")
    return zip(ours.loadings, theirs.loadings)


def compare_same(ours, theirs):
    """In words, what is equal in two models; raises Difference if anything is not."""
    demand_equal(ours.tensors, theirs.tensors, "tensors")
    words = [f"{count(ours.tensors)} equal"]
    words += demand_equal(ours.rest, theirs.rest, "items around them")
    for mine, its in loadings_of(ours, theirs):
        counts = demand_equal(mine.variables, its.variables, "values")
        counts += demand_equal(mine.outputs, its.outputs, "outputs")
        words.append(f"{mine.how}: " + ", ".join(counts + mine.remarks))
    return words + refused(ours)


def refused(contents):
    return [f"not loaded by {why}" for why in contents.refusals]


def compare_zeroed(ours, theirs, places):
    """In words, how a model differs from the original in the tensors at some places only."""
    changed = differing(ours.tensors, theirs.tensors, "tensors")
    for place in places:
        demand_zero(theirs.tensors[place].value, place)
        if place not in changed:
            raise Difference(f"{place} was all zeros in the original")
    if len(changed) > len(places):
        others = [place for place in changed if place not in places]
        raise Difference(f"{len(others)} other tensors changed: {', '.join(others[:3])}")
    words = [
        f"{' and '.join(places)} all zeros",
        f"{count(place for place in ours.tensors if place not in places)} equal",
        *compare_hashes(ours, theirs),
        *demand_equal(ours.rest, theirs.rest, "items around them"),
    ]
    for mine, its in loadings_of(ours, theirs):
        words.append(compare_zeroed_loading(mine, its, len(places)))
    return words + refused(ours)


def zeroed_places(contents, name):
    """Where the tensors of that name are, and those that share their bytes."""
    tensors = contents.tensors.items()
    # A constant has its node's name, other tensors of a graph NODE:ATTRIBUTE.
    named = {place for place, tensor in tensors if tensor.name in (name, f"{name}:value")}
    storages = {contents.tensors[place].storage for place in named} - {None}
    return [place for place, tensor in tensors if place in named or tensor.storage in storages]


def take_piece(contents, name):
    """Makes a tensor of a piece of a partitioned variable, called `KEY[0:2,0:3]`, if that it is.

    TensorFlow's reader joins the pieces. The other ones stay, with zeros where this one was.
    """
    piece = PIECE.fullmatch(name)
    whole = contents.tensors.get(f"key {piece['key']}") if piece else None
    if whole is None:
        return
    bounds = [tuple(map(int, part.split(":"))) for part in piece["bounds"].split(",")]
    if len(bounds) != whole.value.ndim:
        return
    place = tuple(slice(start, end) for start, end in bounds)
    contents.tensors[f"key {name}"] = Tensor(name, whole.value[place])
    whole.value = whole.value.copy()
    whole.value[place] = 0


def demand_zero(value, place):
    if not isinstance(value, np.ndarray) or value.dtype == object:
        raise Difference(f"{place} is not numbers")
    if any(value.tobytes()):
        raise Difference(f"{place} is not all zeros")


def compare_hashes(ours, theirs):
    """Takes the checkpoint's hash out of both models, as it changes with any tensor."""
    old, new = ours.rest.pop(CHECKPOINT_HASH, None), theirs.rest.pop(CHECKPOINT_HASH, None)
    if new == theirs.right_hash:
        return ["checkpoint_hash right"] if new is not None else []
    if new == old:
        return ["checkpoint_hash stale, which TensorFlow does not mind"]
    raise Difference("checkpoint_hash neither right nor that of the original")


def compare_zeroed_loading(ours, theirs, limit):
    changed = differing(ours.variables, theirs.variables, f"{ours.how}: values")
    for place in changed:
        demand_zero(theirs.variables[place], f"{ours.how}: {place}")
    if len(changed) > limit:
        raise Difference(f"{ours.how}: {len(changed)} values changed: {', '.join(changed[:3])}")
    outputs = differing(ours.outputs, theirs.outputs, f"{ours.how}: outputs")
    counts = [
        f"{len(both)} of {len(all_of_them)} {what} changed"
        for both, all_of_them, what in [
            (changed, ours.variables, "values"),
            (outputs, ours.outputs, "outputs"),
        ]
        if all_of_them
    ]
    return f"{ours.how}: " + ", ".join(counts + ours.remarks)


# Cases


def paired(path, other):
    """The models at two paths: their kinds and contents, paired by name.

    A file or prefix may be restored under another name, and as a folder.
    """
    (ours, files), (theirs, their_files) = parts_of(path), parts_of(other)
    if not ours:
        raise Difference(f"{path} holds no model")
    if not path.is_dir() and len(theirs) == 1:
        theirs = dict(zip(ours, theirs.values()))
    kinds = [{name: part.kind for name, part in parts.items()} for parts in (ours, theirs)]
    if kinds[0] != kinds[1]:
        raise Difference(f"{kinds[0]} became {kinds[1]}")
    words = demand_equal(contents_of(files), contents_of(their_files), "other files")
    return [(part.kind, read(part), read(theirs[name])) for name, part in ours.items()], words


def contents_of(files):
    """Bytes by name, and None for an empty folder."""
    return {name: path.read_bytes() if path.is_file() else None for name, path in files.items()}


def judge_same(path, other):
    pairs, words = paired(path, other)
    lines = [f"{kind}: " + "; ".join(compare_same(ours, theirs)) for kind, ours, theirs in pairs]
    return lines + words


def judge_zeroed(path, other, name):
    pairs, words = paired(path, other)
    if not any(zeroed_places(ours, name) for _, ours, _ in pairs):
        for _, ours, theirs in pairs:
            take_piece(ours, name)
            take_piece(theirs, name)
    if not any(zeroed_places(ours, name) for _, ours, _ in pairs):
        raise Difference(f"no tensor is called {name}")
    lines = []
    for kind, ours, theirs in pairs:
        places = zeroed_places(ours, name)
        found = compare_zeroed(ours, theirs, places) if places else compare_same(ours, theirs)
        lines.append(f"{kind}: " + "; ".join(found))
    return lines + words


def verdict(judge, path, *others):
    """Whether a case passed, and a line that says why."""
    try:
        return True, f"{path}: passed, " + "; ".join(judge(path, *others))
    except Difference as difference:
        return False, f"{path}: FAILED, {difference}"


def cases(mode, arguments):
    """The cases of a command line, or None if something is missing."""
    size = 2 if mode == "same" else 3
    if len(arguments) % size:
        return None
    groups = zip(*(arguments[start::size] for start in range(size)))
    return [(Path(path), Path(other), *name) for path, other, *name in groups]


def prepare():
    """Makes TensorFlow compute the same each time, and say nothing."""
    # Sums in the same order each time. Determinism of all operations would refuse unseeded ones.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    absl.logging.set_verbosity(absl.logging.ERROR)
    warnings.simplefilter("ignore")


def main():
    parser = argparse.ArgumentParser(
        description="Let TensorFlow judge models that are more than a GraphDef.",
        usage="%(prog)s same ORIGINAL RESTORED [ORIGINAL RESTORED ...]\n"
        "       %(prog)s zeroed ORIGINAL CHANGED NAME [ORIGINAL CHANGED NAME ...]",
    )
    parser.add_argument("mode", choices=["same", "zeroed"])
    parser.add_argument("arguments", nargs="+", metavar="ARGUMENT", help="as in the usage")
    options = parser.parse_args()
    todo = cases(options.mode, options.arguments)
    if todo is None:
        parser.error("a case is not complete")

    prepare()
    judge_one = judge_same if options.mode == "same" else judge_zeroed
    return tally(verdict(judge_one, *case) for case in todo)


if __name__ == "__main__":
    sys.exit(main())
