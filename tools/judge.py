#!/usr/bin/env python3
"""Let TensorFlow judge whether restored models are the originals.

    python tools/judge.py ORIGINAL.pb RESTORED.pb [ORIGINAL.pb RESTORED.pb ...]

Both files of a pair are parsed as GraphDefs. They pass when

1. they are equal apart from their tensors,
2. every tensor in them (Const nodes, and any other attribute that holds
   tensors, in functions too) is equal bit for bit, and
3. both graphs, run by TensorFlow on the same seeded random inputs, give outputs
   that are equal bit for bit.

Every Placeholder is fed, DecodeWav with a small synthetic recording, and the
outputs of every node that no other node reads are fetched. Where the file
leaves a shape open, likely ones are tried in turn until the original runs.
Random operations without a seed get one. Nodes that would read or write files
are left alone. A graph that cannot be run passes on 1 and 2, and its line says
that it was not executed, and why.

One line is printed for each pair, and `N passed, M failed` at the end. Exit
status: 0 all passed, 1 some failed, 2 wrong usage.
"""

import argparse
import io
import itertools
import math
import os
import re
import sys
import wave
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

SEED = 2015
BATCH = 4
# Rows to try where a graph wants a sequence and does not say how long.
SEQUENCE = 512
MAX_ATTEMPTS = 200
REASON_CHARS = 100
SAMPLE_RATE = 16000
FILE_OPS = re.compile("Save|Restore|Checkpoint|ReadFile|WriteFile|PyFunc")
# Sinks without a value worth fetching.
PASSIVE_OPS = {"Const", "Placeholder", "NoOp", "Assert", "Assign"}


class Difference(Exception):
    """What makes the restored model another one than the original."""


class NotExecuted(Exception):
    """Why TensorFlow cannot run a graph on random inputs."""


def load(path):
    try:
        graph_def = tf.compat.v1.GraphDef.FromString(Path(path).read_bytes())
    except DecodeError:
        raise Difference(f"{path} is not a GraphDef") from None
    except OSError as error:
        raise Difference(f"{path}: {error.strerror}") from None
    if not graph_def.node:
        raise Difference(f"{path} has no nodes")
    return graph_def


# Tensors


def all_nodes(graph_def):
    """Pairs of (name, node), those of library functions included."""
    for node in graph_def.node:
        yield node.name, node
    for function in graph_def.library.function:
        for node in function.node_def:
            yield f"{function.signature.name}/{node.name}", node


def all_attributes(graph_def):
    for name, node in all_nodes(graph_def):
        for key in node.attr:
            yield f"{name}:{key}", node.attr[key]
    for function in graph_def.library.function:
        for key in function.attr:
            yield f"{function.signature.name}:{key}", function.attr[key]


def all_tensors(graph_def):
    """TensorProtos by the place they stand in."""
    tensors = {}
    for place, value in all_attributes(graph_def):
        if value.HasField("tensor"):
            tensors[place] = value.tensor
        for index, tensor in enumerate(value.list.tensor):
            tensors[f"{place}[{index}]"] = tensor
    return tensors


def without_tensors(graph_def):
    """The serialised graph with every tensor emptied."""
    bare = tf.compat.v1.GraphDef()
    bare.CopyFrom(graph_def)
    for tensor in all_tensors(bare).values():
        tensor.Clear()
    return bare.SerializeToString(deterministic=True)


def bits(array):
    """What must be equal for two arrays to be equal bit for bit."""
    values = array.tolist() if array.dtype == object else array.tobytes()
    return array.dtype, array.shape, values


def to_array(tensor):
    """A TensorProto's values, or None for what NumPy cannot hold."""
    try:
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError):
        return None


def tensor_bits(tensor):
    array = to_array(tensor)
    return tensor.SerializeToString(deterministic=True) if array is None else bits(array)


def compare_contents(original, restored):
    """The number of tensors, all equal; raises Difference otherwise."""
    if without_tensors(original) != without_tensors(restored):
        raise Difference("the graphs differ outside their tensors")
    ours, theirs = all_tensors(original), all_tensors(restored)
    for place, tensor in ours.items():
        if tensor_bits(tensor) != tensor_bits(theirs[place]):
            raise Difference(f"{place}: the tensors differ")
    return len(ours)


# What to fetch and what to feed


def node_of(tensor_name):
    return tensor_name.lstrip("^").split(":")[0]


def touches_files(name, nodes):
    """Whether a node or anything it reads belongs to saving or restoring."""
    seen, waiting = set(), [name]
    while waiting:
        current = waiting.pop()
        if current in seen or current not in nodes:
            continue
        seen.add(current)
        if FILE_OPS.search(nodes[current].op):
            return True
        waiting += map(node_of, nodes[current].input)
    return False


