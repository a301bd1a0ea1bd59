"""Makes the seeds of the kernels, of streams, manifests and archives, of blocks with classes, rows, coded
values or Huffman coding, of the graphs that are pruned, and of the fuzz targets that read other model
files than graphs.

    make_seeds.py FOLDER [TARGET...]

Writes FOLDER/TARGET/NAME for each. Needs what is in tools/requirements.txt. The files hold a few small
tensors each, so that a fuzzer soon reaches every part of them.
"""

import os
import struct
import sys
import tempfile
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools/reference"))
import tfz

WEIGHTS = np.arange(48, dtype=np.float32).reshape(6, 8) * (np.arange(48).reshape(6, 8) % 3 == 0)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def hdf5(path, **options):
    import h5py

    with h5py.File(path, "w", **options) as file:
        file["layers/dense/vars/0"] = WEIGHTS
        file["layers/dense/vars/1"] = np.ones(40, np.float16)
        file["flags"] = np.zeros(130, np.bool_)
        file["step"] = np.int64(7)
        file["linked"] = file["layers/dense/vars/0"]
    return read(path)


def keras_archive(path):
    import keras

    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, name="dense")])
    model.layers[0].kernel.assign(WEIGHTS)
    model.save(path)
    return read(path)


def tflite():
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((1, 6), tf.float32)])
    def multiply(x):
        return tf.matmul(x, WEIGHTS)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([multiply.get_concrete_function()])
    return converter.convert()


def checkpoint_tensors():
    return {"fc/weights": WEIGHTS, "fc/half": np.ones(70, np.float16), "step": np.int64(7)}


def tensor_bundle(folder):
    import tensorflow as tf

    prefix = os.path.join(folder, "m")
    values = checkpoint_tensors() | {"names": np.array([b"a", b"bc"])}
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(values),
        shape_and_slices=[""] * len(values),
        tensors=[tf.constant(value) for value in values.values()],
    )
    index, shard = read(prefix + ".index"), read(prefix + ".data-00000-of-00001")
    return struct.pack("<H", len(index)) + index + shard


def sliced_checkpoint(folder):
    import tensorflow as tf

    path = os.path.join(folder, "v1")
    values = checkpoint_tensors()
    tf.raw_ops.Save(
        filename=path,
        tensor_names=list(values),
        data=[tf.constant(value) for value in values.values()],
    )
    return read(path)


def saved_model():
    """A SavedModel with one graph, whose weights are a constant, and that MetaGraphDef alone."""
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, (None, 6), "x")
        tf.matmul(x, tf.constant(WEIGHTS, name="weights"), name="y")
    model = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    meta = model.meta_graphs.add()
    meta.meta_info_def.tags.append("serve")
    meta.graph_def.CopyFrom(graph.as_graph_def())
    meta.signature_def["serving_default"].method_name = "tensorflow/serving/predict"
    return model.SerializeToString(deterministic=True), meta.SerializeToString(deterministic=True)


def kernel_input(kernel):
    """Which kernel, the width of its elements, and small numbers that it takes for sizes or bytes."""
    return bytes([kernel, 2, *(i * i * 89 % 251 % 97 for i in range(700))])


VECTORS = """
aligned-block aligned-blocks aligned-values-16 bins-256 bins-f32 bins-f64 bins-root bundle-8
bundle-8-longer classes-16 classes-8-streams classes-alternates classes-background classes-blocks
classes-columns classes-columns-huffman classes-dead classes-empty classes-low-bits-of-parts
classes-rows classes-steps-escape coded-16-tables coded-bins-tables coded-classes-8-streams
codes-3 coded-other-kind coded-window-tables huffman-11-bits huffman-relative patches
rows-aligned rows-bitmap-groups rows-codebook-aligned rows-cut-groups rows-groups rows-steps
rows-steps-1-bit rows-steps-7-bits window-f64 window-i32 window-u64
""".split()


