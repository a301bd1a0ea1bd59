#!/usr/bin/env python3
"""A reader of .tfz files, written from spec/FORMAT.md and from nothing else.

    tfz.py list IN [--json]              files and tensors
    tfz.py restore IN OUT                the model file, or a folder of several
    tfz.py tensor IN NAME OUT            one tensor: dense, raw, little-endian
    tfz.py check IN [--against MODEL]    everything that the spec lets one check
    tfz.py vectors DIR [--spec FORMAT]   the conformance vectors, and the examples of §14

It is plain on purpose: to be read beside the spec, section by section, and to disagree with tfzip
where one of the two is wrong. It needs Python 3.10, the packages `numpy` and `zstandard`, and a
little-endian machine.

Exit status: 0; 1 the file is refused, or a vector failed; 2 wrong usage.
"""

import argparse
import hashlib
import json
import math
import os
import re
import shutil
import sys
import zlib
from itertools import accumulate, islice
from pathlib import Path

import numpy as np
import zstandard

# §11: the defaults of the tfzip library
MAX_MANIFEST_BYTES = 256 << 20
MAX_ROWS = 1 << 20
MAX_ROWS_OF_HOLES_AND_DIMS = 1 << 24
MAX_RANK = 254
MAX_NAME_BYTES = 65_535
MAX_TENSOR_BYTES = 1 << 36
MAX_EXPANSION = 1 << 20
MAX_NESTING = 64
MAX_RESTORED_BYTES = 1 << 38


# --- §1 Conventions ---------------------------------------------------------------------------

TRUNCATED, CORRUPT, UNSUPPORTED, LIMIT = "truncated", "corrupt", "unsupported", "limit-exceeded"


class TfzError(Exception):
    """§1.3: why a file is refused; `kind` is one of the four above."""

    def __init__(self, kind, where, detail):
        super().__init__(f"{kind}: {where}: {detail}")
        self.kind, self.where, self.detail = kind, where, detail


def reject(kind, where, detail):
    raise TfzError(kind, where, detail)


def require(holds, where, detail):
    """§1.1: where a rule says only MUST, a reader that finds it broken rejects with corrupt."""
    if not holds:
        reject(CORRUPT, where, detail)


def limit(value, most, where, what):
    if value > most:
        reject(LIMIT, where, f"{what} is {value}, the limit {most}")


def uint(data):
    """§1.2: u8, u16, u32, u64 and element patterns."""
    return int.from_bytes(data, "little")


class Reader:
    """Takes bytes from the front of `data`, which is a whole part of the file: running out of
    bytes here means that the part does not hold what it says, which is corrupt."""

    def __init__(self, data, where):
        self.data, self.where, self.at = data, where, 0

    def left(self):
        return len(self.data) - self.at

    def take(self, size):
        if size > self.left():
            reject(CORRUPT, self.where, f"needs {size} bytes at {self.at}, has {self.left()}")
        self.at += size
        return self.data[self.at - size : self.at]

    def u8(self):
        return self.take(1)[0]

    def varint(self, shortest=True):
        """§1.2. Protocol Buffers do not ask for the shortest form."""
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            require(shift < 70, self.where, "a varint of more than 10 bytes")
        require(value < 1 << 64, self.where, "a varint of 2^64 or more")
        require(byte or not shift or not shortest, self.where, "a varint longer than it needs")
        return value

    def end(self, what):
        require(self.left() == 0, self.where, f"{self.left()} bytes follow {what}")


def check_crc(body, stored, where):
    """§1.4."""
    actual = zlib.crc32(body)
    require(actual == uint(stored), where, f"CRC-32 is {actual:08x}, not {uint(stored):08x}")


def split_crc(data, where):
    """The part before a CRC-32 that ends `data`."""
    require(len(data) >= 4, where, f"{len(data)} bytes are too few for a CRC-32")
    check_crc(data[:-4], data[-4:], where)
    return data[:-4]


# --- §3 Header, §5 Footer and manifest --------------------------------------------------------

MAGIC = bytes.fromhex("8954465A0D0A1A0A")
END_MAGIC = bytes.fromhex("5A465489")
HEADER_BYTES, FOOTER_BYTES = 24, 32


def read_header(data):
    """§2 and §3."""
    if data[:8] != MAGIC[: len(data)]:
        reject(CORRUPT, "header", "not a .tfz file")
    if len(data) < HEADER_BYTES + FOOTER_BYTES:
        reject(TRUNCATED, "header", f"the file has {len(data)} bytes")
    header = split_crc(data[:HEADER_BYTES], "header")
    version, reserved, features = uint(header[8:10]), uint(header[10:12]), uint(header[12:20])
    if version != 1:
        reject(UNSUPPORTED, "header", f"version {version}")
    if reserved != 0:
        reject(UNSUPPORTED, "header", f"reserved value {reserved:#x}")
    if features != 0:
        reject(UNSUPPORTED, "header", f"required features {features:#x}")


def read_footer(data):
    """§5.1: the decoded manifest, and the offset at which it starts in the file."""
    footer = data[-FOOTER_BYTES:]
    if footer[28:] != END_MAGIC:
        reject(TRUNCATED, "footer", "no end magic; the file is cut, or something follows it")
    check_crc(footer[:24], footer[24:28], "footer")
    coding = uint(footer[20:24])
    if coding not in (0, 1):
        reject(UNSUPPORTED, "footer", f"manifest coding {coding}")
    stored_bytes, manifest_bytes = uint(footer[0:8]), uint(footer[8:16])
    end = len(data) - FOOTER_BYTES
    require(stored_bytes <= end - HEADER_BYTES, "footer", "the manifest starts before offset 24")
    limit(manifest_bytes, MAX_MANIFEST_BYTES, "footer", "the length of the manifest")
    stored = data[end - stored_bytes : end]
    check_crc(stored, footer[16:20], "manifest")
    if coding == 1:
        return zstd(stored, manifest_bytes, "manifest"), end - stored_bytes
    require(stored_bytes == manifest_bytes, "footer", "the lengths of the manifest differ")
    return stored, end - stored_bytes


# manifest.proto: (field, type) in the order of the numbers, from 1
FIELDS = (
    ("file_name", "string"), ("file_bytes", 64), ("file_sha256", "bytes"),
    ("file_source_sha256", "bytes"), ("file_holes", 64),
    ("hole_gap", 64), ("hole_payload", 64),
    ("section_kind", 32), ("section_bytes", 64), ("section_align", 32), ("section_payloads", 64),
    ("payload_width", 32), ("payload_elements", 64), ("payload_columns", 64),
    ("payload_stored_bytes", 64), ("payload_table_bytes", 64), ("payload_blocks", 64),
    ("tensor_name", "string"), ("tensor_file", 32), ("tensor_dtype", 32), ("tensor_rank", 32),
    ("tensor_dim", 64), ("tensor_source", 32), ("tensor_at", 64), ("tensor_repeats", 64),
    ("tensor_nnz", 64), ("empty_folder", "string"), ("is_folder", "bool"), ("profile", "uint32"),
)  # fmt: skip
VARINT, FIXED64, BYTES, GROUP, END_GROUP, FIXED32 = range(6)


def skip_field(reader, number, wire, depth=0):
    """A field that this version does not know (§5.2)."""
    require(depth < 100, reader.where, "groups nested too deep")
    if wire == VARINT:
        reader.varint(shortest=False)
    elif wire == FIXED64:
        reader.take(8)
    elif wire == BYTES:
        reader.take(reader.varint(shortest=False))
    elif wire == FIXED32:
        reader.take(4)
    else:
        require(wire == GROUP, reader.where, f"field {number} has wire type {wire}")
        while True:
            inner, wire = divmod(reader.varint(shortest=False), 8)
            require(inner, reader.where, "field 0")
            if wire == END_GROUP:
                require(inner == number, reader.where, f"group {number} ends as group {inner}")
                return
            skip_field(reader, inner, wire, depth + 1)


def read_column(packed, into, bits, most, name):
    """A packed column, or one more piece of it."""
    rows = len(packed.translate(None, bytes(range(128, 256))))  # a byte below 128 ends a value
    limit(len(into) + rows, most, "manifest", f"the number of rows of {name}")
    if rows == len(packed):
        into.extend(packed)
        return
    reader = Reader(packed, "manifest")
    while reader.left():
        into.append(reader.varint(shortest=False))
        require(into[-1] < 1 << bits, "manifest", f"{name} is {into[-1]}, a {bits}-bit number")