def sinks(graph_def):
    """Names of the nodes that compute something that no other node reads."""
    nodes = {node.name: node for node in graph_def.node}
    read = {node_of(name) for node in graph_def.node for name in node.input}
    return [
        name
        for name, node in nodes.items()
        if name not in read and node.op not in PASSIVE_OPS and not touches_files(name, nodes)
    ]


def const_values(graph_def):
    arrays = {
        node.name: to_array(node.attr["value"].tensor)
        for node in graph_def.node
        if node.op == "Const"
    }
    return {name: array for name, array in arrays.items() if array is not None}


def reshape_target(node, nodes, constants):
    """The known dimensions that a Reshape node asks for."""
    target = nodes.get(node_of(node.input[1]))
    if target is None:
        return []
    parts = target.input if target.op == "Pack" else [target.name]
    known = [constants[node_of(part)].ravel() for part in parts if node_of(part) in constants]
    return [int(size) for part in known for size in part if size > 0]


def widths(graph_def):
    """Row lengths that inputs may have.

    They are the elements per row that reshapes ask for, and the input widths of
    kernels, which is their last dimension but one.
    """
    nodes = {node.name: node for node in graph_def.node}
    constants = const_values(graph_def)
    found = [
        math.prod(reshape_target(node, nodes, constants))
        for node in graph_def.node
        if node.op == "Reshape"
    ]
    found += [value.shape[-2] for value in constants.values() if value.ndim >= 2]
    return list(dict.fromkeys(found))


def candidate_shapes(placeholder, graph_def):
    """Shapes to try for a placeholder, likely ones first.

    A missing shape is unknown, and so is [] in old files.
    """
    shape = placeholder.attr["shape"].shape
    if shape.dim and not shape.unknown_rank:
        sizes = [dim.size for dim in shape.dim]
        return [[rows if size < 0 else size for size in sizes] for rows in (BATCH, 1)]
    declared = [[]] if "shape" in placeholder.attr else []
    inputs = widths(graph_def)
    batches = [[BATCH, width] for width in inputs]
    sequences = [[SEQUENCE, width] for width in inputs]
    return declared + batches + sequences + [[BATCH]]


def random_array(rng, dtype, shape):
    if dtype == np.bool_:
        return rng.integers(0, 2, shape).astype(bool)
    if np.issubdtype(dtype, np.complexfloating):
        return (rng.random(shape) + 1j * rng.random(shape)).astype(dtype)
    if np.issubdtype(dtype, np.integer):
        return rng.integers(0, 8, shape).astype(dtype)
    return rng.random(shape).astype(dtype)