def payload_of_vector(name):
    """The first payload of a vector as the target `block` takes it."""
    archive = tfz.open_archive(ROOT / f"spec/vectors/v1/good-{name}.tfz")
    payload, (start, end) = archive.payloads[0], archive.records[0]
    rows = payload.elements // payload.columns
    assert rows <= 256 and payload.columns <= 512, "more than the target takes"
    sizes = rows - 1, payload.columns - 1, payload.table_bytes, payload.blocks
    head = struct.pack("<B4H", payload.width.bit_length() - 1, *sizes)
    return head + archive.data[start:end]


# Manifests of every shape: several files, folders, names, sources, repeats, sections, and lies.
MANIFESTS = """
good-dtypes good-empty-folders good-folder-of-nothing good-folder-of-one-file
good-manifest-column-in-pieces good-manifest-not-packed good-manifest-unknown-fields good-names
good-payload-shared good-profile-2 good-section-two-payloads good-sections-align-12
good-sections-aligned good-sections-payloads-first good-skeleton-two-frames good-source-sha256
good-tensor-repeats good-tensor-shapes good-tensors good-three-files good-blocks bad-hole-gap-2-64
bad-limit-rank bad-names-folder-apart bad-section-bytes-2-64 bad-tensor-2-63
""".split()


def manifest_of_vector(name):
    """No bytes too many, and the message of a vector."""
    data = read(ROOT / f"spec/vectors/v1/{name}.tfz")
    return b"\0" + bytes(tfz.read_footer(data)[0])


