#!/usr/bin/env python3
"""Compare tfzip-prune with the rules written in NumPy (prune_rules.py), mask for mask.

    python tools/prune_reference.py PRUNE_PROGRAM DATA_FOLDER

Models are real ones of DATA_FOLDER, and small ones made here: frozen graphs of every dtype with
ties, empty tensors, equal elements, NaN and infinities, negative zeros, subnormals, and odd
shapes; checkpoints; and TFLite models with zero points and scales for each channel. A model is
pruned by many rules in turn. A rule passes when

1. the masks that the program writes,
2. the threshold, the counts and the relative error that it reports, and
3. the elements of every tensor of the model that it writes, weights or not, bit for bit,

are those of the reference. Masks that are applied again, masks made by NumPy, rules for some
tensors only, and shared weights are compared in the same way.

One line is printed for each group of cases and each that failed, and `N passed, M failed` at the
end. Exit status: 0 all passed, 1 some failed, 2 wrong usage.
"""

import argparse
import functools
import itertools
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import ml_dtypes
import numpy as np

import prune_models
import prune_rules
from judge import SEED, Difference, bits
from prune_models import read_checkpoint, read_graph, read_saved_model, read_tflite

RULES = [
    *(f"std:{q}" for q in (0, 0.5, 1, 1.75, 3)),
    *(f"magnitude:{t}" for t in (0, 1e-6, 0.05, 0.1, 0.5, 2, 1e9)),
    *(f"sparsity:{s}" for s in (0, 0.1, 0.5, 0.9, 1)),
    *(f"global:{s}" for s in (0, 0.3, 0.85, 1)),
    *(f"norm:{q}" for q in (0, 0.001, 0.02, 1)),
    "column-variance",
    *(f"nm:{nm}" for nm in ("0:1", "1:2", "2:4", "4:4", "1:3", "3:8", "5:1000")),
    *(f"block:{b}" for b in ("2x1:0.5", "4x4:0.5", "2x3:0.3", "32x1:0.9", "7x500:1", "1x8:0")),
    *(f"error:{e}" for e in (0, 0.01, 0.1, 0.5, 1, 2)),
]
# Every other one, with each rule at least once.
SHORT_RULES = RULES[1::2]
SHARE_BITS = [1, 3, 5, 8]
# Running and comparing


@dataclass
class Run:
    """What the program made of a model."""

    reports: dict  # by the tensors' names
    masks: dict
    masks_file: Path
    output: Path


@dataclass
class Subject:
    """A model to prune."""

    path: Path
    read: object  # from a path to Tensors by name
    names: list | None = None  # its weights, where that is known
    options: tuple = ()

    @functools.cached_property
    def tensors(self):
        return self.read(self.path)


class Bench:
    """The program, and a folder for what it writes."""

    def __init__(self, program, folder):
        self.program, self.folder = program, Path(folder)
        self.numbers = itertools.count()
        self.passed = self.failed = 0

    def run(self, subject, *options):
        number = next(self.numbers)
        output = self.folder / f"{number}-{subject.path.name}"
        masks = self.folder / f"{number}.npz"
        command = [self.program, "--json", *subject.options, *options]
        command += ["--masks", masks, subject.path, output]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Difference(f"the program fails: {done.stderr.strip()}")
        reports = {report["name"]: report for report in json.loads(done.stdout)["tensors"]}
        return Run(reports, dict(np.load(masks)), masks, output)

    def group(self, title, cases):
        """Counts cases, pairs of a name and what raises Difference; prints a line for all."""
        passed, failed = 0, 0
        for name, case in cases:
            try:
                case()
                passed += 1
            except Difference as difference:
                failed += 1
                print(f"{title}, {name}: FAILED, {difference}", flush=True)
        print(f"{title}: {passed} passed, {failed} failed", flush=True)
        self.passed, self.failed = self.passed + passed, self.failed + failed


def demand(found, expected, what):
    if found != expected:
        raise Difference(f"{what} is {found}, expected {expected}")


def demand_mask(found, expected, name):
    demand((found.dtype, found.shape), (np.dtype(bool), expected.shape), f"mask of {name}")
    places = np.flatnonzero(found != expected)
    if places.size:
        raise Difference(
            f"mask of {name}: {places.size} elements differ, the first is number {places[0]},"
            f" {found.ravel()[places[0]]} instead of {expected.ravel()[places[0]]}"
        )


def demand_tensor(found, expected, name):
    if bits(found) != bits(expected):
        raise Difference(f"tensor {name} is not bit for bit what is expected")


def weights_of(subject, run):
    """The weights' numbers by name, in the order of the report."""
    if subject.names is not None:
        demand(set(run.reports), set(subject.names), "the list of weights")
    demand(set(run.masks), set(run.reports), "the list of masks")
    return {name: subject.tensors[name].numbers() for name in run.reports}


