"""Times products on encoded rows beside the dense product by NumPy's BLAS on one thread, in turn.

    bench_product.py LIBRARY PACK TENSOR.npy... [--rounds N] [--profiles direct,balanced]

LIBRARY is target/release/examples/libtfzip_product.so, PACK is tfzip-pack; each TENSOR.npy (of
float32, folded to a matrix) is packed with every profile into the folder that it lies in. A round makes each product
once: dense, and encoded on one thread and on two, of a mapped file whose blocks were checked by a
product before, on threads that have just had something to do, as those of an app between two layers; one of two is
the caller's. What is printed is the median, the least, and the median of the ratios to the dense product of the same
round. Results are compared with those in float64.
"""
import argparse
import concurrent.futures
import ctypes
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy as np

FLOATS = np.ctypeslib.ndpointer(np.float32, flags="C_CONTIGUOUS")


def varint(n):
    out = bytearray()
    while True:
        out.append(n & 0x7F | (0x80 if n > 0x7F else 0))
        n >>= 7
        if not n:
            return bytes(out)


def field(number, content):
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def graph(name, array):
    """A GraphDef with one constant."""
    shape = b"".join(field(2, field(1, n)) for n in array.shape)
    tensor = field(1, 1) + field(2, shape) + field(4, array.tobytes())
    attrs = [(b"dtype", field(6, 1)), (b"value", field(8, tensor))]
    attrs = b"".join(field(5, field(1, key) + field(2, value)) for key, value in attrs)
    return field(1, field(1, name) + field(2, b"Const") + attrs)


def pack(pack_program, path, array, profile):
    tfz = path.with_name(f"{path.stem}-{profile}.tfz")
    if not tfz.exists():
        model = path.with_suffix(".pb")
        model.write_bytes(graph(path.stem.encode(), array))
        subprocess.run([pack_program, "--quiet", "--profile", profile, model, tfz], check=True)
        model.unlink()
    return tfz


def within_bound(result, weights, x):
    """Whether a result is within 4·ε·Σ|w·x|; column by column, in float64."""
    for start in range(0, weights.shape[1], 512):
        part = weights[:, start : start + 512].astype(np.float64)
        x64 = x.astype(np.float64)
        error = np.abs(x64 @ part - result[start : start + 512])
        bound = 4 * np.finfo(np.float32).eps * (np.abs(x64) @ np.abs(part))
        if not (error <= bound).all():
            return False
    return True


def start_threads(library, n):
    """Starts `n` threads, of which this is one, on a processor each: the system may wake up two on the same one, and
    needs longer than a product to see that another has nothing to do."""
    before = set(os.listdir("/proc/self/task"))
    library.product_wake(n)
    started = set(os.listdir("/proc/self/task")) - before
    processors = sorted(os.sched_getaffinity(0))
    for i, thread in enumerate([threading.get_native_id(), *sorted(map(int, started))]):
        os.sched_setaffinity(thread, {processors[i % len(processors)]})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("pack")
    parser.add_argument("tensors", nargs="+", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--profiles", default="direct,balanced")
    args = parser.parse_args()
    library = ctypes.CDLL(os.path.abspath(args.library))
    library.product_open.restype = ctypes.c_void_p
    library.product_open.argtypes = [ctypes.c_char_p, ctypes.c_uint64, ctypes.c_uint64]
    library.product_multiply.restype = ctypes.c_int64
    library.product_multiply.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, FLOATS, FLOATS, ctypes.c_uint64, ctypes.c_uint32,
    ]
    library.product_wake.restype = None
    library.product_wake.argtypes = [ctypes.c_uint32]
    # Who has called with a number of threads is one of them from then on.
    callers = {n: concurrent.futures.ThreadPoolExecutor(1) for n in (1, 2)}
    for n, caller in callers.items():
        caller.submit(start_threads, library, n).result()

    def timed(run, threads):
        library.product_wake(threads)
        start = time.perf_counter()
        n_bytes = run()
        return time.perf_counter() - start, n_bytes

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    print(f"NumPy {np.__version__} with {blas['name']} {blas['version']}, one thread")
    print(f"{'tensor':<16} {'product':<8} {'way':<14} {'median ms':>9} {'least':>7} {'x dense':>8} {'allocated':>10}")
    for path in args.tensors:
        array = np.load(path)
        weights = np.ascontiguousarray(array.reshape(-1, array.shape[-1]), np.float32)
        rows, columns = weights.shape
        rng = np.random.default_rng(1)
        for transposed in (1, 0):
            x = rng.standard_normal(rows if transposed else columns, dtype=np.float32)
            y = np.empty(columns if transposed else rows, np.float32)
            n_threads = {"dense": 1}
            ways = {"dense": lambda: (x @ weights if transposed else weights @ x, 0)[1]}
            for profile in args.profiles.split(","):
                tfz = pack(args.pack, path, array, profile)
                matrix = library.product_open(os.fsencode(tfz), rows, columns)
                assert matrix, f"no such matrix in {tfz}"
                for threads in (1, 2):
                    def run(matrix=matrix, threads=threads):
                        return library.product_multiply(matrix, transposed, x, y, 1, threads)
                    n_threads[f"{profile} -T {threads}"] = threads
                    ways[f"{profile} -T {threads}"] = run
                    assert callers[threads].submit(timed, run, threads).result()[1] >= 0
                    if transposed:
                        assert within_bound(y, weights, x), (path, profile)
            seconds = {way: [] for way in ways}
            allocated = dict.fromkeys(ways, 0)
            for _ in range(args.rounds):
                for way, run in ways.items():
                    n = n_threads[way]
                    took, n_bytes = callers[n].submit(timed, run, n).result()
                    seconds[way].append(took)
                    allocated[way] = max(allocated[way], n_bytes)
            for way, times in seconds.items():
                ratio = statistics.median(d / t for d, t in zip(seconds["dense"], times))
                print(
                    f"{path.stem:<16} {'x·W' if transposed else 'W·x':<8} {way:<14} {statistics.median(times) * 1e3:>9.2f} "
                    f"{min(times) * 1e3:>7.2f} {ratio:>8.2f} {allocated[way]:>10}",
                    flush=True,
                )


if __name__ == "__main__":
    sys.exit(main())
