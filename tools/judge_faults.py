#!/usr/bin/env python3
"""Break the programs while they write, and see what is left.

    python tools/judge_faults.py [--kills N] FOLDER_OF_PROGRAMS EXAMPLE_MODEL SMALL_MODEL

Whatever happens, what has the output's name is what was there before, or all of the new one. Tried are:

1. Limits: no file may grow beyond n bytes, for every n up to the size of the output. A write fails
   then, or where that is what the signal does, the program is ended by it in the middle.
2. A full disk: a file system of 64 KiB, where this process may mount one.
3. kill -9: N times (1,000) while the example model is packed over an older archive, and N / 4 times
   while a folder is unpacked over an older one, after a random time.
4. Its own input: packing, unpacking and pruning over the file that is read.

No temporary file stays behind after a failure that the program sees. After kill -9 next to none does
where files need no name (Linux); a folder that is being filled has one.

One line is printed for each check, and `N passed, M failed` at the end. Exit status: 0 all
passed, 1 some failed, 2 wrong usage.
"""

import argparse
import filecmp
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


class Broken(Exception):
    """What has an output's name is neither the old nor the new one, or something was left behind."""


class Programs:
    def __init__(self, folder):
        self.folder = folder

    def command(self, name, *arguments):
        return [str(self.folder / f"tfzip-{name}"), "--quiet", "--threads", "1", *map(str, arguments)]

    def run(self, name, *arguments, **how):
        command = self.command(name, *arguments)
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **how)

    def make(self, name, *arguments):
        """Runs a program that must succeed."""
        done = self.run(name, *arguments)
        if done.returncode:
            raise Broken(f"{name}: {done.stderr.decode().strip()}")


def contents(path):
    """What is at `path`: bytes, or a dict of them for a folder."""
    if path.is_dir():
        files = (file for file in sorted(path.rglob("*")) if file.is_file())
        return {str(file.relative_to(path)): file.read_bytes() for file in files}
    return path.read_bytes()


def size(made):
    return max(map(len, made.values())) if isinstance(made, dict) else len(made)


def others(output):
    """Names beside the output."""
    return sorted(path.name for path in output.parent.iterdir() if path != output)


class Case:
    """A program that replaces an output, in a folder of its own. `old` and `new` make a path of what
    was there before, and of what the program makes."""

    def __init__(self, programs, name, arguments, old, folder):
        self.programs, self.name, self.old = programs, name, old
        folder.mkdir()
        self.output = folder / "output"
        self.arguments = [*arguments, self.output]
        programs.make(name, *self.arguments)
        self.new_contents = contents(self.output)
        self.old_contents = contents(old)
        if self.old_contents == self.new_contents:
            raise Broken("old and new are the same")

    def reset(self):
        if self.output.is_dir():
            shutil.rmtree(self.output)
            shutil.copytree(self.old, self.output)
        else:
            self.output.write_bytes(self.old_contents)

    def check(self, what, may_leave=False):
        """Says whether the output is the new one."""
        if not self.output.exists():
            raise Broken(f"{what}: no output")
        found = contents(self.output)
        if found not in (self.old_contents, self.new_contents):
            raise Broken(f"{what}: the output is neither the old nor the new one")
        left = others(self.output)
        if left and not may_leave:
            raise Broken(f"{what}: {left} left behind")
        return found == self.new_contents


def limited(case, ignored):
    """No file may grow beyond n bytes; the signal that tells so is ignored, or ends the program."""
    last = size(case.new_contents)
    n_failed = 0
    for limit in range(last + 1):
        case.reset()

        def before():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN if ignored else signal.SIG_DFL)

        done = case.programs.run(
            case.name, "--force", *case.arguments, preexec_fn=before, restore_signals=False
        )
        is_folder = isinstance(case.new_contents, dict)
        is_new = case.check(f"{limit} bytes", may_leave=is_folder and not ignored)
        for name in others(case.output):
            shutil.rmtree(case.output.parent / name)
        if is_new != (done.returncode == 0):
            raise Broken(f"{limit} bytes: status {done.returncode}, new output: {is_new}")
        if ignored and not is_new and b"output" not in done.stderr:
            raise Broken(f"{limit} bytes: {done.stderr.decode()}")
        n_failed += not is_new
    if is_new is False or n_failed < last:
        raise Broken(f"{n_failed} of {last + 1} runs failed")
    return f"{last + 1} limits, {n_failed} failures"


