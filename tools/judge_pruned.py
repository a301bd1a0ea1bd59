#!/usr/bin/env python3
"""Let TensorFlow judge models that tfzip has pruned.

    python tools/judge_pruned.py PRUNE PACK UNPACK DATA_FOLDER
    python tools/judge_pruned.py --search PRUNE PACK UNPACK DATA_FOLDER

PRUNE, PACK and UNPACK are the programs. Three things are judged:

1. Accuracy: LeNets are pruned, without retraining, packed and unpacked, and TensorFlow runs them
   on the 10,000 test images of MNIST. Accuracy, the parameters left of all, and the size of the
   .tfz file are within the limits below. Packing and pruning in one pass gives the same file.
2. Loading: a model of every kind is pruned, and TensorFlow, Keras or LiteRT loads it like the
   original, and runs it. The weights that the program names are the original ones where its
   masks say so, and zero (+0.0, or the zero point) elsewhere; all other tensors and everything
   around them are equal bit for bit, as stored and as loaded.
3. Size: a SavedModel, a .meta and a Keras model of which something was pruned is smaller packed.

--search finds the largest quality for which the rule `std` keeps the accuracy that QUALITY does.

One line is printed for each check, and `N passed, M failed` at the end. Exit status: 0 all
passed, 1 some failed, 2 wrong usage.
"""

import argparse
import functools
import gzip
import itertools
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import judge_kinds
from judge import Difference, all_tensors, bits, load, tally, to_array

import numpy as np
import tensorflow as tf

import prune_models

N_TEST = 10_000
# The largest quality, of two decimals, for which std keeps this accuracy of dense/lenet300-b.pb.
QUALITY = 0.8
QUALITY_ACCURACY = 98.0
# Where --search begins.
HIGHEST_QUALITY = 4.0


@dataclass
class Goal:
    """What a pruned LeNet must come to."""

    model: str
    options: list
    accuracy: float  # in percent, at least
    left: int | None = None  # parameters, at most
    archive_bytes: int | None = None  # at most


GOALS = [
    Goal("dense/lenet300-a.pb", ["--rule", "magnitude:0.06"], 98.1, left=79_999),
    Goal("pruned/lenet300-a.pb", ["--rule", "magnitude:1e-6"], 97.31, 13_500, 57_000),
    Goal("dense/lenet300-b.pb", ["--rule", f"std:{QUALITY}"], QUALITY_ACCURACY),
    Goal(
        "dense/lenet300-b.pb",
        ["--rule", "magnitude:0.05", "--share", "5"],
        98.0,
        archive_bytes=76_000,
    ),
    Goal(
        "pruned/lenet300-b.pb",
        ["--rule", "magnitude:0.001", "--share", "5"],
        97.2,
        archive_bytes=17_000,
    ),
]

# Models of every kind, and how they are pruned. Without a graph, small tensors must be named.
KINDS = [
    ("saved_model/keras3-export", ["--rule", "std:1"]),
    ("saved_model/lenet300-b", ["--rule", "sparsity:0.97"]),
    ("saved_model/keras-tf2", ["--rule", "nm:2:4"]),
    ("saved_model/assets", ["--rule", "sparsity:0.9"]),
    ("checkpoint/v2-lenet300-b/model.ckpt", ["--rule", "global:0.97"]),
    ("checkpoint/v2-lenet300-b", ["--rule", "sparsity:0.98"]),
    ("checkpoint/v2-sharded/model.ckpt-7", ["--rule", "sparsity:0.5", "--include", "*"]),
    ("checkpoint/v1-lenet300-dense/model.ckpt", ["--rule", "error:0.1"]),
    ("checkpoint/v1-sharded/model.ckpt-7", ["--rule", "sparsity:0.5", "--include", "*"]),
    ("checkpoint/v1-dtypes/model.ckpt-7", ["--rule", "sparsity:0.5", "--include", "*"]),
    ("checkpoint/v2-lenet300-b/model.ckpt.meta", ["--rule", "sparsity:0.97"]),
    ("keras/m.keras", ["--rule", "block:4x4:0.5"]),
    ("keras/m.weights.h5", ["--rule", "std:1"]),
    ("keras/mlperf-wakeword.h5", ["--rule", "norm:0.02"]),
    ("tflite/small-dynamic-int8.tflite", ["--rule", "nm:2:4"]),
    ("tflite/mlperf-kws-int8.tflite", ["--rule", "global:0.6"]),
    ("tflite/ds_cnn_quantized.tflite", ["--rule", "column-variance"]),
    ("tflite/face_detection_front.tflite", ["--rule", "std:1"]),
    ("tflite/hand_landmark_sparse.tflite", ["--rule", "std:0.5"]),
]
SIZE_MODELS = ["saved_model/*", "checkpoint/*/*.meta", "keras/*"]
SIZE_RULES = [
    "sparsity:0.5",
    "global:0.9",
    "global:0.05",
    "global:0.01",
    "global:0.003",
    "global:0.001",
    "magnitude:0.01",
    "magnitude:1e-6",
]