def compare(subject, run, prunings, share=None):
    """Everything about a run; raises Difference."""
    expected = dict(subject.tensors)
    for name, pruning in prunings.items():
        report = run.reports[name]
        demand_mask(run.masks[name], pruning.mask, name)
        demand(report["threshold"], pruning.threshold, f"threshold of {name}")
        for member in (name, *report["copies"]):
            expected[member] = changed(subject.tensors[member], pruning.mask, share)
        compare_report(report, subject.tensors[name], expected[name])
    found = subject.read(run.output)
    demand(list(found), list(expected), "the list of tensors")
    for name in expected:
        demand_tensor(found[name].stored, expected[name].stored, name)


def changed(tensor, mask, share):
    masked = tensor.masked(mask)
    if share is None:
        return masked
    numbers = tensor.numbers()
    values = prune_rules.shared(numbers, mask, share)
    return masked.with_numbers(values, mask & np.isfinite(numbers))


def compare_report(report, before, after):
    name, numbers, rest = report["name"], before.numbers(), after.numbers()
    demand(report["parameters"], numbers.size, f"parameters of {name}")
    demand(report["nnz"], np.count_nonzero(numbers), f"nnz of {name}")
    demand(report["left"], np.count_nonzero(rest), f"what is left of {name}")
    demand(report["not_finite"], np.sum(~np.isfinite(numbers)), f"not_finite of {name}")
    error = prune_rules.relative_error(numbers, rest)
    demand(report["relative_error"], error, f"relative error of {name}")


# Cases


def by_rule(bench, subject, rule, share=None):
    run = bench.run(subject, "--rule", rule, *(["--share", str(share)] if share else []))
    weights = weights_of(subject, run)
    prunings = dict(zip(weights, prune_rules.prune(rule, list(weights.values()))))
    compare(subject, run, prunings, share)


def masks_again(bench, subject, rule):
    """Masks that were written, applied to the model on one thread, give the same file."""
    first = bench.run(subject, "--rule", rule)
    second = bench.run(subject, "--apply-masks", first.masks_file, "--threads", "1")
    demand(list(second.masks), list(first.masks), "the list of masks")
    for name, mask in first.masks.items():
        demand_mask(second.masks[name], mask, name)
    if contents(first.output) != contents(second.output):
        raise Difference("masks applied again give another file")


def contents(path):
    """The bytes of a file, or of the files in a folder by their names."""
    if path.is_file():
        return path.read_bytes()
    files = (file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path): file.read_bytes() for file in files}


def masks_made_here(bench, subject, dtype, rule):
    """Random masks, on top of a rule if there is one; NaN goes where a mask says so."""
    rng = np.random.default_rng(SEED)
    names = list(bench.run(subject, "--rule", "std:1").reports)
    masks = {name: rng.random(subject.tensors[name].stored.shape) < 0.5 for name in names}
    file = bench.folder / "made-here.npz"
    np.savez(file, **{name: np.asfortranarray(mask.astype(dtype)) for name, mask in masks.items()})
    run = bench.run(subject, "--apply-masks", file, *(["--rule", rule] if rule else []))
    weights = weights_of(subject, run)
    prunings = prune_rules.prune(rule or "magnitude:0", list(weights.values()))
    together = {
        name: pruning._replace(
            mask=pruning.mask & masks[name], threshold=pruning.threshold if rule else None
        )
        for name, pruning in zip(names, prunings)
    }
    compare(subject, run, together)


def rules_for_some(bench, subject):
    """The last of the rules that are for a tensor counts; two rules look at several."""
    options = ["std:1", "fc1*=global:0.7", "*3/weights=sparsity:0.2", "fc2*=global:0.7"]
    run = bench.run(subject, *(part for rule in options for part in ("--rule", rule)))
    weights = weights_of(subject, run)
    names = ["fc1/weights", "fc2/weights"]
    together = prune_rules.prune("global:0.7", [weights[name] for name in names])
    alone = prune_rules.prune("sparsity:0.2", [weights["fc3/weights"]])
    compare(subject, run, dict(zip([*names, "fc3/weights"], together + alone)))


def rule_cases(bench, subject, rules=RULES):
    return [(rule, functools.partial(by_rule, bench, subject, rule)) for rule in rules]


def share_cases(bench, subject, rule):
    return [
        (f"{rule} --share {share}", functools.partial(by_rule, bench, subject, rule, share))
        for share in SHARE_BITS
    ]