def read_manifest(data):
    """§5.2: a dict of the columns."""
    empty = {"bytes": b"", "bool": False, "uint32": 0}
    manifest = {name: empty[kind] if kind in empty else [] for name, kind in FIELDS}
    reader = Reader(data, "manifest")
    while reader.left():
        number, wire = divmod(reader.varint(shortest=False), 8)
        require(0 < number < 1 << 29, "manifest", f"field {number}")
        if number > len(FIELDS):
            skip_field(reader, number, wire)
            continue
        name, kind = FIELDS[number - 1]
        allowed = {"bytes": (BYTES,), "string": (BYTES,), "bool": (VARINT,), "uint32": (VARINT,)}
        allowed = allowed.get(kind, (BYTES, VARINT))
        require(wire in allowed, "manifest", f"{name} has wire type {wire}")
        if kind == "bool":
            manifest[name] = reader.varint(shortest=False) != 0
            continue
        if kind == "uint32":
            manifest[name] = reader.varint(shortest=False)
            require(manifest[name] < 1 << 32, "manifest", f"{name} is {manifest[name]}")
            continue
        if wire == VARINT:
            value = reader.varint(shortest=False)
            require(value < 1 << kind, "manifest", f"{name} is {value}, a {kind}-bit number")
            manifest[name].append(value)
            continue
        content = reader.take(reader.varint(shortest=False))
        many = name.startswith("hole_") or name == "tensor_dim"
        most = MAX_ROWS_OF_HOLES_AND_DIMS if many else MAX_ROWS
        if kind == "bytes":
            limit(len(content) // 32, most, "manifest", f"the number of rows of {name}")
            manifest[name] = content
        elif kind == "string":
            limit(len(manifest[name]) + 1, most, "manifest", f"the number of rows of {name}")
            limit(len(content), MAX_NAME_BYTES, "manifest", f"the length of a {name}")
            try:
                manifest[name].append(content.decode("utf-8"))
            except UnicodeDecodeError:
                reject(CORRUPT, "manifest", f"a {name} is not UTF-8")
        else:
            read_column(content, manifest[name], kind, most, name)
    check_columns(manifest)
    return manifest


def check_columns(m):
    """§5.2: the columns of a table have equally many values."""
    for table in ("file", "hole", "section", "payload", "tensor"):
        columns = [n for n, kind in FIELDS if n.startswith(table + "_") and kind != "bytes"]
        columns = [n for n in columns if n != "tensor_dim"]
        for name in columns[1:]:
            have, need = len(m[name]), len(m[columns[0]])
            require(have == need, "manifest", f"{name} has {have} rows, {columns[0]} {need}")
    files = len(m["file_name"])
    require(len(m["file_sha256"]) == 32 * files, "manifest", "file_sha256 is not 32 bytes a file")
    source = len(m["file_source_sha256"])
    require(source in (0, 32 * files), "manifest", "file_source_sha256 is not 32 bytes a file")
    have, need = len(m["hole_gap"]), sum(m["file_holes"])
    require(have == need, "manifest", f"{have} holes, file_holes add up to {need}")


# --- §4 Sections ------------------------------------------------------------------------------

SKELETON_FRAME, PAYLOADS = 1, 2


def read_sections(m, manifest_start):
    """§4 and §8: (padding ranges, skeleton frame ranges, payload record ranges)."""
    padding, frames, records = [], [], []
    end = HEADER_BYTES
    columns = ("section_kind", "section_bytes", "section_align", "section_payloads")
    for i, (kind, size, align, payloads) in enumerate(zip(*(m[name] for name in columns))):
        where = f"section {i}"
        if kind not in (SKELETON_FRAME, PAYLOADS):
            reject(UNSUPPORTED, where, f"section kind {kind}")
        require(align <= 12, where, f"section_align is {align}")
        start = -(-end // (1 << align)) * (1 << align)  # the next multiple
        padding.append((end, start))
        end = start + size
        if kind == SKELETON_FRAME:
            require(payloads == 0, where, f"a skeleton frame with {payloads} payloads")
            frames.append((start, end))
            continue
        require(payloads > 0, where, "no payload in a section of payloads")
        sizes = m["payload_stored_bytes"][len(records) : len(records) + payloads]
        require(len(sizes) == payloads, where, "more payloads than the payload table has")
        require(sum(sizes) == size, where, f"payloads of {sum(sizes)} bytes in {size} bytes")
        for size in sizes:
            records.append((start, start + size))
            start += size
    require(
        end == manifest_start, "sections", f"end at {end}, the manifest starts at {manifest_start}"
    )
    have, need = len(records), len(m["payload_width"])
    require(have == need, "sections", f"hold {have} payloads, the payload table {need}")
    return padding, frames, records


# --- §6 Files ---------------------------------------------------------------------------------

FRAME_BYTES = 1 << 20
RESERVED_NAME = re.compile(
    r"(CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(\..*)?", re.IGNORECASE | re.ASCII | re.DOTALL
)


def check_file_names(names):
    """§6.1 and §6.4: of files and empty folders."""
    seen, folders = set(), set()
    for f, name in enumerate(names):
        where = f"name {f}"
        limit(name.count("/"), MAX_NESTING, where, "the number of folders in it")
        for part in name.split("/"):
            require(part not in ("", ".", ".."), where, f"name {name!r} has an empty or dot part")
            require(part[-1] not in " .", where, f"a part of {name!r} ends in a space or a dot")
            bad = [c for c in part if c < " " or c in '\\:<>"|?*']
            require(not bad, where, f"name {name!r} has a character that is not allowed")
            require(not RESERVED_NAME.fullmatch(part), where, f"name {name!r} has a reserved part")
        lower = name.lower()
        require(lower not in seen, where, f"name {name!r} stands twice")
        seen.add(lower)
        parts = lower.split("/")
        folders.update("/".join(parts[:i]) for i in range(1, len(parts)))
    for name in names:
        require(name.lower() not in folders, "files", f"{name!r} is a file and a folder")


def read_files(m):
    """§6.1: for every file (start of its skeleton, [(gap, payload), ...], skeleton bytes after
    the last hole)."""
    check_file_names(m["file_name"] + m["empty_folder"])
    sizes = [w * n for w, n in zip(m["payload_width"], m["payload_elements"])]
    holes = enumerate(zip(m["hole_gap"], m["hole_payload"]))
    files, used, at = [], 0, 0
    for f, (file_bytes, file_holes) in enumerate(zip(m["file_bytes"], m["file_holes"])):
        segments, left, skeleton_start = [], file_bytes, at
        for hole, (gap, payload) in islice(holes, file_holes):
            require(payload <= used, f"hole {hole}", f"names payload {payload} before {used}")
            require(payload < len(sizes), f"hole {hole}", f"there is no payload {payload}")
            used = max(used, payload + 1)
            left -= gap + sizes[payload]
            at += gap
            require(left >= 0, f"hole {hole}", f"ends past the {file_bytes} bytes of file {f}")
            segments.append((gap, payload))
        at += left
        files.append((skeleton_start, segments, left))
    require(used == len(sizes), "files", f"no hole uses payload {used}")
    return files, at


def read_frame(data, size, where):
    """§6.2: a frame of `size` decoded bytes from its section."""
    body = split_crc(data, where)
    require(len(body) <= size, where, f"a body of {len(body)} bytes for a frame of {size}")
    return body if len(body) == size else zstd(body, size, where)


# --- §7 Tensors -------------------------------------------------------------------------------

# §7.2: id: (name, width)
DTYPES = {
    1: ("float32", 4), 2: ("float64", 8), 3: ("int32", 4), 4: ("uint8", 1), 5: ("int16", 2),
    6: ("int8", 1), 7: ("string", 0), 8: ("complex64", 8), 9: ("int64", 8), 10: ("bool", 1),
    11: ("qint8", 1), 12: ("quint8", 1), 13: ("qint32", 4), 14: ("bfloat16", 2),
    15: ("qint16", 2), 16: ("quint16", 2), 17: ("uint16", 2), 18: ("complex128", 16),
    19: ("float16", 2), 20: ("resource", 0), 21: ("variant", 0), 22: ("uint32", 4),
    23: ("uint64", 8), 24: ("float8_e5m2", 1), 25: ("float8_e4m3fn", 1),
    26: ("float8_e4m3fnuz", 1), 27: ("float8_e4m3b11fnuz", 1), 28: ("float8_e5m2fnuz", 1),
    29: ("int4", 0), 30: ("uint4", 0), 31: ("int2", 0), 32: ("uint2", 0), 33: ("float4_e2m1fn", 0),
}  # fmt: skip
SIGNED_ZERO = {"float16", "bfloat16", "float32", "float64", "float8_e5m2", "float8_e4m3fn"}
OPAQUE, PAYLOAD, SKELETON = range(3)
SOURCES = ("opaque", "payload", "skeleton")


def check_tensor(tensor, m, skeleton_bytes):
    """§7.3."""
    where = f"tensor {tensor.index}"
    require(tensor.file < len(m["file_name"]), where, f"there is no file {tensor.file}")
    require(max((tensor.n, *tensor.shape)) < 1 << 63, where, "a shape of 2^63 or more")
    require(tensor.repeats <= tensor.n, where, f"{tensor.repeats} repeats of {tensor.n} elements")
    require(tensor.width or tensor.source == OPAQUE, where, f"{tensor.dtype} is always opaque")
    if tensor.source == OPAQUE:
        nothing = (tensor.at, tensor.repeats, tensor.nnz) == (0, 0, 0)
        require(nothing, where, "an opaque tensor with an offset, repeats or nnz")
    elif tensor.source == PAYLOAD:
        require(tensor.at < len(m["payload_width"]), where, f"there is no payload {tensor.at}")
        width, elements = m["payload_width"][tensor.at], m["payload_elements"][tensor.at]
        require(width == tensor.width, where, f"{tensor.dtype} in a payload of width {width}")
        require(
            elements == tensor.stored, where, f"{tensor.stored} elements, the payload {elements}"
        )
    else:
        end = tensor.at + tensor.stored * tensor.width
        require(end <= skeleton_bytes, where, f"ends at {end} of {skeleton_bytes} skeleton bytes")


class Tensor:
    """A row of the tensor table (§7)."""

    def __init__(self, index, name, file, dtype, shape, source, at, repeats, nnz):
        if dtype not in DTYPES:
            reject(UNSUPPORTED, f"tensor {index}", f"dtype {dtype}")
        if source >= len(SOURCES):
            reject(UNSUPPORTED, f"tensor {index}", f"tensor source {source}")
        self.index, self.name, self.file, self.shape = index, name, file, shape
        self.dtype, self.width = DTYPES[dtype]
        self.source, self.at, self.repeats, self.nnz = source, at, repeats, nnz
        self.n = math.prod(shape)
        self.stored = self.n - repeats


def read_tensors(m, skeleton_bytes):
    ranks, dims = m["tensor_rank"], m["tensor_dim"]
    for i, rank in enumerate(ranks):
        limit(rank, MAX_RANK, f"tensor {i}", "the rank")
    require(sum(ranks) == len(dims), "manifest", f"{len(dims)} dims, ranks add up to {sum(ranks)}")
    shapes = [dims[end - rank : end] for rank, end in zip(ranks, accumulate(ranks))]
    columns = ("tensor_source", "tensor_at", "tensor_repeats", "tensor_nnz")
    rows = zip(m["tensor_name"], m["tensor_file"], m["tensor_dtype"], shapes, *map(m.get, columns))
    tensors = [Tensor(i, *row) for i, row in enumerate(rows)]
    for tensor in tensors:
        check_tensor(tensor, m, skeleton_bytes)
    return tensors


def count_nnz(dtype, width, data):
    """§7.4: the elements that are not numerically zero."""
    if dtype.startswith("complex"):
        parts = np.frombuffer(data, f"<u{width // 2}")
        parts = (parts & ((1 << 4 * width - 1) - 1)).reshape(-1, 2)
        return int(np.count_nonzero(parts.any(axis=1)))
    ignored = 1 if dtype in SIGNED_ZERO else 0
    rest = (1 << 8 * width - ignored) - 1
    return int(np.count_nonzero(np.frombuffer(data, f"<u{width}") & rest))


# --- §8 Payloads ------------------------------------------------------------------------------

MAX_BLOCK_ELEMENTS, MAX_BLOCK_BYTES = 1 << 22, 1 << 24
MIN_BLOCK_BYTES = 6


class Payload:
    """A row of the payload table (§8)."""

    def __init__(self, index, width, elements, columns, stored_bytes, table_bytes, blocks):
        where = self.where = f"payload {index}"
        require(width in (1, 2, 4, 8, 16), where, f"a width of {width}")
        require(elements > 0, where, "no elements")
        require(
            columns > 0 and elements % columns == 0,
            where,
            f"{elements} elements in {columns} columns",
        )
        require(0 < blocks <= elements, where, f"{blocks} blocks of {elements} elements")
        self.directory_bytes = 16 * (blocks - 1) + 4 if blocks > 1 else 0
        self.blocks_bytes = stored_bytes - table_bytes - self.directory_bytes
        fits = self.blocks_bytes >= MIN_BLOCK_BYTES * blocks
        require(fits, where, f"{stored_bytes} bytes do not hold {blocks} blocks and the rest")
        self.width, self.elements, self.columns = width, elements, columns
        self.table_bytes, self.blocks = table_bytes, blocks


def read_payloads(m):
    names = [name for name, _ in FIELDS if name.startswith("payload_")]
    return [Payload(i, *row) for i, row in enumerate(zip(*map(m.get, names)))]


class Tables:
    """§8.2: what the blocks of a payload of `width` bytes an element in `columns` columns share."""

    def __init__(self, width, columns):
        self.width, self.columns = width, columns
        self.background = bytes(width)
        self.codebook = None  # an array of patterns
        self.classes = None
        self.coder = None
        self.aligned = False


def read_tables(data, payload):
    tables = Tables(payload.width, payload.columns)
    if not data:
        return tables
    where, width = payload.where + ", tables", payload.width
    reader = Reader(split_crc(data, where), where)
    flags = reader.u8()
    if flags & ~0x1F:
        reject(UNSUPPORTED, where, f"flags {flags:#04x}")
    if flags & 1:
        tables.background = reader.take(width)
    if flags & 2:
        book = reader.take((reader.u8() + 1) * width)
        words = [uint(book[i : i + width]) for i in range(0, len(book), width)]
        ascending = all(a < b for a, b in zip(words, words[1:]))
        require(ascending, where, "the codebook is not strictly ascending")
        tables.codebook = np.frombuffer(book, f"V{width}")
    if flags & 4:
        tables.classes = read_classes(reader, payload.columns)
    if flags & 8:
        tables.coder = read_value_coder(reader, tables)
    if flags & 12:
        read_bins_and_codes(reader, tables)
    tables.aligned = bool(flags & 16)
    if tables.aligned:
        read_padding(reader)
    reader.end("the tables")
    return tables


def read_padding(reader):
    """§8.2 and §9: zero bytes up to 4 bytes before a multiple of 8, where the CRC-32 is."""
    padding = reader.take(-(reader.at + 4) % 8)
    require(not any(padding), reader.where, "the padding is not zero")


FORM_NONE, FORM_ALL, FORM_BITMAP, FORM_CODED_BITMAP, FORM_CODED_STEPS, FORM_HOLES = range(6)
FORMS_WITH_CODES = (FORM_CODED_BITMAP, FORM_CODED_STEPS)
BY_SET_BITS = sorted(range(256), key=lambda symbol: (symbol.bit_count(), symbol))


class Part:
    """§8.2.1: the form of what the rows of one class have in the columns of one class."""

    def __init__(self, reader):
        form = reader.u8()
        self.form, self.low_bits = form & 15, form >> 4
        if self.form > FORM_HOLES or (self.low_bits and self.form != FORM_CODED_STEPS):
            reject(UNSUPPORTED, reader.where, f"form {form:#04x} of a part")
        require(self.low_bits <= 8, reader.where, f"{self.low_bits} low bits of a part")
        self.order, self.code = BY_SET_BITS, None
        if self.form == FORM_CODED_STEPS:
            self.order = range(reader.u8() + 1)


class Classes:
    """§8.2.1: `rows` is K; `columns` the positions in a row of the columns of each class, None if
    K is 1; `parts` a list for each row class; `value_tables` the value table of each."""


def read_classes(reader, columns):
    numbers = reader.u8()
    k, c = (numbers & 15) + 1, (numbers >> 4) + 1
    require(k > 1 or c == 1, reader.where, f"{c} column classes and one row class")
    classes = Classes()
    classes.rows, classes.value_tables = k, [0] * k
    classes.columns = [np.arange(columns)] if k > 1 else None
    if c > 1:
        require(columns <= 65_536, reader.where, f"column classes of {columns} columns")
        of_column = read_stream(reader, columns, (c - 1).bit_length())
        require(of_column.max() < c, reader.where, f"column class {of_column.max()} of {c}")
        classes.columns = [np.flatnonzero(of_column == j) for j in range(c)]
    classes.parts = [[Part(reader) for _ in range(c)] for _ in range(k)]
    return classes


WINDOW, BINS, CODES = range(3)


class ValueCoder:
    """§8.2.2: `codes` are the value tables."""


def read_value_coder(reader, tables):
    where, bits = reader.where, 8 * tables.width
    require(tables.width <= 8, where, f"a value coder for {tables.width} bytes")
    head = reader.u8()
    coder = ValueCoder()
    coder.kind, coder.n_tables = head & 15, (head >> 4) + 1
    if coder.kind > CODES:
        reject(UNSUPPORTED, where, f"value coder {coder.kind}")
    if coder.n_tables > 1:
        require(tables.classes, where, "several value tables without classes")
        numbers = list(reader.take(tables.classes.rows))
        steps = [b - a for a, b in zip(numbers, numbers[1:])]
        require(
            numbers[0] == 0 and set(steps) <= {0, 1} and numbers[-1] == coder.n_tables - 1,
            where,
            f"value tables {numbers} of {coder.n_tables}",
        )
        tables.classes.value_tables = numbers
    if coder.kind == WINDOW:
        coder.rotation, coder.low_bits = reader.u8(), reader.u8()
        require(coder.rotation < bits, where, f"a rotation by {coder.rotation} of {bits} bits")
        fits = coder.low_bits < bits and coder.low_bits <= 56
        require(fits, where, f"{coder.low_bits} low bits of {bits}")
        coder.base = reader.varint()
        require(coder.base < 1 << bits - coder.low_bits, where, f"the base is {coder.base}")
        coder.n_symbols = reader.u8() + 1
    elif coder.kind == CODES:
        require(tables.codebook is not None, where, "codes without a codebook")
        coder.n_symbols = len(tables.codebook)
    return coder


def read_bins_and_codes(reader, tables):
    """§8.2: one sequence of bits."""
    bits = Bits(reader)
    if tables.coder and tables.coder.kind == BINS:
        read_bins(bits, tables.coder, 8 * tables.width)
    if tables.classes:
        for part in (part for row in tables.classes.parts for part in row):
            if part.form in FORMS_WITH_CODES:
                part.code = PrefixCode(bits, part.order)
    if tables.coder:
        order = range(tables.coder.n_symbols)
        tables.coder.codes = [PrefixCode(bits, order) for _ in range(tables.coder.n_tables)]
    bits.end()


def read_bins(bits, coder, width_bits):
    """§8.2.2: the leaves of the trie."""
    low_bits, firsts = [], []
    left = [
        (0, 0)
    ]  # nodes to be read, the next one last: (depth, the bits that patterns begin with)
    while left:
        depth, begin = left.pop()
        if bits.take() == 0:
            continue
        if bits.take() == 0:
            require(width_bits - depth <= 56, bits.where, f"a bin of {width_bits - depth} low bits")
            low_bits.append(width_bits - depth)
            firsts.append(begin << width_bits - depth)
        else:
            require(depth < width_bits, bits.where, "a node of one pattern with children")
            left += [(depth + 1, begin << 1 | 1), (depth + 1, begin << 1)]
        require(len(firsts) <= 256, bits.where, "more than 256 bins")
    require(firsts, bits.where, "no bins")
    coder.n_symbols = len(firsts)
    coder.bin_low_bits = np.array(low_bits, np.int64)
    coder.bin_firsts = np.array(firsts, np.uint64)


def read_directory(data, payload):
    """§8.3: the ends of all blocks, [(element, byte), ...]."""
    where = payload.where + ", directory"
    ends = []
    if data:
        rows = split_crc(data, where)
        ends = [
            (uint(rows[i : i + 8]), uint(rows[i + 8 : i + 16])) for i in range(0, len(rows), 16)
        ]
    ends.append((payload.elements, payload.blocks_bytes))
    before = (0, 0)
    for end in ends:
        require(
            before[0] < end[0], where, f"a block ends at element {end[0]} and starts at {before[0]}"
        )
        require(
            before[1] < end[1], where, f"a block ends at byte {end[1]} and starts at {before[1]}"
        )
        elements = end[0] - before[0]
        fits = elements <= MAX_BLOCK_ELEMENTS and elements * payload.width <= MAX_BLOCK_BYTES
        require(fits, where, f"a block of {elements} elements of {payload.width} bytes")
        before = end
    return ends


def decode_payload(record, payload):
    """§8.1: the elements, dense."""
    tables = read_tables(record[: payload.table_bytes], payload)
    blocks_end = payload.table_bytes + payload.blocks_bytes
    blocks = record[payload.table_bytes : blocks_end]
    ends = read_directory(record[blocks_end:], payload)
    dense, first, start = [], 0, 0
    for b, (element, end) in enumerate(ends):
        where = f"{payload.where}, block {b}"
        dense.append(decode_block(blocks[start:end], element - first, tables, first, where))
        first, start = element, end
    return b"".join(dense)


# --- §9 Blocks --------------------------------------------------------------------------------


def decode_block(data, n, tables, first, where):
    """§9: the `n` elements of a block that starts at element `first` of its payload."""
    reader = Reader(split_crc(data, where), where)
    reader.where = where + ", entries"
    entries = read_positions(reader, n, tables, first)
    m = len(entries.positions)
    reader.where = where + ", alternates"
    alternates = read_positions(reader, n - m, tables, None, alternates=True).positions
    reader.where = where + ", values"
    values = read_values(reader, entries, tables) if m else b""
    reader.where = where
    if entries.bundle:
        entries.bundle.end()
    if tables.aligned:
        read_padding(reader)
    reader.end("the block")

    pattern = f"V{tables.width}"
    background = tables.background
    dense = np.frombuffer(bytearray(background * n), pattern)
    dense[entries.positions] = np.frombuffer(values, pattern)
    if len(alternates):
        is_entry = np.zeros(n, bool)
        is_entry[entries.positions] = True
        rest = np.flatnonzero(~is_entry)
        alternate = background[:-1] + bytes([background[-1] ^ 0x80])
        dense[rest[alternates]] = np.frombuffer(alternate, pattern)
    return dense.tobytes()


class Entries:
    """§9.1: the positions of a set, in the order of their values. Of kind classes: the bundle, in
    which the runs of values may follow, and how many entries each row class has."""

    def __init__(self, positions, bundle=None, of_row_class=None):
        self.positions = np.asarray(positions, np.int64)
        self.bundle, self.of_row_class = bundle, of_row_class


def read_positions(reader, n, tables, first, alternates=False):
    """§9.1: a position set over 0 … n − 1."""
    kind = reader.u8()
    if kind == 0:
        return Entries([])
    if kind == 1:
        return Entries(np.arange(n))
    if kind == 2:
        return Entries(read_bitmap(reader, n))
    if kind == 3:
        return Entries(
            read_relative_index(reader, n, None if alternates else tables.columns, first)
        )
    if kind > 5:
        reject(UNSUPPORTED, reader.where, f"position kind {kind}")
    require(not alternates, reader.where, f"alternates of position kind {kind}")
    if kind == 4:
        return read_class_positions(reader, n, tables, first)
    return Entries(read_rows(reader, n, tables.columns, first))


def read_bitmap(reader, n):
    """§9.1.1."""
    return bits_set(read_stream(reader, -(-n // 8), 8), n, reader.where)


def bits_set(symbols, n, where):
    bits = np.unpackbits(symbols, bitorder="little")
    require(not bits[n:].any(), where, f"a bit of the bitmap at {n} or above is set")
    return np.flatnonzero(bits)


def rows_of_block(n, columns, first):
    """§9.1.2: (row, start, end) of the rows that have an element in the block."""
    for row in range(first // columns, (first + n - 1) // columns + 1):
        yield row, max(row * columns - first, 0), min((row + 1) * columns - first, n)


def read_relative_index(reader, n, columns, first):
    """§9.1.2. `columns` is None for alternates."""
    form = reader.u8()
    if form & 0x80:
        reject(UNSUPPORTED, reader.where, f"relative index form {form:#04x}")
    gap_bits, filler, by_rows = form & 0x1F, form & 0x20, form & 0x40
    require(1 <= gap_bits <= 16, reader.where, f"gap_bits is {gap_bits}")
    require(columns or not by_rows, reader.where, "alternates by rows")
    symbols = reader.varint()
    require(1 <= symbols <= n, reader.where, f"{symbols} symbols for {n} positions")

    # the chains: (start, end, number of entries or None)
    chains = [(0, n, None)]
    if by_rows:
        rows = list(rows_of_block(n, columns, first))
        counts = read_stream(reader, len(rows), min(columns, n).bit_length()).tolist()
        chains = [(start, end, count) for (_, start, end), count in zip(rows, counts)]

    gaps = read_stream(reader, symbols, gap_bits).tolist()
    escape = -1 if filler else (1 << gap_bits) - 1
    members, used = [], 0
    for start, end, count in chains:
        p, before = start, len(members)
        last = None
        while used < symbols if count is None else len(members) - before < count:
            require(used < symbols, reader.where, "a row has more entries than there are symbols")
            last = gaps[used]
            used += 1
            if last == escape:
                p += escape
            else:
                members.append(p + last)
                p += last + 1
        require(last is None or last != escape, reader.where, "a chain ends with an escape")
        require(p <= end, reader.where, f"an entry at {p - 1} in a chain that ends at {end}")
    require(used == symbols, reader.where, f"{symbols - used} symbols are left over")
    return members


def walk(steps, escape, low_bits, low, end, where):
    """§9.1.3: the positions of the entries of a chain of steps. `low` are the low bits of its
    entries; an escape advances by `escape`."""
    steps = steps.astype(np.int64)
    require(len(steps) == 0 or steps[-1] > 0, where, "the last step is an escape")
    is_entry = steps > 0
    advance = np.where(is_entry, (steps - 1 << low_bits) + 1, escape)
    advance[is_entry] += low
    positions = np.cumsum(advance)[is_entry] - 1
    last = positions[-1] if len(positions) else -1
    require(last < end, where, f"an entry at {last} in a chain that ends at {end}")
    return positions


def read_holes(reader, n):
    """§9.1.3: the numbers of those of n positions that are no entries."""
    if n == 0:
        return np.zeros(0, np.int64)
    where, count = reader.where, reader.varint()
    require(count <= n, where, f"{count} holes in {n} positions")
    holes, at = [], 0
    if count == 0:
        return np.zeros(0, np.int64)
    low_bits = (n // count).bit_length() - 1
    bits = Bits(reader)
    for _ in range(count):
        while bits.take():
            at += 1 << low_bits
        at += sum(bits.take() << i for i in range(low_bits))
        require(at < n, where, f"a hole at {at} of {n} positions")
        holes.append(at)
        at += 1
    bits.end()
    return np.array(holes, np.int64)


def read_class_positions(reader, n, tables, first):
    """§9.1.3."""
    where, classes = reader.where, tables.classes
    require(classes, where, "kind classes in a payload without classes")
    if classes.rows == 1:
        columns, columns_of, rows_of = n, [np.arange(n)], [np.arange(1)]
    else:
        columns, columns_of = tables.columns, classes.columns
        whole = first % columns == 0 and n % columns == 0
        require(whole, where, f"{n} elements from {first} are not whole rows of {columns}")
        rows = read_stream(reader, n // columns, (classes.rows - 1).bit_length())
        require(rows.max() < classes.rows, where, f"row class {rows.max()} of {classes.rows}")
        rows_of = [np.flatnonzero(rows == i) for i in range(classes.rows)]

    # the lines: (part, rows, columns, bytes of a bitmap), and the number of steps
    lines, n_steps = [], {}
    for row_parts, its_rows in zip(classes.parts, rows_of):
        for part, its_columns in zip(row_parts, columns_of):
            n_bytes = len(its_rows) * -(-len(its_columns) // 8)
            lines.append((part, its_rows, its_columns, n_bytes))
            n_positions = len(its_rows) * len(its_columns)
            if part.form == FORM_CODED_STEPS and n_positions:
                steps = n_steps[part] = reader.varint()
                require(steps <= n_positions, where, f"{steps} steps in {n_positions} positions")
    n_with_holes = {part: len(r) * len(c) for part, r, c, _ in lines if part.form == FORM_HOLES}
    holes = read_holes(reader, sum(n_with_holes.values()))
    runs = [
        (part.code, n_steps.get(part, 0) if part.form == FORM_CODED_STEPS else n_bytes)
        for part, _, _, n_bytes in lines
        if part.form in FORMS_WITH_CODES
    ]
    bundle = Bundle(reader) if any(length for _, length in runs) else None
    symbols = iter([bundle.run(*run) if bundle else np.zeros(0, np.uint8) for run in runs])
    symbols = {part: next(symbols) for part, *_ in lines if part.form in FORMS_WITH_CODES}
    low = {}
    for part, *_ in lines:
        if part.form == FORM_CODED_STEPS and part.low_bits:
            low[part] = read_packed(reader, np.count_nonzero(symbols[part]), part.low_bits)
    for part, *_, n_bytes in lines:
        if part.form == FORM_BITMAP:
            symbols[part] = np.frombuffer(reader.take(n_bytes), np.uint8)

    # entries by part, as (number of its row, column), then in their order
    positions, of_row_class = [], []
    parts = iter(lines)
    for row_parts, its_rows in zip(classes.parts, rows_of):
        found = []
        for part, _, its_columns, _ in islice(parts, len(row_parts)):
            c = len(its_columns)
            at = np.zeros(0, np.int64)  # the positions of all lines, one after the other
            if part.form == FORM_ALL:
                at = np.arange(len(its_rows) * c)
            elif part.form == FORM_HOLES:
                n_positions = n_with_holes[part]
                at = np.setdiff1d(np.arange(n_positions), holes)
                holes = holes[holes >= n_positions] - n_positions
            elif part.form == FORM_CODED_STEPS:
                escape = 255 << part.low_bits
                end = len(its_rows) * c
                at = walk(symbols[part], escape, part.low_bits, low.get(part, 0), end, where)
            elif part.form != FORM_NONE and c:
                bits = np.unpackbits(symbols[part].reshape(-1, -(-c // 8)), 1, bitorder="little")
                require(not bits[:, c:].any(), where, f"a bit of a line at {c} or above is set")
                at = np.flatnonzero(bits[:, :c])
            found.append((at // max(c, 1), its_columns[at % max(c, 1)]))
        number = np.concatenate([number for number, _ in found])
        column = np.concatenate([column for _, column in found])
        order = np.argsort(number, kind="stable")
        positions.append(its_rows[number[order]] * columns + column[order])
        of_row_class.append(len(number))
    return Entries(np.concatenate(positions), bundle, of_row_class)


def read_rows(reader, n, columns, first):
    """§9.1.4."""
    where = reader.where
    form = reader.u8()
    if form > 8:
        reject(UNSUPPORTED, where, f"form {form:#04x} of rows")
    group, n_entries, n_steps = (uint(reader.take(size)) for size in (2, 4, 4))
    require(group, where, "groups of no rows")
    require(max(n_entries, n_steps) < 65_536, where, f"{n_entries} entries, {n_steps} steps")
    require(form or n_steps == 0, where, f"{n_steps} steps beside a bitmap")
    rows = list(rows_of_block(n, columns, first))
    groups = [
        (rows[i][1], rows[min(i + group, len(rows)) - 1][2]) for i in range(0, len(rows), group)
    ]
    entry_pointers = read_pointers(reader, len(groups))
    if form == 0:
        found = []
        for _, start, end in rows:
            line = np.frombuffer(reader.take(-(-(end - start) // 8)), np.uint8)
            found.append(start + bits_set(line, end - start, where))
        positions = np.concatenate(found)
    else:
        same = n_steps == n_entries
        step_pointers = entry_pointers if same else read_pointers(reader, len(groups))
        steps = read_packed(reader, n_steps, form)
        bounds = [*step_pointers.tolist(), n_steps]
        require(bounds == sorted(bounds), where, "the step pointers descend")
        positions = np.concatenate(
            [
                start + walk(steps[a:b], (1 << form) - 1, 0, 0, end - start, where)
                for (start, end), a, b in zip(groups, bounds, bounds[1:])
            ]
        )
    require(len(positions) == n_entries, where, f"{len(positions)} entries, not {n_entries}")
    before = np.searchsorted(positions, [start for start, _ in groups])
    require((before == entry_pointers).all(), where, "the entry pointers are others")
    return positions


def read_pointers(reader, n):
    pointers = np.frombuffer(reader.take(2 * n), "<u2").astype(np.int64)
    require(pointers[0] == 0, reader.where, f"the first pointer is {pointers[0]}")
    return pointers


def read_values(reader, entries, tables):
    """§9.2: the patterns of the entries, one after the other."""
    kind, m, width = reader.u8(), len(entries.positions), tables.width
    if kind == 0:
        return read_stream(reader, m * width, 8).tobytes()
    if kind == 1:
        r = reader.u8()
        require(r < 8 * width, reader.where, f"a rotation by {r} of {8 * width} bits")
        rotated = np.zeros((m, width), np.uint8)
        for j in range(width):
            rotated[:, width - 1 - j] = read_stream(reader, m, 8)
        return rotate_right(rotated.tobytes(), width, r)
    if kind == 2:
        book = tables.codebook
        require(book is not None, reader.where, "codes in a payload without a codebook")
        codes = read_stream(reader, m, max(1, (len(book) - 1).bit_length()))
        require(codes.max() < len(book), reader.where, f"code {codes.max()} of {len(book)}")
        return book[codes].tobytes()
    if kind == 3:
        return read_coded(reader, entries, tables)
    if kind == 4:
        padding = reader.take(-reader.at % 8)
        require(not any(padding), reader.where, "the bytes before the values are not zero")
        return reader.take(m * width)
    reject(UNSUPPORTED, reader.where, f"value kind {kind}")


def rotate_right(patterns, width, r):
    if r == 0:
        return patterns
    bits = 8 * width
    mask, left = (1 << bits) - 1, bits - r
    if width == 16:
        words = [uint(patterns[i : i + 16]) for i in range(0, len(patterns), 16)]
        return b"".join([(t >> r | t << left & mask).to_bytes(16, "little") for t in words])
    words = np.frombuffer(patterns, f"<u{width}")
    return (words >> r | words << left).tobytes()


def read_coded(reader, entries, tables):
    """§9.2.1."""
    where, coder, m = reader.where, tables.coder, len(entries.positions)
    require(coder, where, "coded values in a payload without a value coder")
    lengths = [0] * coder.n_tables
    value_tables = tables.classes.value_tables if entries.of_row_class else [0]
    for table, count in zip(value_tables, entries.of_row_class or [m]):
        lengths[table] += count
    bundle = entries.bundle or Bundle(reader)
    symbols = np.concatenate([bundle.run(*run) for run in zip(coder.codes, lengths)])
    if not entries.bundle:
        bundle.end()
    if coder.kind == CODES:
        return tables.codebook[symbols].tobytes()
    unsigned = f"<u{tables.width}"
    symbols = symbols.astype(np.uint64)
    if coder.kind == BINS:
        low_bits = coder.bin_low_bits[symbols]
        size = reader.varint()
        n_bits = int(low_bits.sum())
        require(size == -(-n_bits // 8), where, f"{n_bits} low bits in {size} bytes")
        low = read_low_bits(reader.take(size), low_bits, where)
        return (coder.bin_firsts[symbols] | low).astype(unsigned).tobytes()
    words = np.uint64(coder.base) + symbols << np.uint64(coder.low_bits)
    if coder.low_bits:
        words += read_packed(reader, m, coder.low_bits).astype(np.uint64)
    patterns = rotate_right(words.astype(unsigned).tobytes(), tables.width, coder.rotation)
    patches = reader.varint()
    require(patches <= m, where, f"{patches} patches of {m} entries")
    patterns, at = bytearray(patterns), 0
    for _ in range(patches):
        at += reader.varint()
        pattern = reader.take(tables.width)
        require(at < m, where, f"a patch of entry {at} of {m}")
        patterns[at * tables.width : (at + 1) * tables.width] = pattern
        at += 1
    return patterns


def read_low_bits(data, low_bits, where):
    """§9.2.1: numbers of up to 56 bits one after the other, LSB-first."""
    ends = np.cumsum(low_bits)
    if data:
        used = int(ends[-1]) - 8 * (len(data) - 1)
        require(data[-1] >> used == 0, where, "bits after the low bits are set")
    starts = ends - low_bits
    bytes_ = np.frombuffer(data + bytes(8), np.uint8).astype(np.uint64)
    low = np.zeros(len(ends), np.uint64)
    for i in range(8):
        low |= bytes_[(starts >> 3) + i] << np.uint64(8 * i)
    low >>= (starts & 7).astype(np.uint64)
    return low & (np.uint64(1) << low_bits.astype(np.uint64)) - np.uint64(1)


# --- §10 Streams ------------------------------------------------------------------------------


def read_stream(reader, k, bits):
    """§10: `k` symbols of `bits` bits, an array."""
    if k == 0:
        return np.zeros(0, np.uint8)
    coding = reader.u8()
    if coding == 0:
        return read_packed(reader, k, bits)
    if coding == 1:
        frame = reader.take(reader.varint())
        planes = zstd(frame, k * -(-bits // 8), reader.where)
        symbols = np.frombuffer(planes, np.uint8)
        if bits > 8:
            symbols = symbols.reshape(-1, k).astype(np.int64)
            symbols = sum(plane << 8 * i for i, plane in enumerate(symbols))
        require(symbols.max() < 1 << bits, reader.where, f"symbol {symbols.max()} of {bits} bits")
        return symbols
    if coding == 2:
        return read_huffman(reader, k, bits)
    reject(UNSUPPORTED, reader.where, f"stream coding {coding}")


def read_packed(reader, k, bits):
    """§10.1."""
    packed = np.frombuffer(reader.take(-(-k * bits // 8)), np.uint8)
    if bits == 8:
        return packed
    if k == 0:
        return np.zeros(0, np.int64)
    unused = 8 * len(packed) - k * bits
    require(packed[-1] >> (8 - unused) == 0, reader.where, "bits after the last symbol are set")
    columns = np.unpackbits(packed, bitorder="little")[: k * bits].reshape(k, bits)
    kind = np.uint8 if bits < 8 else np.uint64 if bits > 32 else np.int64
    symbols = np.zeros(k, kind)
    for i in range(bits):
        symbols |= columns[:, i].astype(kind) << kind(i)
    return symbols


class Bits:
    """Takes bits LSB-first from the bytes that `reader` has left."""

    def __init__(self, reader):
        self.reader, self.where = reader, reader.where
        self.byte, self.left = 0, 0

    def take(self):
        if not self.left:
            self.byte, self.left = self.reader.u8(), 8
        bit = self.byte & 1
        self.byte >>= 1
        self.left -= 1
        return bit

    def end(self):
        require(self.byte == 0, self.where, "bits up to a whole byte are not zero")
        self.left = 0


MAX_WORD_BITS = 11
NO_WORD = 12


class PrefixCode:
    """§10.3.1. `order` says in which order the lengths of the symbols are written."""

    def __init__(self, bits, order):
        lengths, length = {}, 8
        for symbol in order:
            zeros = 0
            while bits.take() == 0:
                zeros += 1
                require(zeros <= 2 * NO_WORD, bits.where, "a length of a word out of range")
            length += -(zeros + 1) // 2 if zeros & 1 else zeros // 2
            require(0 <= length <= NO_WORD, bits.where, f"a word of {length} bits")
            lengths[symbol] = length
        words = sorted((n, symbol) for symbol, n in lengths.items() if n < NO_WORD)
        total = sum(1 << MAX_WORD_BITS - n for n, _ in words)
        require(total == 1 << MAX_WORD_BITS, bits.where, "a prefix code that is not complete")
        # what the next 11 bits begin with: symbol and length of its word
        self.symbols = np.zeros(1 << MAX_WORD_BITS, np.uint8)
        self.lengths = np.zeros(1 << MAX_WORD_BITS, np.uint8)
        word, before = -1, words[0][0]
        for n, symbol in words:
            word = word + 1 << n - before
            before = n
            low_first = int(f"{word:0{n}b}"[::-1], 2) if n else 0
            self.symbols[low_first :: 1 << n] = symbol
            self.lengths[low_first :: 1 << n] = n


class CodedBits:
    """A sequence of code words, in the bytes `data`."""

    def __init__(self, data, where, at=0):
        self.where, self.n_bits, self.at = where, 8 * len(data), at  # `at` is in bits
        padded = np.frombuffer(data + bytes(2), np.uint8).astype(np.uint32)
        next_24 = padded[:-2] | padded[1:-1] << 8 | padded[2:] << 16
        shifted = next_24[:, None] >> np.arange(8, dtype=np.uint32)
        self.next_11 = (shifted & (1 << MAX_WORD_BITS) - 1).astype(np.uint16).ravel()

    def decode(self, code, k):
        """`k` symbols."""
        ahead = self.next_11[self.at : self.at + MAX_WORD_BITS * k]
        lengths = code.lengths[ahead].tobytes() + bytes(MAX_WORD_BITS + 1)
        starts, at = [], 0
        for _ in range(k):
            starts.append(at)
            at += lengths[at]
        self.at += at
        require(self.at <= self.n_bits, self.where, "the bits end before the symbols")
        if k == 0 or code.lengths[0] == 0:  # a word of no bits
            return np.full(k, code.symbols[0])
        require(starts[-1] < len(ahead), self.where, "the bits end before the symbols")
        return code.symbols[ahead[starts]]

    def end(self):
        """The number of bytes that were used."""
        used = -(-self.at // 8)
        rest = self.next_11[self.at : min(8 * used, self.n_bits)] & 1
        require(not rest.any(), self.where, "bits after the last word are set")
        return used


class Bundle:
    """§10.3.2."""

    def __init__(self, reader):
        n = reader.u8()
        if n not in (1, 8):
            reject(UNSUPPORTED, reader.where, f"a bundle of {n} streams")
        shortest, longer = reader.varint(), [0]
        if n == 8:
            bits = reader.u8()
            require(bits <= 32, reader.where, f"lengths of {bits} bits")
            longer = read_packed(reader, 8, bits).tolist() if bits else [0] * 8
        self.where = reader.where
        self.streams = [CodedBits(reader.take(shortest + more), reader.where) for more in longer]

    def run(self, code, k):
        n = len(self.streams)
        symbols = np.zeros(k, np.uint8)
        for i, stream in enumerate(self.streams):
            symbols[i::n] = stream.decode(code, len(range(i, k, n)))
        return symbols

    def end(self):
        for stream in self.streams:
            whole = stream.end() * 8 == stream.n_bits
            require(whole, self.where, "a stream of a bundle is longer than its words")


def read_huffman(reader, k, bits):
    """§10.3.3."""
    require(bits <= 8, reader.where, f"Huffman coding of {bits} bits")
    alphabet = reader.u8() + 1
    first = reader.at
    begin = Bits(reader)
    code = PrefixCode(begin, range(alphabet))
    start = 8 * (reader.at - first) - begin.left
    longest = -(-(start + MAX_WORD_BITS * k) // 8)
    words = CodedBits(reader.data[first : first + longest], reader.where, start)
    symbols = words.decode(code, k)
    reader.at = first + words.end()
    require(symbols.max() < 1 << bits, reader.where, f"symbol {symbols.max()} of {bits} bits")
    return symbols


def zstd_frame_end(data, where):
    """RFC 8878, 3.1: (the offset after the frame at the start, its content size or None if it does
    not say)."""
    reader = Reader(data, where)
    require(uint(reader.take(4)) == 0xFD2FB528, where, "no zstd frame")
    descriptor = reader.u8()
    single = descriptor >> 5 & 1
    reader.take(1 - single)  # window
    dictionary = uint(reader.take((0, 1, 2, 4)[descriptor & 3]))
    require(dictionary == 0, where, "a zstd frame with a dictionary")
    size_bytes = (single, 2, 4, 8)[descriptor >> 6]
    size = uint(reader.take(size_bytes)) + (256 if size_bytes == 2 else 0) if size_bytes else None
    last = 0
    while not last:
        header = uint(reader.take(3))
        last, kind = header & 1, header >> 1 & 3
        reader.take(1 if kind == 1 else header >> 3)
    reader.take(4 * (descriptor >> 2 & 1))  # content checksum
    return reader.at, size


def zstd(data, size, where):
    """§10.2: exactly one frame of exactly `size` decoded bytes."""
    end, content = zstd_frame_end(data, where)
    require(end == len(data), where, "bytes after a zstd frame")
    require(content in (None, size), where, f"a zstd frame of {content} bytes, not {size}")
    try:
        decoder = zstandard.ZstdDecompressor(max_window_size=1 << 31)
        decoded = decoder.decompress(data, max_output_size=max(size, 1))
    except zstandard.ZstdError as error:
        reject(CORRUPT, where, f"a zstd frame that does not decode: {error}")
    require(len(decoded) == size, where, f"a zstd frame of {len(decoded)} bytes, not {size}")
    return decoded


# --- The whole file ---------------------------------------------------------------------------


class Archive:
    """A .tfz file. Opening it checks all that its header, footer and manifest can break."""

    def __init__(self, data):
        self.data = data
        read_header(data)
        manifest, manifest_start = read_footer(data)
        m = self.manifest = read_manifest(manifest)
        self.padding, self.frames, self.records = read_sections(m, manifest_start)
        self.payloads = read_payloads(m)
        self.files, self.skeleton_bytes = read_files(m)
        need = -(-self.skeleton_bytes // FRAME_BYTES)
        have = len(self.frames)
        require(have == need, "sections", f"{have} skeleton frames for {self.skeleton_bytes} bytes")
        self.tensors = read_tensors(m, self.skeleton_bytes)
        self.decoded = {}  # payload: its elements, up to 256 MiB of them

    def payload(self, index):
        if index not in self.decoded:
            start, end = self.records[index]
            dense = decode_payload(self.data[start:end], self.payloads[index])
            if sum(map(len, self.decoded.values())) + len(dense) > 256 << 20:
                self.decoded.clear()
            self.decoded[index] = dense
        return self.decoded[index]

    def frame(self, index):
        start, end = self.frames[index]
        size = min(FRAME_BYTES, self.skeleton_bytes - index * FRAME_BYTES)
        return read_frame(self.data[start:end], size, f"skeleton frame {index}")

    def skeleton(self, start, size):
        """§6.2: a range of the skeleton."""
        if size == 0:
            return b""
        first, last = start // FRAME_BYTES, (start + size - 1) // FRAME_BYTES
        frames = b"".join(self.frame(i) for i in range(first, last + 1))
        start -= first * FRAME_BYTES
        return frames[start : start + size]

    def restored(self, index):
        """§6.1 and §6.3: the bytes of a file."""
        of_all = sum(self.manifest["file_bytes"])
        limit(of_all, MAX_RESTORED_BYTES, "files", "the length of all files")
        limit(of_all, MAX_EXPANSION * len(self.data), "files", "the length of all files")
        at, segments, tail = self.files[index]
        parts = []
        skeleton = self.skeleton(at, sum(gap for gap, _ in segments) + tail)
        at = 0
        for gap, payload in segments:
            parts += skeleton[at : at + gap], self.payload(payload)
            at += gap
        restored = b"".join(parts + [skeleton[at:]])
        want = self.manifest["file_sha256"][32 * index : 32 * index + 32]
        match = hashlib.sha256(restored).digest() == want
        require(match, f"file {index}", "the SHA-256 of the restored file is another")
        return restored

    def is_folder(self):
        """§6.4."""
        m = self.manifest
        names = m["file_name"]
        return m["is_folder"] or bool(m["empty_folder"]) or len(names) != 1 or "/" in names[0]

    def dense(self, tensor):
        """§7.3: the elements of a tensor; None if it is opaque."""
        if tensor.source == OPAQUE:
            return None
        where, size = f"tensor {tensor.index}", tensor.n * tensor.width
        limit(size, MAX_TENSOR_BYTES, where, "the length")
        limit(size, MAX_EXPANSION * len(self.data), where, "the length")
        if tensor.source == PAYLOAD:
            stored = self.payload(tensor.at)
        else:
            stored = self.skeleton(tensor.at, tensor.stored * tensor.width)
        last = stored[-tensor.width :] if stored else bytes(tensor.width)
        return stored + last * tensor.repeats

    def check(self):
        """All that can be checked."""
        for start, end in self.padding:
            require(not any(self.data[start:end]), "sections", f"padding at {start} is not zero")
        for index in range(len(self.payloads)):
            self.payload(index)
        for tensor in self.tensors:
            dense = self.dense(tensor)
            if dense is not None:
                nnz = count_nnz(tensor.dtype, tensor.width, dense)
                require(
                    nnz == tensor.nnz, f"tensor {tensor.index}", f"nnz is {nnz}, not {tensor.nnz}"
                )
        for index in range(len(self.files)):
            self.restored(index)

    def listing(self):
        """What `list --json` prints."""
        m = self.manifest
        files = [
            {"name": name, "sha256": m["file_sha256"][32 * f : 32 * f + 32].hex(), "size": size}
            for f, (name, size) in enumerate(zip(m["file_name"], m["file_bytes"]))
        ]
        tensors = [
            {
                "name": t.name,
                "file": t.file,
                "dtype": t.dtype,
                "shape": t.shape,
                "nnz": t.nnz,
                "source": SOURCES[t.source],
            }
            for t in self.tensors
        ]
        return {"files": files, "tensors": tensors}


# --- Commands ---------------------------------------------------------------------------------


class UsageError(Exception):
    pass


def open_archive(path):
    return Archive(Path(path).read_bytes())


def command_list(args):
    listing = open_archive(args.input).listing()
    if args.json:
        print(json.dumps(listing, indent=1))
        return
    for file in listing["files"]:
        print(f"file    {file['name']!r}  {file['size']} bytes  sha256 {file['sha256']}")
    for t in listing["tensors"]:
        shape = "x".join(map(str, t["shape"])) or "scalar"
        print(f"tensor  {t['name']!r}  {t['dtype']}  {shape}  nnz {t['nnz']}  {t['source']}")


def write_new(path, data):
    with open(path, "xb") as file:
        file.write(data)


def command_restore(args):
    out = Path(args.output)
    archive = open_archive(args.input)
    if os.path.lexists(out):
        raise UsageError(f"{out} exists")
    files = [archive.restored(f) for f in range(len(archive.files))]
    temporary = out.with_name(f"{out.name}.{os.getpid()}.tmp")
    try:
        if not archive.is_folder():
            write_new(temporary, files[0])
        else:
            temporary.mkdir()
            for name in archive.manifest["empty_folder"]:
                temporary.joinpath(*name.split("/")).mkdir(parents=True)
            for name, data in zip(archive.manifest["file_name"], files):
                path = temporary.joinpath(*name.split("/"))
                path.parent.mkdir(parents=True, exist_ok=True)
                write_new(path, data)
        temporary.rename(out)
    except BaseException:
        shutil.rmtree(temporary) if temporary.is_dir() else temporary.unlink(missing_ok=True)
        raise


def command_tensor(args):
    archive = open_archive(args.input)
    found = [tensor for tensor in archive.tensors if tensor.name == args.name]
    if len(found) != 1:  # §7.1
        raise UsageError(f"{len(found)} tensors are named {args.name!r}")
    dense = archive.dense(found[0])
    if dense is None:
        raise UsageError(f"{args.name!r} is opaque")
    write_new(args.output, dense)


def command_check(args):
    archive = open_archive(args.input)
    archive.check()
    if args.against:
        model = Path(args.against)
        for f, name in enumerate(archive.manifest["file_name"]):
            path = model.joinpath(*name.split("/")) if model.is_dir() else model
            same = path.read_bytes() == archive.restored(f)
            require(same, f"file {f}", f"is another than {path}")
    elements = sum(payload.elements for payload in archive.payloads)
    print(
        f"ok: {len(archive.files)} files, {len(archive.tensors)} tensors,"
        f" {len(archive.payloads)} payloads of {elements} elements"
    )


# --- Conformance vectors and worked examples --------------------------------------------------


def steps(data):
    """What is done to a vector: (level, function), in this order."""
    archive = []
    yield "open", lambda: archive.append(Archive(data))
    yield "tensor", lambda: [archive[0].dense(tensor) for tensor in archive[0].tensors]
    yield "restore", lambda: [archive[0].restored(f) for f in range(len(archive[0].files))]
    yield "verify", lambda: archive[0].check()


def outcome(data):
    """The level at which a vector is refused, and as what."""
    for level, step in steps(data):
        try:
            step()
        except TfzError as error:
            return level, error.kind, str(error)
    return "-", "good", ""


def check_good(path):
    archive = open_archive(path)
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    got = archive.listing()
    for tensor, row in zip(archive.tensors, got["tensors"]):
        dense = archive.dense(tensor)
        if "bytes_sha256" in expected["tensors"][tensor.index]:
            row["bytes_sha256"] = hashlib.sha256(dense).hexdigest()
        else:
            row["bytes"] = None if dense is None else dense.hex()
    assert got["tensors"] == expected["tensors"], "tensors differ"
    files = [{key: file[key] for key in ("name", "sha256", "size")} for file in expected["files"]]
    assert got["files"] == files, "files differ"
    if expected.get("is_folder"):
        assert archive.is_folder(), "is no folder"
        assert archive.manifest["empty_folder"] == expected["empty_folders"], "folders differ"
    for f, file in enumerate(expected["files"]):
        restored = archive.restored(f)
        if "bytes" in file:
            assert restored.hex() == file["bytes"], f"file {f} differs"
    if path.with_suffix(".bin").exists():
        assert path.with_suffix(".bin").read_bytes() == archive.restored(0), "the .bin differs"


def run_vectors(folder, report):
    table = (folder / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`|]+\.tfz)` \| ([a-z-]+) \| ([a-z-]+) \|", table, re.MULTILINE)
    listed = {name for name, _, _ in rows}
    for path in sorted(folder.glob("*.tfz")):
        if path.name not in listed:
            report(path.name, "is not in README.md")
    for name, kind, level in rows:
        path = folder / name
        try:
            found_level, found_kind, message = outcome(path.read_bytes())
            assert found_kind == kind, f"expected {kind}, got {message or 'no error'}"
            assert found_level == level, f"expected at level {level}, got {found_level}: {message}"
            if kind == "good":
                check_good(path)
            report(name, None)
        except (AssertionError, OSError, TfzError) as error:
            report(name, str(error))


def run_example(kind, params, data):
    """What an example of §14 decodes to, in the form in which it is written there."""
    number = {key: int(value) for key, value in params.items() if value.isdecimal()}
    if kind == "position-set":
        reader = Reader(data, "example")
        columns = None if number.get("alternates") else number.get("columns", number["n"])
        tables = Tables(1, columns or 1)
        members = read_positions(
            reader, number["n"], tables, number.get("first", 0), columns is None
        )
        reader.end("the position set")
        return " ".join(map(str, members.positions))
    if kind == "block":
        width, n = number["width"], number["elements"]
        tables = Tables(width, number.get("columns", n))
        tables.background = bytes.fromhex(params.get("background", "00" * width))
        return decode_block(data, n, tables, number.get("first", 0), "example").hex()
    if kind == "payload":
        row = [number[key] for key in ("width", "elements", "columns")]
        payload = Payload(0, *row, len(data), number.get("table_bytes", 0), number.get("blocks", 1))
        return decode_payload(data, payload).hex()
    if kind == "file":
        archive = Archive(data)
        archive.check()
        return archive.restored(0).hex()
    raise AssertionError(f"no example is a {kind}")


def run_examples(spec, report):
    """§14: fenced blocks `tfz-example` and `tfz-expect`, paired by name."""
    blocks = re.findall(
        r"^```(tfz-\w+) (.*?)\n(.*?)^```$", spec.read_text(encoding="utf-8"), re.M | re.S
    )
    expected = {}
    for fence, info, body in blocks:
        if fence == "tfz-expect":
            params = dict(word.split("=", 1) for word in info.split())
            expected[params["name"]] = " ".join(re.sub(r";.*", "", body).split())
    for fence, info, body in blocks:
        if fence == "tfz-example":
            params = dict(word.split("=", 1) for word in info.split())
            try:
                data = bytes.fromhex(re.sub(r";.*", "", body))
                want = expected.pop(params["name"])
                want = want if params["kind"] == "position-set" else want.replace(" ", "")
                got = run_example(params["kind"], params, data)
                assert got == want, f"expected {want}, got {got}"
                report("example " + params["name"], None)
            except (AssertionError, KeyError, ValueError, TfzError) as error:
                report("example " + params.get("name", "?"), repr(error))
    for name in expected:
        report("example " + name, "has no tfz-example")


def command_vectors(args):
    failed = []
    passed = 0

    def report(name, problem):
        nonlocal passed
        if problem is None:
            passed += 1
        else:
            failed.append(name)
            print(f"{name}: {problem}")

    run_vectors(Path(args.folder), report)
    if args.spec:
        run_examples(Path(args.spec), report)
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or not passed else 0


def main():
    parser = argparse.ArgumentParser(
        prog="tfz.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, function, arguments in (
        ("list", command_list, ("input", "--json")),
        ("restore", command_restore, ("input", "output")),
        ("tensor", command_tensor, ("input", "name", "output")),
        ("check", command_check, ("input", "--against")),
        ("vectors", command_vectors, ("folder", "--spec")),
    ):
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        for argument in arguments:
            command.add_argument(
                argument, **({"action": "store_true"} if argument == "--json" else {})
            )
    args = parser.parse_args()
    subject = args.folder if args.command == "vectors" else args.input
    try:
        return args.function(args) or 0
    except TfzError as error:
        print(f"tfz.py: {subject}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"tfz.py: {subject}: io: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except UsageError as error:
        print(f"tfz.py: {subject}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