class Programs:
    """The programs, and a folder for what they write."""

    def __init__(self, prune, pack, unpack, folder):
        self.paths = {"prune": prune, "pack": pack, "unpack": unpack}
        self.folder = Path(folder)

    def place(self, name):
        """A path of this name where nothing is."""
        return Path(tempfile.mkdtemp(dir=self.folder), name)

    def run(self, name, *arguments):
        """What a program prints; raises Difference where it fails."""
        command = [str(argument) for argument in (self.paths[name], *arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Difference(f"{' '.join(command[1:])}: {done.stderr.strip()}")
        return done.stdout

    def prune(self, model, options):
        """The pruned model's path."""
        output = self.place(model.name)
        self.run("prune", "--quiet", *options, model, output)
        return output

    def pack(self, model, *options):
        """The archive's path."""
        archive = self.place("packed.tfz")
        self.run("pack", "--quiet", *options, model, archive)
        return archive

    def unpack(self, archive):
        restored = self.place("restored")
        self.run("unpack", "--quiet", archive, restored)
        return restored


# Accuracy


@functools.cache
def test_set(folder):
    """The images as pixels / 255, and their labels."""
    images, labels = (
        gzip.decompress((folder / f"t10k-{name}-ubyte.gz").read_bytes())
        for name in ("images-idx3", "labels-idx1")
    )
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(N_TEST, -1)
    return pixels.astype(np.float32) / 255, np.frombuffer(labels, np.uint8, offset=8)


def accuracy_of(path, data):
    """In percent."""
    images, labels = test_set(data / "mnist")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(load(path), name="")
        answers = session.run("y:0", {"x:0": images})
    return 100 * float(np.sum(answers.argmax(axis=1) == labels)) / N_TEST


def parameters_left(path):
    """Of all floats: weights and biases."""
    arrays = map(to_array, all_tensors(load(path)).values())
    return sum(np.count_nonzero(array) for array in arrays if array.dtype.kind == "f")


def judge_goal(programs, data, goal):
    model = data / goal.model
    pruned = programs.prune(model, goal.options)
    archive = programs.pack(pruned)
    archive_bytes = archive.stat().st_size
    restored = programs.unpack(archive)
    demand_same(restored, pruned, "what is unpacked")
    demand_one_pass(programs, model, goal.options, pruned)
    accuracy, left = accuracy_of(restored, data), parameters_left(restored)
    words = f"{accuracy:.2f} %, {left:,} parameters left, {archive_bytes:,} bytes packed"
    if (
        accuracy < goal.accuracy
        or (goal.left and left > goal.left)
        or (goal.archive_bytes and archive_bytes > goal.archive_bytes)
    ):
        raise Difference(f"{words}; not within {goal}")
    return words


def demand_same(path, other, what):
    if path.read_bytes() != other.read_bytes():
        raise Difference(f"{what} is not the pruned model")


def demand_one_pass(programs, model, options, pruned):
    """Packing prunes as well, by options of which one has another name."""
    options = ["--prune" if option == "--rule" else option for option in options]
    restored = programs.unpack(programs.pack(model, *options))
    demand_same(restored, pruned, "what is pruned and packed in one pass")


def quality_accuracy(programs, data, quality):
    model = data / "dense" / "lenet300-b.pb"
    pruned = programs.prune(model, ["--rule", f"std:{quality:.2f}"])
    return accuracy_of(pruned, data), parameters_left(pruned)


def judge_next_quality(programs, data):
    """A hundredth more than QUALITY is too much."""
    accuracy, left = quality_accuracy(programs, data, QUALITY + 0.01)
    words = f"std:{QUALITY + 0.01:.2f} is too much: {accuracy:.2f} %, {left:,} parameters left"
    if accuracy >= QUALITY_ACCURACY:
        raise Difference(f"not so: {words}")
    return words


def search_quality(programs, data):
    """Downwards, as accuracy need not fall with every step."""
    for hundredths in range(round(100 * HIGHEST_QUALITY), 0, -1):
        accuracy, left = quality_accuracy(programs, data, hundredths / 100)
        if accuracy >= QUALITY_ACCURACY:
            found = f"std:{hundredths / 100:.2f}: {accuracy:.2f} %, {left:,} parameters left"
            if hundredths != round(100 * QUALITY):
                raise Difference(f"{found}, but QUALITY is {QUALITY}")
            return found
    raise Difference("there is none")


# Loading


def judge_kind(programs, data, model, options):
    path, masks_file = data / model, programs.place("masks.npz")
    # TensorFlow and Keras tell files by their names: the pruned one keeps its own.
    pruned = programs.place(path.name)
    printed = programs.run("prune", "--json", *options, "--masks", masks_file, path, pruned)
    report, masks = json.loads(printed), dict(np.load(masks_file))
    pairs, words = judge_kinds.paired(path, pruned)
    missing = set(masks)
    for kind, ours, theirs in pairs:
        changes = changes_of(path, kind, ours, theirs, report, masks)
        words.append(f"{kind}: {compare_pruned(ours, theirs, changes)}")
        missing -= {change.weight for change in changes.values()}
    if missing:
        raise Difference(f"no tensor is called {', '.join(sorted(missing))}")
    nnz = sum(tensor["nnz"] for tensor in report["tensors"])
    return f"{len(masks)} weights, {report['left']:,} of {nnz:,} left; " + "; ".join(words)


@dataclass
class Change:
    """A tensor that is pruned: which weight it is, and its elements as they were and are."""

    weight: str
    before: np.ndarray
    after: np.ndarray


def changes_of(path, kind, ours, theirs, report, masks):
    """The changes of a model's tensors, by their places."""
    quantised = prune_models.read_tflite(path) if kind == "TFLite" else None
    changes = {}
    for tensor in report["tensors"]:
        weight = tensor["name"]
        for name in (weight, *tensor["copies"]):
            for place in places_of(ours, theirs, name):
                stored = ours.tensors[place]
                before = quantised[stored.name] if quantised else of_value(stored.value)
                after = before.masked(masks[weight]).stored
                changes[place] = Change(weight, before.stored, after)
    return changes


def of_value(value):
    return prune_models.Tensor(value)


def places_of(ours, theirs, name):
    """Where a tensor is, which may be a piece of one that TensorFlow's reader joins."""
    if not judge_kinds.zeroed_places(ours, name):
        judge_kinds.take_piece(ours, name)
        judge_kinds.take_piece(theirs, name)
    return judge_kinds.zeroed_places(ours, name)


def compare_pruned(ours, theirs, changes):
    """In words, how a model differs from the original by these changes only."""
    expected = dict(ours.tensors)
    for place, change in changes.items():
        expected[place] = as_read(change.after, ours.tensors[place].value)
    judge_kinds.demand_equal(expected, theirs.tensors, "tensors")
    words = [
        f"{judge_kinds.count(changes)} pruned, the rest of {len(expected)} equal",
        *judge_kinds.compare_hashes(ours, theirs),
        *judge_kinds.demand_equal(ours.rest, theirs.rest, "items around them"),
    ]
    for mine, its in judge_kinds.loadings_of(ours, theirs):
        words.append(compare_loading(mine, its, changes))
    return "; ".join(words + judge_kinds.refused(ours))


def as_read(elements, value):
    """Elements in the form of what is read, which of TFLite is bytes."""
    if elements.dtype == value.dtype:
        return elements
    return np.frombuffer(elements.tobytes(), value.dtype)


def compare_loading(ours, theirs, changes):
    """What is loaded is told by its elements; outputs are others, but as many."""
    after = {bits(change.before): change.after for change in changes.values()}
    pruned = {
        key: after[bits(value)] for key, value in ours.variables.items() if bits(value) in after
    }
    if ours.variables and not pruned:
        raise Difference(f"{ours.how}: no value is that of a weight")
    judge_kinds.demand_equal(ours.variables | pruned, theirs.variables, f"{ours.how}: values")
    judge_kinds.differing(ours.outputs, theirs.outputs, f"{ours.how}: outputs")
    counts = [f"{len(pruned)} of {len(ours.variables)} values pruned"] if ours.variables else []
    return f"{ours.how}: " + ", ".join(counts + ours.remarks)


# Size


def judge_size(programs, model):
    """Pruned by one rule after the other, each time from the original."""
    before = programs.pack(model).stat().st_size
    words = [f"{before:,} bytes packed"]
    for rule in SIZE_RULES:
        report = json.loads(programs.run("prune", "--dry-run", "--json", "--rule", rule, model))
        n_pruned = sum(tensor["nnz"] - tensor["left"] for tensor in report["tensors"])
        after = programs.pack(programs.prune(model, ["--rule", rule])).stat().st_size
        words.append(f"{rule}: {after:,} with {n_pruned:,} pruned")
        if n_pruned and after >= before:
            raise Difference("; ".join(words))
    return "; ".join(words)


def has_weights(programs, model):
    """Whether there is anything to prune."""
    try:
        programs.run("prune", "--dry-run", "--quiet", "--rule", "sparsity:1", model)
    except Difference:
        return False
    return True


# Checks


def checks(programs, data):
    """Names, and functions that say what they found, or raise Difference."""
    for goal in GOALS:
        name = f"{goal.model} {' '.join(goal.options)}"
        yield name, functools.partial(judge_goal, programs, data, goal)
    yield "dense/lenet300-b.pb", functools.partial(judge_next_quality, programs, data)
    for model, options in KINDS:
        name = f"{model} {' '.join(options)}"
        yield name, functools.partial(judge_kind, programs, data, model, options)
    for path in sorted(path for pattern in SIZE_MODELS for path in data.glob(pattern)):
        if has_weights(programs, path):
            name = f"size of {path.relative_to(data)}"
            yield name, functools.partial(judge_size, programs, path)


def verdict(name, check):
    """Whether it passed, and a line that says so."""
    try:
        return True, f"{name}: passed, {check()}"
    except Difference as difference:
        return False, f"{name}: FAILED, {difference}"


def parsed_options():
    parser = argparse.ArgumentParser(description="Let TensorFlow judge models tfzip has pruned.")
    for name in ("prune", "pack", "unpack"):
        parser.add_argument(name, type=Path, metavar=name.upper(), help="the program")
    parser.add_argument("data", type=Path, metavar="DATA_FOLDER", help="real models")
    parser.add_argument("--search", action="store_true", help="find the largest quality only")
    return parser.parse_args()


def main():
    options = parsed_options()
    judge_kinds.prepare()
    with tempfile.TemporaryDirectory() as folder:
        programs = Programs(options.prune, options.pack, options.unpack, folder)
        todo = checks(programs, options.data)
        if options.search:
            todo = [("search", functools.partial(search_quality, programs, options.data))]
        return tally(itertools.starmap(verdict, todo))


if __name__ == "__main__":
    sys.exit(main())