def mask_cases(bench, subject):
    again = [
        (f"masks of {rule} again", functools.partial(masks_again, bench, subject, rule))
        for rule in ("std:1", "nm:2:4", "error:0.2")
    ]
    made_here = [
        (
            f"masks of {np.dtype(dtype)} and {rule or 'no rule'}",
            functools.partial(masks_made_here, bench, subject, dtype, rule),
        )
        for dtype, rule in [(bool, None), (np.float32, "std:1"), (np.uint8, "global:0.5")]
    ]
    return again + made_here


def made_graph(bench, name, arrays, n_left_alone=0):
    """All but the last few are weights."""
    path = prune_models.write_graph(bench.folder / f"{name}.pb", arrays)
    return Subject(path, read_graph, list(arrays)[: len(arrays) - n_left_alone])


def made_checkpoint(bench):
    """Small tensors of a checkpoint are weights if they are named; so is one of rank 1."""
    rng = np.random.default_rng(SEED)
    arrays = {
        "a/f64": rng.normal(0, 0.3, (20, 30)),
        "b/bf16": rng.normal(0, 0.3, (30, 20)).astype(ml_dtypes.bfloat16),
        "c/vector": rng.normal(0, 0.3, 41).astype(np.float32),
        "d/float": prune_models.hard_floats(np.float32)["all_three"],
        "e/steps": np.arange(600).reshape(20, 30),
    }
    prefix = prune_models.write_checkpoint(bench.folder / "model.ckpt", arrays)
    names = [name for name in arrays if name != "e/steps"]
    return Subject(prefix, read_checkpoint, names, ("--include", "c/*", "--include", "d/*"))


def dense_models(bench, data):
    lenet = Subject(data / "dense" / "lenet300-b.pb", read_graph)
    for path in sorted(data.glob("dense/*.pb")):
        rules = RULES if path == lenet.path else SHORT_RULES
        bench.group(f"dense/{path.name}", rule_cases(bench, Subject(path, read_graph), rules))
    some = [("GLOB=RULE", functools.partial(rules_for_some, bench, lenet))]
    bench.group("dense/lenet300-b.pb, masks", some + mask_cases(bench, lenet))
    bench.group("dense/lenet300-b.pb, shared", share_cases(bench, lenet, "magnitude:0.05"))


def made_models(bench):
    for dtype in prune_models.FLOATS:
        name = np.dtype(dtype).name
        subject = made_graph(bench, name, prune_models.hard_floats(dtype))
        cases = rule_cases(bench, subject) + mask_cases(bench, subject)
        if dtype is not ml_dtypes.bfloat16:  # NumPy rounds to it twice
            cases += share_cases(bench, subject, "std:0.5")
        bench.group(f"graph of {name}", cases)
    for title, arrays, n_left_alone in [
        ("huge and tiny numbers", prune_models.extremes(), 0),
        ("int8", prune_models.hard_integers(), 0),
        ("listed elements", prune_models.listed(), 3),
    ]:
        subject = made_graph(bench, title, arrays, n_left_alone)
        bench.group(f"graph of {title}", rule_cases(bench, subject))
    bench.group("checkpoint", rule_cases(bench, made_checkpoint(bench)))


def tflite_models(bench, data):
    names = [name for name, *_ in prune_models.quantised_weights()]
    made = Subject(prune_models.write_tflite(bench.folder / "made.tflite"), read_tflite, names)
    cases = rule_cases(bench, made) + mask_cases(bench, made)
    bench.group("TFLite with zero points", cases + share_cases(bench, made, "std:0.5"))
    for path in sorted(data.glob("tflite/*.tflite")):
        subject = Subject(path, read_tflite)
        bench.group(f"tflite/{path.name}", rule_cases(bench, subject, SHORT_RULES[::3]))


def grouped_models(bench, data):
    """A variable and its initial value are one weight, and count once."""
    subject = Subject(data / "saved_model" / "lenet300-b", read_saved_model)
    rules = ["global:0.5", "global:0.97", "sparsity:0.97", "std:1", "nm:1:8"]
    bench.group("saved_model/lenet300-b", rule_cases(bench, subject, rules))
    more = mask_cases(bench, subject)[:3] + share_cases(bench, subject, "magnitude:0.01")[:2]
    bench.group("saved_model/lenet300-b, masks and shared", more)


def main():
    parser = argparse.ArgumentParser(
        description="Compare tfzip-prune with its rules in NumPy, mask for mask."
    )
    parser.add_argument("program", type=Path, metavar="PRUNE_PROGRAM")
    parser.add_argument("data", type=Path, metavar="DATA_FOLDER")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options.program.resolve(), folder)
        made_models(bench)
        tflite_models(bench, options.data)
        grouped_models(bench, options.data)
        dense_models(bench, options.data)
    print(f"{bench.passed} passed, {bench.failed} failed")
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
