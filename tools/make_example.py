#!/usr/bin/env python3
"""Train, prune and freeze the example model, examples/digits-300-100.pb.

    python tools/make_example.py            writes the model, prints its table
    python tools/make_example.py --check    rebuilds it, compares with the file

The model is a fully connected 64-300-100-10 network (the topology of
LeNet-300-100) for the 8x8 handwritten digits that scikit-learn ships. It is
trained dense and then pruned as in Han et al. 2015, "Learning both Weights and
Connections for Efficient Neural Networks": remove the weights of a layer that
are smaller than a quality parameter times the layer's standard deviation,
retrain the survivors with the mask held, repeat.

Training is float64 NumPy in which every sum is exact (see `matmul`), so neither
the processor nor the BLAS nor the number of threads changes a bit of it.
TensorFlow freezes the result and measures its accuracy.

Exit status of --check: 0 the rebuilt file is the file in examples/ and the
README's figures are those of the file; 1 a figure is wrong or the file is
missing; 3 the bytes differ, but the figures hold (other versions of the
packages in tools/requirements.txt may write other bytes).
"""

import argparse
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
MODEL = EXAMPLES / "digits-300-100.pb"
README = EXAMPLES / "README.md"

SEED = 2015
N_TEST = 500
LAYERS = {"fc1": (64, 300), "fc2": (300, 100), "fc3": (100, 10)}

BATCH = 64
MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4
DENSE_EPOCHS, DENSE_RATE = 40, 0.05
RETRAIN_EPOCHS, RETRAIN_RATE = 40, 0.03
QUALITY, ROUNDS = 0.85, 6

STEP = 2.0**-20
EXACT = 2.0**53


def snap(values):
    """Round to multiples of STEP, the grid on which sums are exact."""
    return np.rint(values / STEP) * STEP


def matmul(a, b):
    """The exact product of two matrices, both snapped to the grid first.

    Products are multiples of STEP**2, and while no sum of magnitudes reaches
    2**53 of these, float64 holds every partial sum exactly: the result is the
    same in whatever order, and with whatever instructions, it is added up.
    """
    a, b = snap(a), snap(b)
    bound = np.abs(a).max() * np.abs(b).max() * a.shape[1]
    if bound >= EXACT * STEP**2:
        raise ArithmeticError(f"sums up to {bound:g} are not exact")
    return a @ b


def exp(x):
    """e**x for x <= 0 from additions and products alone; libm differs by machine."""
    t = np.maximum(x, -60.0) / 1024.0
    power = 1.0 + t * (1.0 + t * (0.5 + t / 6.0))
    for _ in range(10):
        power = power * power
    return power


def softmax(logits):
    shifted = snap(exp(logits - logits.max(axis=1, keepdims=True)))
    return shifted / shifted.sum(axis=1, keepdims=True)


def standard_deviation(weights):
    """From exact sums over the grid."""
    weights = snap(weights)
    mean = weights.sum() / weights.size
    return np.sqrt((weights * weights).sum() / weights.size - mean * mean)


def digits():
    """The images as pixels / 16, their labels, and the fixed split in two."""
    data = load_digits()
    order = np.random.default_rng(SEED).permutation(len(data.target))
    images, labels = data.data[order] / 16.0, data.target[order]
    return (images[N_TEST:], labels[N_TEST:]), (images[:N_TEST], labels[:N_TEST])


def initial_parameters(rng):
    """He's uniform initialisation; biases are zero."""
    parameters = {}
    for name, (rows, columns) in LAYERS.items():
        limit = np.sqrt(6.0 / rows)
        kernel = (2.0 * rng.random((rows, columns)) - 1.0) * limit
        parameters[f"{name}/kernel"] = kernel
        parameters[f"{name}/bias"] = np.zeros(columns)
    return parameters


def gradients(parameters, images, labels):
    """Of the mean cross-entropy of a batch, by parameter name."""
    inputs = []
    signal = images
    for name in LAYERS:
        inputs.append(signal)
        signal = matmul(signal, parameters[f"{name}/kernel"]) + parameters[f"{name}/bias"]
        if name != "fc3":
            signal = np.maximum(signal, 0.0)
    delta = softmax(signal)
    delta[np.arange(len(labels)), labels] -= 1.0
    result = {}
    for name, entering in reversed(list(zip(LAYERS, inputs))):
        result[f"{name}/kernel"] = matmul(entering.T, delta) / len(labels)
        result[f"{name}/bias"] = snap(delta).sum(axis=0) / len(labels)
        delta = matmul(delta, parameters[f"{name}/kernel"].T) * (entering > 0.0)
    return result


def train(parameters, masks, data, epochs, rate, rng):
    """Momentum descent in place; what `masks` names stays masked."""
    images, labels = data
    velocity = {name: np.zeros_like(value) for name, value in parameters.items()}
    for epoch in range(epochs):
        epoch_rate = rate * (1.0 - epoch / epochs)
        order = rng.permutation(len(labels))
        for start in range(0, len(labels), BATCH):
            batch = order[start : start + BATCH]
            slopes = gradients(parameters, images[batch], labels[batch])
            for name, value in parameters.items():
                slope = slopes[name]
                if name in masks:
                    slope = (slope + WEIGHT_DECAY * value) * masks[name]
                velocity[name] = MOMENTUM * velocity[name] - epoch_rate * slope
                value += velocity[name]


