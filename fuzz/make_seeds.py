"""Makes the seeds of the kernels, of blocks with classes, rows, coded values or Huffman coding, and of
the fuzz targets that read other model files than graphs.

    make_seeds.py FOLDER

Writes FOLDER/TARGET/NAME for each. Needs what is in tools/requirements.txt. The files hold a few small
tensors each, so that a fuzzer soon reaches every part of them.
"""

import os
import struct
import sys
import tempfile
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import h5py
import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

WEIGHTS = np.arange(48, dtype=np.float32).reshape(6, 8) * (np.arange(48).reshape(6, 8) % 3 == 0)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def hdf5(path, **options):
    with h5py.File(path, "w", **options) as file:
        file["layers/dense/vars/0"] = WEIGHTS
        file["layers/dense/vars/1"] = np.ones(40, np.float16)
        file["flags"] = np.zeros(130, np.bool_)
        file["step"] = np.int64(7)
        file["linked"] = file["layers/dense/vars/0"]
    return read(path)


def keras_archive(path):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, name="dense")])
    model.layers[0].kernel.assign(WEIGHTS)
    model.save(path)
    return read(path)


def tflite():
    @tf.function(input_signature=[tf.TensorSpec((1, 6), tf.float32)])
    def multiply(x):
        return tf.matmul(x, WEIGHTS)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([multiply.get_concrete_function()])
    return converter.convert()


def checkpoint_tensors():
    return {"fc/weights": WEIGHTS, "fc/half": np.ones(70, np.float16), "step": np.int64(7)}


def tensor_bundle(folder):
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
    root = Path(__file__).resolve().parent.parent
    sys.path.insert(0, str(root / "tools/reference"))
    import tfz

    archive = tfz.open_archive(root / f"spec/vectors/v0/good-{name}.tfz")
    payload, (start, end) = archive.payloads[0], archive.records[0]
    rows = payload.elements // payload.columns
    assert rows <= 256 and payload.columns <= 512, "more than the target takes"
    sizes = rows - 1, payload.columns - 1, payload.table_bytes, payload.blocks
    head = struct.pack("<B4H", payload.width.bit_length() - 1, *sizes)
    return head + archive.data[start:end]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        model, meta = saved_model()
        seeds = {
            "hdf5/old.h5": hdf5(os.path.join(folder, "old.h5")),
            "hdf5/latest.h5": hdf5(os.path.join(folder, "latest.h5"), libver="latest"),
            "keras/dense.keras": keras_archive(os.path.join(folder, "dense.keras")),
            "tflite/dense.tflite": tflite(),
            "tensor_bundle/dtypes": tensor_bundle(folder),
            "sliced_checkpoint/dtypes.ckpt": sliced_checkpoint(folder),
            "saved_model/saved_model.pb": model,
            "saved_model/graph.meta": meta,
        }
        kernels = ("huffman", "unpack", "planes", "window", "bins", "expand", "columns", "copy")
        kernels = dict(enumerate(kernels)) | {11: "steps", 12: "products", 13: "bit-products"}
        seeds |= {f"kernels/{name}": kernel_input(i) for i, name in kernels.items()}
    seeds |= {f"block/{name}": payload_of_vector(name) for name in VECTORS}
    for name, content in seeds.items():
        path = os.path.join(sys.argv[1], name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        print(f"{name}: {len(content)} bytes")


if __name__ == "__main__":
    main()