def killed(case, times):
    """kill -9 after a random time, up to what makes a third of the runs end before it, whatever else the machine does."""
    case.reset()
    start = time.perf_counter()
    case.programs.make(case.name, "--force", *case.arguments)
    longest = time.perf_counter() - start
    n_runs = n_new = n_killed = n_left = 0
    chance = random.Random(times)
    case.reset()
    while n_killed < times:
        command = case.programs.command(case.name, "--force", *case.arguments)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, longest))
        process.kill()
        was_killed = process.wait() == -signal.SIGKILL
        longest *= 1.03 if was_killed else 0.94
        is_new = case.check("killed", may_leave=True)
        for name in others(case.output):
            n_left += 1
            left = case.output.parent / name
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        if is_new:
            case.reset()
        n_runs, n_killed, n_new = n_runs + 1, n_killed + was_killed, n_new + is_new
        if n_runs > 9 * times:
            raise Broken(f"{n_killed} of {n_runs} were killed: nothing was tried")
    if n_new == 0:
        raise Broken(f"none of {n_runs} was done: nothing was tried")
    # Between getting a name and the right one, there is one.
    is_folder = isinstance(case.new_contents, dict)
    if not is_folder and sys.platform == "linux" and n_left > n_killed / 20:
        raise Broken(f"{n_left} temporary files")
    return f"{n_runs} runs, {n_killed} killed, {n_new} with the new output, 0 broken, {n_left} temporary"


def on_full_disk(programs, model, folder):
    """A model of more bytes than there is room for."""
    disk = folder / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True
    )
    if mount.returncode:
        return None
    try:
        archive = folder / "full.tfz"
        programs.make("pack", "--force", model, archive)
        for name, source in (("unpack", archive), ("prune", model)):
            output = disk / "output"
            output.write_bytes(b"old")
            rule = ["--rule", "sparsity:0.5"] if name == "prune" else []
            done = programs.run(name, "--force", *rule, source, output)
            if done.returncode == 0 or b"output" not in done.stderr:
                raise Broken(f"{name}: status {done.returncode}: {done.stderr.decode()}")
            if output.read_bytes() != b"old" or others(output):
                raise Broken(f"{name}: {others(output)} beside the output, or it is another")
        return "2 programs fail, say so, and leave what there was"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def over_its_input(programs, model, folder):
    """Programs whose output is their input."""
    archive, place = folder / "input.tfz", folder / "in-place"
    programs.make("pack", model, archive)
    shutil.copy(model, place)
    programs.make("pack", "--force", place, place)
    if not filecmp.cmp(archive, place, shallow=False):
        # The name of the model stands in the archive.
        command = [str(programs.folder / "tfzip-verify"), str(place), "--against", str(model)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    programs.make("repack", "--force", "--profile", "small", place, place)
    programs.make("unpack", "--force", place, place)
    if not filecmp.cmp(model, place, shallow=False):
        raise Broken("unpacked over its own archive, the model is another")
    programs.make("prune", "--force", "--rule", "sparsity:0.5", place, folder / "pruned")
    programs.make("prune", "--force", "--rule", "sparsity:0.5", place, place)
    if not filecmp.cmp(folder / "pruned", place, shallow=False):
        raise Broken("pruned over its own input, the model is another")
    return "pack, repack, unpack and prune"


def checks(arguments, folder):
    """Names, and functions that say what they found, or raise Broken, or give None if skipped."""
    programs = Programs(arguments.programs)
    model, small = arguments.model, arguments.small

    def made(name, *how, of):
        path = folder / name
        programs.make(*how, of, path)
        return path

    older = folder / "older"
    older.write_bytes(b"an older file")
    archive = made("small.tfz", "pack", of=small)
    models = folder / "models"
    for name in ("a", "b/c"):
        (models / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(small, models / name)
    folder_archive = made("folder.tfz", "pack", of=models)
    older_models = folder / "older-models"
    older_models.mkdir()
    (older_models / "a").write_bytes(b"an older model")
    prune = ["--rule", "sparsity:0.5", "--min-elements", "1", "--include", "*", small]
    cases = {
        "pack": ("pack", [small], older),
        "unpack": ("unpack", [archive], older),
        "repack": ("repack", ["--profile", "small", archive], older),
        "prune": ("prune", prune, older),
        "unpack a folder": ("unpack", [folder_archive], older_models),
    }
    for title, (name, words, old) in cases.items():
        for ignored in (True, False):
            place = folder / f"{title.replace(' ', '-')}-{ignored}"
            how = "a write fails" if ignored else "a signal"
            yield (
                f"limits, {how}: {title}",
                lambda name=name, words=words, old=old, place=place, ignored=ignored: limited(
                    Case(programs, name, words, old, place), ignored
                ),
            )
    yield "a full disk", lambda: on_full_disk(programs, model, folder)
    yield "over its own input", lambda: over_its_input(programs, model, folder)
    kills = arguments.kills
    yield (
        "kill -9: pack",
        lambda: killed(Case(programs, "pack", [model], older, folder / "kill-pack"), kills),
    )
    yield (
        "kill -9: unpack a folder",
        lambda: killed(
            Case(programs, "unpack", [folder_archive], older_models, folder / "kill-unpack"),
            max(1, kills // 4),
        ),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("programs", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("small", type=Path)
    arguments = parser.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory(dir=".", prefix=".faults-") as folder:
        for name, check in checks(arguments, Path(folder).resolve()):
            try:
                found = check()
            except Broken as error:
                failed += 1
                print(f"FAILED {name}: {error}", flush=True)
                continue
            if found is None:
                print(f"skipped {name}: not allowed here", flush=True)
                continue
            passed += 1
            print(f"passed {name}: {found}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