def recording(rng, channels):
    """One second of a WAV file: a tone in noise."""
    seconds = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    sound = 8000 * np.sin(2 * np.pi * 440 * seconds) + rng.normal(0, 1000, SAMPLE_RATE)
    samples = np.repeat(sound.astype("<i2")[:, None], channels, axis=1)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((channels, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def string_input(placeholder, graph_def, rng):
    """A recording, if that is what the placeholder's reader decodes."""
    for node in graph_def.node:
        if node.op == "DecodeWav" and node_of(node.input[0]) == placeholder.name:
            return recording(rng, max(1, node.attr["desired_channels"].i))
    raise NotExecuted(f"{placeholder.name} wants strings")


def candidate_values(placeholder, graph_def):
    rng = np.random.default_rng(SEED)
    dtype = tf.dtypes.as_dtype(placeholder.attr["dtype"].type)
    if dtype == tf.string:
        return [string_input(placeholder, graph_def, rng)]
    try:
        return [
            random_array(rng, dtype.as_numpy_dtype, shape)
            for shape in candidate_shapes(placeholder, graph_def)
        ]
    except TypeError:
        raise NotExecuted(f"{placeholder.name} wants {dtype.name}") from None


def candidate_feeds(graph_def):
    """Values for all placeholders; the likeliest combinations first."""
    placeholders = [node for node in graph_def.node if node.op == "Placeholder"]
    values = [candidate_values(placeholder, graph_def) for placeholder in placeholders]
    each = int(MAX_ATTEMPTS ** (1 / max(1, len(placeholders))))
    combinations = itertools.product(*(range(len(choices[:each])) for choices in values))
    for combination in sorted(combinations, key=sum):
        yield {
            f"{placeholder.name}:0": choices[index]
            for placeholder, choices, index in zip(placeholders, values, combination)
        }


# Running


def seeded(graph_def):
    """A copy in which random operations without a seed have one."""
    copy = tf.compat.v1.GraphDef()
    copy.CopyFrom(graph_def)
    for _, node in all_nodes(copy):
        if "seed" in node.attr and node.attr["seed"].i == node.attr["seed2"].i == 0:
            node.attr["seed"].i = SEED
    return copy


def imported(graph_def):
    graph = tf.Graph()
    try:
        with graph.as_default():
            tf.import_graph_def(seeded(graph_def), name="")
    except (ValueError, tf.errors.OpError) as error:
        raise NotExecuted(reason(error)) from None
    return graph


def fetches(graph, graph_def):
    """The sinks' output tensors, as far as NumPy can hold them."""
    names = [
        tensor.name
        for name in sinks(graph_def)
        for tensor in graph.get_operation_by_name(name).outputs
        if tensor.dtype.base_dtype not in (tf.resource, tf.variant)
    ]
    if not names:
        raise NotExecuted("no node computes an output, only constants")
    return names


def run(graph, names, feeds):
    """The named tensors' values, by a new single-threaded session."""
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=1, inter_op_parallelism_threads=1
    )
    with tf.compat.v1.Session(graph=graph, config=config) as session:
        if any(operation.name == "init" for operation in graph.get_operations()):
            session.run("init")  # what TensorFlow 1 calls its variables' initialiser
        return session.run(names, feeds)


def reason(error):
    """The first line of an error, in a few words."""
    text = getattr(error, "message", None) or str(error)
    line = text.strip().splitlines()[0]
    return line if len(line) <= REASON_CHARS else line[: REASON_CHARS - 3] + "..."


def first_run(graph, names, graph_def):
    """The first feeds that the graph accepts, and its outputs for them."""
    why = "no input to try"
    for feeds in candidate_feeds(graph_def):
        try:
            return feeds, run(graph, names, feeds)
        except (tf.errors.OpError, ValueError, TypeError) as error:
            why = reason(error)
    raise NotExecuted(why)


def compare_outputs(original, restored):
    """What was run, in words; raises Difference when the outputs differ."""
    graph = imported(original)
    names = fetches(graph, original)
    feeds, expected = first_run(graph, names, original)
    try:
        found = run(imported(restored), names, feeds)
    except (tf.errors.OpError, ValueError, TypeError, NotExecuted) as error:
        raise Difference(f"only the original runs: {error}") from None
    for name, ours, theirs in zip(names, expected, found):
        if bits(np.asarray(ours)) != bits(np.asarray(theirs)):
            raise Difference(f"output {name} differs")
    return f"outputs equal: {describe(names, expected)} from {describe_feeds(feeds)}"


def describe(names, values):
    return ", ".join(
        f"{node_of(name)} {list(np.shape(value))}" for name, value in zip(names, values)
    )


def describe_feeds(feeds):
    sounds = [node_of(name) + " (WAV)" for name, value in feeds.items() if isinstance(value, bytes)]
    arrays = {name: value for name, value in feeds.items() if not isinstance(value, bytes)}
    shapes = [describe(arrays, arrays.values())] if arrays else []
    return ", ".join(sounds + shapes) or "no input"


def judge(original_path, restored_path):
    """The verdict on one pair: whether it passed, and a line that says why."""
    try:
        original, restored = load(original_path), load(restored_path)
        count = compare_contents(original, restored)
    except Difference as difference:
        return False, f"{original_path}: FAILED, {difference}"
    try:
        outcome = compare_outputs(original, restored)
    except Difference as difference:
        return False, f"{original_path}: FAILED, {count} constants equal, {difference}"
    except NotExecuted as why:
        outcome = f"not executed: {why}"
        return True, f"{original_path}: passed, parsed and {count} constants equal, {outcome}"
    return True, f"{original_path}: passed, {count} constants equal, {outcome}"


def main():
    parser = argparse.ArgumentParser(
        description="Let TensorFlow judge whether restored models are the originals.",
        usage="%(prog)s ORIGINAL.pb RESTORED.pb [ORIGINAL.pb RESTORED.pb ...]",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="originals and restored in turn")
    files = parser.parse_args().files
    if len(files) % 2:
        parser.error("an original without its restored file")

    tf.config.experimental.enable_op_determinism()
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    return tally(itertools.starmap(judge, zip(files[::2], files[1::2])))


def tally(verdicts):
    """Print verdicts, each whether it is good and a line, and their sum; the exit status."""
    passed = failed = 0
    for good, line in verdicts:
        print(line, flush=True)
        passed, failed = passed + good, failed + (not good)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