def bits(values):
    """Pairs of a number and how many bits it takes, LSB-first."""
    word = at = 0
    for value, n in values:
        word |= value << at
        at += n
    return word.to_bytes((at + 7) // 8, "little")


def lengths(all_lengths):
    """The lengths of a code (spec section 10.3.1), as pairs for `bits`."""
    last, out = 8, []
    for length in all_lengths:
        zeros = 2 * (length - last) if length >= last else 2 * (last - length) - 1
        out.append((1 << zeros, zeros + 1))
        last = length
    return out


def stream_seeds():
    """Which coding, of how many bits less one, how many symbols, and what is decoded."""
    head = lambda what, choice, count: struct.pack("<BBH", what, choice, count)
    noise = bytes(i * i * 89 % 251 for i in range(300))
    frame = tfz.zstandard.ZstdCompressor(level=19, write_checksum=False).compress
    fox = b"a fox and a box and a fox in a box " * 6
    # Symbols 0 to 3 have 1, 2, 3 and 3 bits: 0, 10, 110, 111.
    words = [(0, 1), (1, 2), (3, 3), (7, 3)]
    coded = [words[i * i % 7 % 4] for i in range(60)]
    huffman = bits([(3, 8), *lengths([1, 2, 3, 3]), *coded])
    zstd = bytes([1, len(frame(fox))]) + frame(fox)
    one = bits(coded)
    streams = [bits(words[(i * j + 1) % 4] for j in range(50)) for i in range(32)]
    shortest = min(map(len, streams))
    many = bytes([32, shortest, 4]) + bits((len(s) - shortest, 4) for s in streams)
    code = bytes([3, 8, 4, 2, 2])
    return {
        "packed-bytes": head(0, 0, 200) + b"\0" + noise,
        "zstd-bytes": head(0, 0, len(fox)) + zstd,
        "huffman-bytes": head(0, 0, 60) + b"\2" + huffman,
        "packed-symbols": head(1, 10, 100) + b"\0" + noise[:137] + b"\1",
        "zstd-symbols": head(1, 8, len(fox) // 2) + b"\1" + bytes([len(frame(fox[:105] + bytes(105)))]) + frame(fox[:105] + bytes(105)),
        "huffman-symbols": head(1, 2, 60) + b"\2" + huffman,
        "any-symbols": head(2, 11, 0) + noise,
        "few-symbols": head(2, 3, 0) + bytes(i * i % 7 for i in range(400)),
        "unpacked-3": head(3, 2, 0) + noise[:96],
        "unpacked-13": head(3, 12, 0) + noise[:91],
        "code": head(4, 0, 3) + bits(lengths([1, 2, 3, 3])) + noise,
        "code-by-set-bits": head(4, 1, 255) + bits(lengths([8] * 256)) + noise,
        "bundle-1": head(5, 0, 60) + code + bytes([1, len(one)]) + one,
        "bundle-32": head(5, 0, 1600) + code + many + b"".join(streams),
        "bundle-runs": head(5, 2, 60) + 3 * code + bytes([1, len(one)]) + one,
        "frame": head(6, 0, len(fox)) + frame(fox)[4:],
        "frame-literals": head(6, 0, 300) + frame(bytes(b % 9 * (b % 5) for b in noise))[4:],
        "frame-checksum": head(6, 0, 300)
        + tfz.zstandard.ZstdCompressor(level=3, write_checksum=True).compress(noise)[4:],
        "zeros": head(7, 20, 40) + bits((1 << i % 9, i % 9 + 1) for i in range(50)),
        "rice": head(7, 5, 30) + bits(((1 << i % 6) - 1 | i % 32 << i % 6 + 1, i % 6 + 6) for i in range(40)),
    }


def tensor_of_archive(dtype, shape, program, place=2, name=b"w", repeats=False, ends_file=False):
    """A tensor as the target `archive` takes it: `dtype` counts from 0, `place` is what holds it."""
    flags = len(shape) | place << 5 | repeats << 7
    gap = (name * 12)[: 3 + len(name)] if ends_file else name * 4
    gap = gap[: len(gap) // 4 * 4] + b"...:"[: 3 * ends_file]
    return bytes([dtype, flags, *shape, len(gap)]) + gap + bytes([len(program)]) + program


def archive_seeds():
    """Options, flags, and tensors whose elements a little program makes (see `roundtrip`)."""
    weight = lambda i: b"\x04" + struct.pack("<f", i * 0.37 - 2)
    pruned = b"".join(weight(i) + bytes([i % 5 << 3]) for i in range(36))
    halves = b"".join(bytes([4, i % 7, 0x38, i % 5 << 3]) for i in range(60))
    masked = b"".join(weight(i) + bytes([2 | i % 4 << 3]) for i in range(36))
    noise, zeros, seven = b"\xfe\xff\x01\x07\x07", b"\xf8\xff\xff", b"\xfb\xff\x0f\x07"
    f32, f64, i32, u8, c64, i64, f16 = 0, 1, 2, 3, 7, 8, 18
    tensors = {
        "pruned": [(f32, (12, 15), pruned), (f16, (20, 30), halves)],
        "same-twice": [(f32, (12, 15), pruned), (f32, (15, 12), pruned, 3)],
        "masked": [(f32, (10, 16), masked), (f64, (5, 8), noise)],
        "places": [(i32, (6, 9), seven, 1), (6, (2, 2), b"", 0), (u8, (200,), noise), (i64, (), noise)],
        "repeats": [(f32, (60,), pruned, 2, b"r", True), (f32, (7,), zeros, 1, b"s", True)],
        "edges": [(f32, (0, 9), b""), (c64, (3, 4, 5), masked), (9, (200,), zeros), (23, (17, 9), noise)],
    }
    seeds = {}
    for i, (name, of_name) in enumerate(tensors.items()):
        body = b"".join(tensor_of_archive(*tensor) for tensor in of_name)
        seeds[name] = bytes([i % 3 | (i + 1) % 3 << 4, 0]) + body
        seeds[f"{name}-graph"] = bytes([(i + 1) % 3 | 4 | i % 3 << 4 | 0x80, i % 4]) + body
    files = [(f32, (12, 15), pruned, 2, b"a", False, True), (u8, (200,), seven, 3, b"b", False, True)]
    seeds["files"] = b"\x11\x03" + b"".join(tensor_of_archive(*tensor) for tensor in files)
    return seeds


def field(number, content):
    """A field of a message that is a number or bytes."""
    varint = lambda n: bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def graph_to_prune(op, dtype, weights, transposed=False):
    """A constant with weights, and the node that multiplies by it."""
    dims = b"".join(field(2, field(1, n)) for n in weights.shape)
    proto = field(1, dtype) + field(2, dims) + field(4, weights.tobytes())
    attr = lambda key, value: field(5, field(1, key) + field(2, value))
    node = lambda name, op, *rest: field(1, field(1, name) + field(2, op) + b"".join(rest))
    return b"".join([
        node(b"x", b"Placeholder", attr(b"dtype", field(6, dtype))),
        node(b"w", b"Const", attr(b"dtype", field(6, dtype)), attr(b"value", field(8, proto))),
        node(b"w/read", b"Identity", field(3, b"w"), attr(b"T", field(6, dtype))),
        node(
            b"y", op, field(3, b"x"), field(3, b"w/read"), attr(b"T", field(6, dtype)),
            attr(b"transpose_b", field(5, int(transposed))),
        ),
    ])  # fmt: skip


def pruning_seeds():
    """A rule, its numbers, which tensors, and a graph."""
    numbers = np.arange(96) * 37 % 19 - 9.0
    dense = (numbers * 0.1).astype(np.float32).reshape(8, 12)
    halves = numbers.astype(np.float16).reshape(12, 8)
    kernel = (numbers * 0.25).reshape(2, 2, 4, 6).astype(np.float32)
    graphs = [
        graph_to_prune(b"MatMul", 1, dense),
        graph_to_prune(b"MatMul", 19, halves, transposed=True),
        graph_to_prune(b"Conv2D", 1, kernel),
    ]
    rules = "std magnitude sparsity global norm column-variance nm block error".split()
    seeds = {
        f"{name}.bin": bytes([i, 100, 0x23, 0]) + graphs[i % 3] for i, name in enumerate(rules)
    }
    seeds["share.bin"] = bytes([0, 60, 0, 3 | 2 << 2]) + graphs[0]
    seeds["both.bin"] = bytes([2, 120, 0, 3 << 2]) + graphs[1]
    return seeds


def kernel_seeds():
    kernels = ("huffman", "unpack", "planes", "window", "bins", "expand", "columns", "copy")
    kernels = dict(enumerate(kernels)) | {11: "steps", 12: "products", 13: "bit-products", 15: "marks"}
    return {name: kernel_input(i) for i, name in kernels.items()}


def hdf5_seeds(folder):
    return {
        "old.h5": hdf5(os.path.join(folder, "old.h5")),
        "latest.h5": hdf5(os.path.join(folder, "latest.h5"), libver="latest"),
    }


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        targets = {
            "hdf5": lambda: hdf5_seeds(folder),
            "keras": lambda: {"dense.keras": keras_archive(os.path.join(folder, "dense.keras"))},
            "tflite": lambda: {"dense.tflite": tflite()},
            "tensor_bundle": lambda: {"dtypes": tensor_bundle(folder)},
            "sliced_checkpoint": lambda: {"dtypes.ckpt": sliced_checkpoint(folder)},
            "saved_model": lambda: dict(zip(("saved_model.pb", "graph.meta"), saved_model())),
            "kernels": kernel_seeds,
            "block": lambda: {name: payload_of_vector(name) for name in VECTORS},
            "manifest": lambda: {name: manifest_of_vector(name) for name in MANIFESTS},
            "stream": stream_seeds,
            "archive": archive_seeds,
            "pruning": pruning_seeds,
        }
        for target in sys.argv[2:] or targets:
            for name, content in targets[target]().items():
                path = os.path.join(sys.argv[1], target, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as file:
                    file.write(content)
                print(f"{target}/{name}: {len(content)} bytes")


if __name__ == "__main__":
    main()
