#!/usr/bin/env python3
"""Loads every shared object of ext.json as a harness does: a pruned tensor must come back bit for
bit, and a damaged byte must be found. Runs in the root of the repository; needs no packages."""

import ctypes
import json
import pathlib
import random
import struct


def check(name, path):
    lib = ctypes.CDLL(path)
    lib.peer_encode.restype = ctypes.c_int64
    lib.peer_decode.restype = ctypes.c_int32
    rows, columns = 120, 100
    n = rows * columns
    rng = random.Random(1)
    weights = [rng.gauss(0, 0.1) if rng.random() < 0.1 else rng.choice((0.0, 0.0, -0.0)) for _ in range(n)]
    dense = struct.pack(f"<{n}f", *weights)
    shape = (ctypes.c_uint64 * 2)(rows, columns)
    cap = len(dense) * 2
    record = ctypes.create_string_buffer(cap)
    length = lib.peer_encode(dense, shape, ctypes.c_uint32(2), record, ctypes.c_uint64(cap))
    assert 0 < length < len(dense) // 2, f"{name}: encoded to {length} bytes"

    def decode(encoded):
        out = ctypes.create_string_buffer(b"\x07" * len(dense), len(dense))
        status = lib.peer_decode(encoded, ctypes.c_uint64(len(encoded)), out, ctypes.c_uint64(n))
        return status, out.raw

    encoded = record.raw[:length]
    status, out = decode(encoded)
    assert status == 0 and out == dense, f"{name}: decoded with status {status}, same: {out == dense}"
    damaged = bytearray(encoded)
    damaged[length // 2] ^= 0x10
    assert decode(bytes(damaged))[0] != 0, f"{name}: a damaged byte was not found"
    short = lib.peer_encode(dense, shape, ctypes.c_uint32(2), record, ctypes.c_uint64(length - 1))
    assert short == -1, f"{name}: {length} bytes went into {length - 1}"
    print(f"{name}: {len(dense)} => {length} bytes and back")


if __name__ == "__main__":
    for entry in json.loads((pathlib.Path(__file__).parent / "ext.json").read_text()):
        check(entry["name"], entry["lib"])