def prune(parameters, masks):
    """Take the surviving weights below QUALITY x their standard deviation away."""
    for name, mask in masks.items():
        kernel = parameters[name]
        threshold = QUALITY * standard_deviation(kernel[mask])
        mask &= np.abs(kernel) >= threshold
        kernel[~mask] = 0.0


def train_and_prune(data):
    """The parameters of the dense network, and of the pruned one."""
    rng = np.random.default_rng(SEED)
    parameters = initial_parameters(rng)
    masks = {
        name: np.ones(value.shape, bool)
        for name, value in parameters.items()
        if name.endswith("/kernel")
    }
    train(parameters, masks, data, DENSE_EPOCHS, DENSE_RATE, rng)
    dense = {name: value.copy() for name, value in parameters.items()}
    for _ in range(ROUNDS):
        prune(parameters, masks)
        train(parameters, masks, data, RETRAIN_EPOCHS, RETRAIN_RATE, rng)
    return dense, parameters


def freeze(parameters):
    """The network as a frozen GraphDef: x in, logits and y (softmax) out."""
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session() as session:
        signal = v1.placeholder(tf.float32, [None, 64], name="x")
        for name in LAYERS:
            kernel, bias = (
                v1.get_variable(
                    f"{name}/{part}",
                    initializer=parameters[f"{name}/{part}"].astype(np.float32),
                    use_resource=False,
                )
                for part in ("kernel", "bias")
            )
            product = tf.matmul(signal, kernel, name=f"{name}/MatMul")
            if name == "fc3":
                signal = tf.nn.bias_add(product, bias, name="logits")
            else:
                signal = tf.nn.bias_add(product, bias, name=f"{name}/BiasAdd")
                signal = tf.nn.relu(signal, name=f"{name}/Relu")
        tf.nn.softmax(signal, name="y")
        session.run(v1.global_variables_initializer())
        return v1.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), ["logits", "y"]
        )


def count_correct(graph_def, data):
    """How many images TensorFlow, running the frozen graph, labels right."""
    images, labels = data
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=1, inter_op_parallelism_threads=1
    )
    with tf.Graph().as_default(), tf.compat.v1.Session(config=config) as session:
        tf.import_graph_def(graph_def, name="")
        answers = session.run("y:0", {"x:0": images.astype(np.float32)})
    return int((answers.argmax(axis=1) == labels).sum())


def accuracy_line(which, graph_def, data):
    correct, total = count_correct(graph_def, data), len(data[1])
    return f"test accuracy, {which}: {100 * correct / total:.2f} % ({correct} of {total})"


def density_table(graph_def):
    """Markdown rows: parameters and nonzeros of each layer, and in total."""
    sizes, nnz = dict.fromkeys(LAYERS, 0), dict.fromkeys(LAYERS, 0)
    for node in graph_def.node:
        if node.op == "Const":
            values = tf.make_ndarray(node.attr["value"].tensor)
            layer = node.name.split("/")[0]
            sizes[layer] += values.size
            nnz[layer] += np.count_nonzero(values)
    rows = [(layer, sizes[layer], nnz[layer]) for layer in LAYERS]
    rows.append(("total", sum(sizes.values()), sum(nnz.values())))
    return ["| layer | parameters | left | density |", "|---|---:|---:|---:|"] + [
        f"| {layer} | {size:,} | {left:,} | {100 * left / size:.2f} % |"
        for layer, size, left in rows
    ]


def report(model, data):
    """The lines that the README states about a model file's bytes."""
    graph_def = tf.compat.v1.GraphDef.FromString(model)
    return [*density_table(graph_def), accuracy_line("pruned", graph_def, data)]


def write(model):
    MODEL.parent.mkdir(exist_ok=True)
    MODEL.write_bytes(model)
    print(f"{MODEL.name}: {len(model):,} bytes written")


def check(model, dense_line, data):
    """Compare a rebuilt model with the file, and the file with the README."""
    if not MODEL.exists():
        print(f"{MODEL.name}: missing")
        return 1
    stored = MODEL.read_bytes()
    identical = stored == model
    print(f"{MODEL.name}: rebuilt, the bytes {'are identical' if identical else 'differ'}")
    lines = report(stored, data) + ([dense_line] if identical else [])
    readme = README.read_text(encoding="utf-8").splitlines()
    wrong = [line for line in lines if line not in readme]
    for line in wrong:
        print(f"{README.name} does not state: {line}")
    if wrong:
        return 1
    print(f"{README.name}: {len(lines)} lines of figures hold")
    return 0 if identical else 3


def main():
    parser = argparse.ArgumentParser(description="Make the example model, or check it.")
    parser.add_argument(
        "--check", action="store_true", help="rebuild, and compare with the file in examples/"
    )
    arguments = parser.parse_args()
    tf.config.experimental.enable_op_determinism()
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)

    training, test = digits()
    dense, pruned = train_and_prune(training)
    dense_line = accuracy_line("dense", freeze(dense), test)
    model = freeze(pruned).SerializeToString(deterministic=True)
    if arguments.check:
        return check(model, dense_line, test)
    write(model)
    print(*report(model, test), dense_line, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
