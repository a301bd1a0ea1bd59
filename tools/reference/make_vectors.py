#!/usr/bin/env python3
"""Writes the conformance vectors of the .tfz format, spec/vectors/v1/.

    make_vectors.py DIR

The writer in here validates nothing, so that it can tell lies; what a vector must decode to is
written beside it by hand and never computed by a reader.

A vector that exists is never written again: zstd may write other bytes with its next version, and
a vector is worth the more the older it is. A new case gets a new name, and a case that stands here
is not edited. Only README.md, the table of all vectors, is written each time, and SHA256SUMS gets lines for
those that are new. zstd frames are put
together by hand out of raw and repeated blocks, except where a vector is about a compressed one.
"""

import hashlib
import json
import struct
import sys
import zlib
from pathlib import Path

import zstandard

# --- Pieces -----------------------------------------------------------------------------------


def u8(value):
    return bytes([value])


def u32(value):
    return struct.pack("<I", value)


def u64(value):
    return struct.pack("<Q", value)


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + u8(value))


def crc(body, lie=0):
    return body + u32(zlib.crc32(body) ^ lie)


def frame(data, content_size=None, magic=b"\x28\xb5\x2f\xfd"):
    """A zstd frame of raw and repeated blocks (RFC 8878), in one segment."""
    size = len(data) if content_size is None else content_size
    if size < 256:
        header = b"\x20" + u8(size)
    elif size < 1 << 32:
        header = b"\xa0" + u32(size)
    else:
        header = b"\xe0" + u64(size)
    return magic + header + frame_blocks(data)


def frame_without_size(data):
    """The same with a window of 1 KiB and no content size."""
    return b"\x28\xb5\x2f\xfd\x00\x00" + frame_blocks(data)


def frame_blocks(data):
    blocks, at, raw = [], 0, 0
    while at < len(data):
        rest = data[at:]
        run = len(rest) - len(rest.lstrip(rest[:1]))
        if run < 8:
            at += run
            continue
        if raw < at:
            blocks.append((0, at - raw, data[raw:at]))
        while run:
            part = min(run, 1 << 17)
            blocks.append((1, part, data[at : at + 1]))
            at, run = at + part, run - part
        raw = at
    if raw < at or not blocks:
        blocks.append((0, at - raw, data[raw:]))
    out = b""
    for i, (kind, size, content) in enumerate(blocks):
        last = i == len(blocks) - 1
        out += struct.pack("<I", last | kind << 1 | size << 3)[:3] + content
    return out


def skippable(content):
    return u32(0x184D2A53) + u32(len(content)) + content


def packed(symbols, bits=8):
    word = sum(symbol << i * bits for i, symbol in enumerate(symbols))
    return b"\0" + word.to_bytes(-(-len(symbols) * bits // 8), "little") if symbols else b""


def zipped(symbols, bits=8):
    planes = b"".join(bytes(s >> 8 * i & 255 for s in symbols) for i in range(-(-bits // 8)))
    return zipped_frame(frame(planes))


def zipped_frame(data):
    return b"\1" + varint(len(data)) + data


NONE, ALL = b"\0", b"\1"


def bitmap(n, members, stream=packed):
    bits = bytearray(-(-n // 8))
    for i in members:
        bits[i // 8] |= 1 << i % 8
    return b"\2" + stream(bytes(bits))


FILLER, BY_ROWS = 0x20, 0x40


def relative(gap_bits, symbols, flags=0, rows=b"", stream=packed, count=None):
    count = len(symbols) if count is None else count
    return b"\3" + u8(gap_bits | flags) + varint(count) + rows + stream(symbols, gap_bits)


def raw(data, stream=packed):
    return b"\0" + stream(data)


def planes(data, width, r, stream=packed):
    bits = 8 * width
    words = [int.from_bytes(data[i : i + width], "little") for i in range(0, len(data), width)]
    words = [(x << r | x >> bits - r) & (1 << bits) - 1 for x in words]
    big = [word.to_bytes(width, "big") for word in words]
    return b"\1" + u8(r) + b"".join(stream(bytes(b[j] for b in big)) for j in range(width))


def codes(symbols, bits, stream=packed):
    return b"\2" + stream(symbols, bits)


def block(entries, alternates=NONE, values=b"", more=b""):
    return crc(entries + alternates + values + more)


def tables(background=None, codebook=None, flags=None, more=b""):
    body = b""
    if background is not None:
        body += background
    if codebook is not None:
        body += u8(len(codebook) - 1) + b"".join(codebook)
    if flags is None:
        flags = (background is not None) | (codebook is not None) << 1
    return crc(u8(flags) + body + more)


def directory(rows):
    return crc(b"".join(u64(element) + u64(byte) for element, byte in rows))


class P:
    """A payload. `blocks`: [(elements, bytes), ...]; `dense`: what it must decode to."""

    def __init__(self, width, dense, blocks, columns=None, table=b"", directory_=None, n=None):
        self.width, self.dense = width, dense
        self.n = len(dense) // width if n is None else n
        blocks = blocks if isinstance(blocks, list) else [(self.n, blocks)]
        self.columns = columns or self.n
        self.table_bytes, self.blocks = len(table), len(blocks)
        body, ends, elements = b"", [], 0
        for size, data in blocks:
            body += data
            elements += size
            ends.append((elements, len(body)))
        if directory_ is None:
            directory_ = directory(ends[:-1]) if len(blocks) > 1 else b""
        self.record = table + body + directory_


# --- Prefix codes, classes, coded values and rows ---------------------------------------------


def bit_bytes(bits):
    """A text of 0 and 1, the first one the lowest bit of byte 0; with zeros up to a whole byte."""
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))


BY_SET_BITS = sorted(range(256), key=lambda symbol: bin(symbol).count("1"))
NO_WORD = 12


class Code:
    """A prefix code (§10.3.1): `lengths` of the words of the symbols 0, 1, …, or a dict of those that
    have one."""

    def __init__(self, lengths, n=256):
        if isinstance(lengths, dict):
            lengths = [lengths.get(symbol, NO_WORD) for symbol in range(n)]
        self.lengths = lengths
        self.words, word, before = {}, -1, 0
        for symbol in sorted(range(len(lengths)), key=lambda symbol: lengths[symbol]):
            length = lengths[symbol]
            if length < NO_WORD:
                word = word + 1 << length - before
                before = length
                self.words[symbol] = f"{word:0{length}b}"[:length]

    def bits(self, order=None):
        """How it is written."""
        out, before = "", 8
        for symbol in order or range(len(self.lengths)):
            d = self.lengths[symbol] - before
            out += "0" * (2 * d if d >= 0 else -2 * d - 1) + "1"
            before = self.lengths[symbol]
        return out

    def of(self, symbols):
        return "".join(self.words[symbol] for symbol in symbols)


def huffman(code, more=""):
    """Makes streams in Huffman coding (§10.3.3) with this code."""

    def stream(symbols, bits=8):
        return b"\2" + u8(len(code.lengths) - 1) + bit_bytes(code.bits() + code.of(symbols) + more)

    return stream


def bundle(*runs, n=1, shortest=None, bits=None, more="", number=None):
    """§10.3.2: `runs` are codes and symbols. `more` are bits that follow in each stream."""
    streams = ["".join(code.of(symbols[i::n]) for code, symbols in runs) for i in range(n)]
    streams = [bit_bytes(stream + more) for stream in streams]
    lengths = [len(stream) for stream in streams]
    shortest = min(lengths) if shortest is None else shortest
    out = u8(n if number is None else number) + varint(shortest)
    if n > 1:
        longer = [length - shortest for length in lengths]
        bits = max(longer).bit_length() if bits is None else bits
        out += u8(bits) + sum(x << i * bits for i, x in enumerate(longer)).to_bytes(bits, "little")
    return out + b"".join(streams)


def step_form(code, low_bits=0):
    return u8(4 | low_bits << 4) + u8(len(code.lengths) - 1)


FORM_NONE, FORM_ALL, FORM_BITMAP, FORM_CODED_BITMAP = b"\0", b"\1", b"\2", b"\3"
FORM_HOLES = b"\5"


def classes(k, c, forms, of_column=b""):
    return u8(k - 1 | c - 1 << 4) + of_column + b"".join(forms)


def class_set(rest, steps=(), rows=b"", low=b"", bitmaps=b"", holes=b""):
    """§9.1.3: `rest` is the bundle."""
    return b"\4" + rows + b"".join(map(varint, steps)) + holes + rest + low + bitmaps


def holes_of(holes, n, more=""):
    """§9.1.3: the `holes` in `n` positions. `more` are bits that follow."""
    if not holes:
        return varint(0)
    low_bits = (n // len(holes)).bit_length() - 1
    gaps = [hole - before - 1 for before, hole in zip([-1, *holes], holes)]
    bits = "".join(
        "1" * (gap >> low_bits) + "0" + low_text(gap & (1 << low_bits) - 1, low_bits)
        for gap in gaps
    )
    return varint(len(holes)) + bit_bytes(bits + more)


WINDOW, BINS, CODES = range(3)


def window(rotation, low_bits, base, n, value_tables=b"", n_tables=1):
    head = u8(WINDOW | n_tables - 1 << 4) + value_tables
    return head + u8(rotation) + u8(low_bits) + varint(base) + u8(n - 1)


def coded_tables(
    classes=b"", coder=b"", bits="", background=b"", codebook=(), aligned=None, flags=0, more=b""
):
    """§8.2. `aligned` is the padding, if any."""
    flags |= bool(background) | bool(codebook) << 1 | bool(classes) << 2 | bool(coder) << 3
    flags |= (aligned is not None) << 4
    body = u8(flags) + background
    if codebook:
        body += u8(len(codebook) - 1) + b"".join(codebook)
    body += classes + coder + bit_bytes(bits) + more
    if aligned is not None:
        body += bytes(-(len(body) + 4) % 8) if aligned is True else aligned
    return crc(body)


def low_packed(symbols, bits):
    """§10.1: without a coding before it."""
    return packed(symbols, bits)[1:]


def coded(rest, symbols=b""):
    """§9.2.1: `symbols` is the bundle, if it is not that of the entries."""
    return b"\3" + symbols + rest


def patches(*rows):
    return varint(len(rows)) + b"".join(varint(skipped) + pattern for skipped, pattern in rows)


def bin_low(bits):
    data = bit_bytes(bits)
    return varint(len(data)) + data


def rows_set(step_bits, group, n_entries, n_steps, entries, steps=(), data=b""):
    """§9.1.4: `entries` and `steps` are the pointers."""
    pointers = b"".join(struct.pack("<H", pointer) for pointer in (*entries, *steps))
    return b"\5" + struct.pack("<BHII", step_bits, group, n_entries, n_steps) + pointers + data


def aligned_values(before, data, pad=b"\0"):
    """§9.2: `before` are the bytes of the block in front of them."""
    return b"\4" + pad * (-(before + 1) % 8) + data


def aligned_block(entries, alternates=NONE, values=b"", padding=None):
    body = entries + alternates + values
    return crc(body + (bytes(-(len(body) + 4) % 8) if padding is None else padding))


# --- The file ---------------------------------------------------------------------------------

FIELDS = (
    "file_name file_bytes file_sha256 file_source_sha256 file_holes hole_gap hole_payload"
    " section_kind section_bytes section_align section_payloads payload_width payload_elements"
    " payload_columns payload_stored_bytes payload_table_bytes payload_blocks tensor_name"
    " tensor_file tensor_dtype tensor_rank tensor_dim tensor_source tensor_at tensor_repeats"
    " tensor_nnz empty_folder is_folder profile"
).split()
DTYPES = (
    "float32 float64 int32 uint8 int16 int8 string complex64 int64 bool qint8 quint8 qint32"
    " bfloat16 qint16 quint16 uint16 complex128 float16 resource variant uint32 uint64"
    " float8_e5m2 float8_e4m3fn float8_e4m3fnuz float8_e4m3b11fnuz float8_e5m2fnuz int4 uint4"
    " int2 uint2 float4_e2m1fn"
).split()
SOURCES = ("opaque", "payload", "skeleton")
UINT = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64", 16: "complex128"}


def message_field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def encode_manifest(m):
    out = b""
    for number, name in enumerate(FIELDS, 1):
        column = m[name]
        if name == "is_folder":
            out += b"\xe0\x01" + bytes([column]) if column else b""
        elif name == "profile":
            out += b"\xe8\x01" + varint(column) if column != [] else b""
        elif name.endswith("_name") or name == "empty_folder":
            for value in column:
                value = value if isinstance(value, bytes) else value.encode()
                out += message_field(number, value)
        elif name.endswith("sha256"):
            out += message_field(number, column) if column else b""
        elif column:
            out += message_field(number, b"".join(map(varint, column)))
    return out


def T(name, dtype, shape, data, source, at=0, repeats=0, nnz=0, file=0):
    """A tensor; `data` is what it must decode to, or None."""
    row = {"name": name, "file": file, "dtype": dtype, "shape": list(shape), "nnz": nnz}
    row |= {"source": source, "bytes": None if data is None else data.hex()}
    return row, at, repeats


def header(version=1, reserved=0, features=0, lie=0, magic=b"\x89TFZ\r\n\x1a\n"):
    return crc(magic + struct.pack("<HHQ", version, reserved, features), lie)


def footer(stored_bytes, manifest_bytes, manifest_crc, coding, lie=0, magic=b"ZFT\x89"):
    return (
        crc(struct.pack("<QQII", stored_bytes, manifest_bytes, manifest_crc, coding), lie) + magic
    )


def finish(body, decoded, coding=0, stored=None, header_=None, footer_=None):
    """Header, sections, manifest and footer."""
    stored = (frame(decoded) if coding == 1 else decoded) if stored is None else stored
    tail = {"stored_bytes": len(stored), "manifest_bytes": len(decoded)}
    tail |= {"manifest_crc": zlib.crc32(stored), "coding": coding} | (footer_ or {})
    return header(**header_ or {}) + body + stored + footer(**tail)


def archive(
    files, payloads=(), tensors=(), sections=None, frames=None, edit=None, edit_bytes=None,
    source_sha256=b"", pad=b"\0", **how
):  # fmt: skip
    """A .tfz file and what is expected of it. `files`: [(name, [bytes or payload index, ...])];
    `sections`: [(kind, bytes, align, payloads)]; `edit` changes the manifest, a dict."""
    m = {name: [] for name in FIELDS}
    m["file_source_sha256"] = source_sha256
    skeleton, expected, sha256 = b"", [], b""
    for name, segments in files:
        restored, gap, holes = b"", 0, 0
        for segment in segments:
            if isinstance(segment, bytes):
                skeleton += segment
                restored += segment
                gap += len(segment)
            else:
                m["hole_gap"].append(gap)
                m["hole_payload"].append(segment)
                restored += payloads[segment].dense
                gap, holes = 0, holes + 1
        m["file_name"].append(name)
        m["file_bytes"].append(len(restored))
        m["file_holes"].append(holes)
        sha256 += hashlib.sha256(restored).digest()
        expected.append((name, restored))
    m["file_sha256"] = sha256
    for p in payloads:
        for name, value in zip(
            FIELDS[11:17],
            (p.width, p.n, p.columns, len(p.record), p.table_bytes, p.blocks),
        ):
            m[name].append(value)
    for row, at, repeats in tensors:
        m["tensor_name"].append(row["name"])
        m["tensor_file"].append(row["file"])
        dtype = row["dtype"]
        m["tensor_dtype"].append(dtype if isinstance(dtype, int) else DTYPES.index(dtype) + 1)
        m["tensor_rank"].append(len(row["shape"]))
        m["tensor_dim"] += row["shape"]
        source = row["source"]
        m["tensor_source"].append(source if isinstance(source, int) else SOURCES.index(source))
        m["tensor_at"].append(at)
        m["tensor_repeats"].append(repeats)
        m["tensor_nnz"].append(row["nnz"])
    if sections is None:
        if frames is None:
            cuts = range(0, len(skeleton), 1 << 20)
            frames = [crc(skeleton[i : i + (1 << 20)]) for i in cuts]
        sections = [(1, data, 0, 0) for data in frames]
        if payloads:
            sections.append((2, b"".join(p.record for p in payloads), 0, len(payloads)))
    body = b""
    for kind, data, align, count in sections:
        body += pad * (-(len(body) + 24) % (1 << align)) + data
        m["section_kind"].append(kind)
        m["section_bytes"].append(len(data))
        m["section_align"].append(align)
        m["section_payloads"].append(count)
    if edit:
        edit(m)
    decoded = encode_manifest(m)
    if edit_bytes:
        decoded = edit_bytes(decoded)
    return finish(body, decoded, **how), expected, [row for row, _, _ in tensors]


def one(width, dense, blocks, columns=None, table=b"", dtype=None, nnz=None, **how):
    """A file that is one hole, with a tensor over it."""
    payload = P(
        width, dense, blocks, columns, table, how.pop("directory", None), how.pop("n", None)
    )
    elements = [dense[i : i + width] for i in range(0, len(dense), width)]
    nnz = sum(any(e) for e in elements) if nnz is None else nnz
    shape = [payload.n // payload.columns, payload.columns]
    tensor = T("t", dtype or UINT[width], shape, dense, "payload", 0, 0, nnz)
    return archive([("m", [0])], [payload], [tensor], **how)


def f32(*values):
    return struct.pack(f"<{len(values)}f", *values)


def setter(**columns):
    def edit(m):
        for name, value in columns.items():
            m[name] = value

    return edit


# --- The cases --------------------------------------------------------------------------------

CASES = []  # (file name, kind, level, rule, archive)
FOLDERS = {}  # file name of a good one: (whether it is a folder though it has one file, empty ones)


def case(name, kind, level, rule, made):
    made = (made, None, None) if isinstance(made, bytes) else made
    CASES.append((name + ".tfz", kind, level, rule, made))


def good(name, rule, made, is_folder=False, empty_folders=()):
    case("good-" + name, "good", "-", rule, made)
    FOLDERS["good-" + name + ".tfz"] = is_folder, list(empty_folders)


def bad(name, level, rule, made, kind="corrupt"):
    case("bad-" + name, kind, level, rule, made)


def unsupported(name, level, rule, made):
    case("unsupported-" + name, "unsupported", level, rule, made)


def good_files():
    good("empty-file", "§2, §4: a file of no bytes, so no section", archive([("m", [])]))
    tensor = T("t", "uint8", [3], b"ell", "skeleton", 1, nnz=3)
    hello = ("m", [b"hello"])
    made = archive([hello], edit=setter(is_folder=1))
    good("folder-of-one-file", "§6.4: a folder with one file", made, True)
    made = archive([hello], edit=setter(empty_folder=["e", "a/b c/d"]))
    good("empty-folders", "§6.4: a file and two empty folders", made, True, ["e", "a/b c/d"])
    made = archive([], edit=setter(is_folder=1))
    good("folder-of-nothing", "§6.4: a folder without files", made, True)
    good(
        "skeleton-stored",
        "§6.2: a body as long as the frame is the frame",
        archive([hello], (), [tensor]),
    )
    zeros = bytes(300) + b"end"
    good(
        "skeleton-zstd",
        "§6.2: a shorter body is a zstd frame",
        archive([("m", [zeros])], frames=[crc(frame(zeros))]),
    )
    zeros = bytes(1 << 20)
    tensor = T("t", "uint32", [1], b"\0\0en", "skeleton", (1 << 20) - 2, nnz=1)
    made = archive([("m", [zeros + b"end"])], (), [tensor], frames=[crc(frame(zeros)), crc(b"end")])
    good("skeleton-two-frames", "§6.2: two frames; a tensor over both", made)
    p = P(1, b"\1\2", block(ALL, NONE, raw(b"\1\2")))
    made = archive([("m", [b"a", 0])], [p], sections=[(2, p.record, 0, 1), (1, crc(b"a"), 0, 0)])
    good("sections-payloads-first", "§4: sections stand in any order", made)
    q = P(1, b"\3", block(ALL, NONE, raw(b"\3")))
    sections = [(1, crc(b"ab"), 2, 0), (2, p.record, 6, 1), (2, q.record, 4, 1)]
    made = archive([("m", [b"a", 0, b"b", 1])], [p, q], sections=sections)
    good("sections-aligned", "§4: zero padding before aligned sections", made)
    sections = [(1, crc(b"ab"), 12, 0)]
    good(
        "sections-align-12",
        "§4: the largest alignment",
        archive([("m", [b"ab"])], sections=sections),
    )
    made = archive([("m", [0, b"a", 1])], [p, q])
    good("section-two-payloads", "§4: several payload records in one section", made)
    tensors = [
        T("x", "uint8", [2], b"\1\2", "payload", 0, nnz=2),
        T("y", "int8", [1, 2], b"\1\2", "payload", 0, nnz=2),
    ]
    made = archive([("m", [b"a", 0, b"b", 0, 1, 0])], [p, q], tensors)
    good("payload-shared", "§6.1: several holes name one payload", made)
    made = archive([("a/m", [b"x", 0, b"y"]), ("a/n", [b"z", 0, 1]), ("b", [])], [p, q])
    good("three-files", "§6.1: skeletons and holes of several files, one of them empty", made)
    names = [
        "a b",
        ".hidden",
        "...x",
        "con-1/com10/lpt",
        "x.con",
        "CONIN$",
        "ä/Ω",
        "~",
        "a b.c",
        "a c",
        "x" * 200,
    ]
    made = archive([(name, [name.encode()[:1]]) for name in names])
    good("names", "§6.1: names that are allowed", made)
    made = archive([hello], source_sha256=bytes(range(32)))
    good("source-sha256", "§6.3: the hash from before a pass is informative", made)


def good_manifests():
    hello = [("m", [b"hello"])]
    tensor = [T("t", "uint8", [3], b"ell", "skeleton", 1, nnz=3)]
    good("manifest-zstd", "§5.1: manifest coding 1", archive(hello, (), tensor, coding=1))
    made = archive(hello, (), tensor)
    stored = zstandard.ZstdCompressor(level=19).compress(made[0][24 + 9 : -32])
    decoded = made[0][24 + 9 : -32]
    made = (finish(crc(b"hello"), decoded, 1, stored), *made[1:])
    good("manifest-zstd-compressed", "§5.1: manifest coding 1, a compressed block", made)
    unknown = (
        varint(100 << 3) + varint(7) + varint(101 << 3 | 1) + u64(7) + message_field(102, b"?")
    )
    unknown += varint(103 << 3 | 5) + u32(7) + message_field(536870911, b"")
    made = archive(hello, (), tensor, edit_bytes=lambda b: unknown + b + unknown)
    good("manifest-unknown-fields", "§5.2: unknown fields of each wire type are ignored", made)
    split = varint(8 << 3) + varint(1)  # section_kind, not packed

    def unpack_kind(b):
        was = message_field(8, b"\1")
        assert b.count(was) == 1
        return b.replace(was, split)

    made = archive(hello, (), tensor, edit_bytes=unpack_kind)
    good(
        "manifest-not-packed",
        "§5.2: Protocol Buffers read a numeric column that is not packed",
        made,
    )

    def halve_dims(b):
        was = message_field(22, b"\1\3")
        assert b.count(was) == 1
        return b.replace(was, message_field(22, b"\1") + message_field(22, b"\3"))

    tensor = [T("t", "uint8", [1, 3], b"ell", "skeleton", 1, nnz=3)]
    made = archive(hello, (), tensor, edit_bytes=halve_dims)
    good(
        "manifest-column-in-pieces",
        "§5.2: Protocol Buffers join the pieces of a packed column",
        made,
    )


def scattered(n, members):
    dense = bytearray(n)
    for i, position in enumerate(members):
        dense[position] = i + 1
    return bytes(dense), raw(bytes(range(1, len(members) + 1)))


def good_positions():
    good("entries-none", "§9.1: no entries; values are absent", one(4, bytes(16), block(NONE)))
    good("entries-all", "§9.1: all are entries", one(2, b"abcd", block(ALL, NONE, raw(b"abcd"))))
    members = [0, 3, 8, 9]
    dense, values = scattered(10, members)
    good(
        "bitmap-packed",
        "§9.1.1: n not a multiple of 8",
        one(1, dense, block(bitmap(10, members), NONE, values)),
    )
    made = one(1, dense, block(bitmap(10, members, zipped), NONE, values))
    good("bitmap-zstd", "§9.1.1: the stream as zstd", made)
    made = one(1, bytes(10), block(bitmap(10, [])))
    good("bitmap-empty", "§9.1.1, §9: a bitmap without members; values are absent", made)
    dense, values = scattered(12, [3, 4, 8])
    made = one(1, dense, block(relative(2, [3, 0, 0, 3, 0]), NONE, values))
    good("relative-2-bits", "§9.1.2: gaps 3 (escape, 0), 0 and 3 (escape, 0)", made)
    dense, values = scattered(10, [2, 3, 9])
    made = one(1, dense, block(relative(1, [1, 1, 0, 0, 1, 1, 1, 1, 1, 0]), NONE, values))
    good(
        "relative-1-bit",
        "§9.1.2: gap_bits 1, where 1 is the escape; as many symbols as elements",
        made,
    )
    dense, values = scattered(600, [254, 510, 511])
    made = one(1, dense, block(relative(8, [254, 255, 0, 0]), NONE, values))
    good(
        "relative-8-bits",
        "§9.1.2: gap_bits 8; the largest gap without escape, and the escape",
        made,
    )
    dense, values = scattered(1400, [510, 1399])
    made = one(1, dense, block(relative(9, [510, 511, 377]), NONE, values))
    good("relative-9-bits", "§9.1.2: gap_bits 9", made)
    made = one(1, dense, block(relative(9, [510, 511, 377], stream=zipped), NONE, values))
    good("relative-9-bits-zstd", "§10.2: symbols of 9 bits are two planes", made)
    n = 131073
    dense, values = scattered(n, [0, n - 1])
    made = one(1, dense, block(relative(16, [0, 65535, 65535, 1]), NONE, values), coding=1)
    good("relative-16-bits", "§9.1.2: gap_bits 16; two escapes in one gap", made)
    dense, values = scattered(40, [0, 38])
    made = one(1, dense, block(relative(3, [0, 7, 7, 7, 7, 7, 2]), NONE, values))
    good("relative-escapes", "§9.1.2: five escapes in one gap", made)
    dense = bytes([0, 5, 0, 0, 0, 0, 0, 0, 0, 6])
    made = one(1, dense, block(relative(2, [1, 3, 3], FILLER), NONE, raw(b"\5\0\6")))
    good("relative-filler", "§9.1.2: filler; all ones is a gap and an entry", made)
    rows = packed([2, 0, 1], 3)
    dense = bytes([0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 3])
    made = one(1, dense, block(relative(2, [1, 0, 3, 0], BY_ROWS, rows), NONE, raw(b"\1\2\3")), 4)
    good("rows", "§9.1.2: by rows; a row without entries, an escape in the last", made)
    made = one(
        1,
        dense,
        block(relative(2, [1, 0, 3, 0], BY_ROWS, zipped([2, 0, 1], 3)), NONE, raw(b"\1\2\3")),
        4,
    )
    good("rows-counts-zstd", "§9.1.2: row counts as zstd", made)
    made = one(
        1, dense, block(relative(2, [1, 0, 3], BY_ROWS | FILLER, rows), NONE, raw(b"\1\2\3")), 4
    )
    good("rows-filler", "§9.1.2: by rows with filler", made)
    # rows of 4: the first block ends, the second starts and ends, inside a row
    dense = bytes([0, 0, 1, 0, 2, 0, 3, 0, 0, 4, 0, 5, 0, 6, 7, 8])
    first = block(relative(2, [2, 0], BY_ROWS, packed([1, 1], 3)), NONE, raw(b"\1\2"))
    second = block(relative(2, [1, 1, 1], BY_ROWS, packed([1, 2, 0], 3)), NONE, raw(b"\3\4\5"))
    third = block(relative(2, [0, 0, 0], BY_ROWS, packed([3], 2)), NONE, raw(b"\6\7\10"))
    made = one(1, dense, [(5, first), (8, second), (3, third)], 4)
    good(
        "rows-cut",
        "§9.1.2: by rows where blocks start and end inside rows, and where n is below columns",
        made,
    )
    first = block(NONE)
    second = block(ALL, NONE, raw(b"\1\2\3"))
    made = one(1, bytes(4) + b"\1\2\3" + bytes(2), [(4, first), (3, second), (2, first)], 3)
    good("blocks", "§8.3: three blocks and their directory", made)
    big = bytes(range(256))
    wide = [(256, block(ALL, NONE, raw(big))), (44, block(ALL, NONE, raw(big[:44])))]
    good("blocks-uneven", "§8.3: two blocks, one column each row", one(1, big + big[:44], wide, 1))


def good_values():
    good(
        "raw-zstd",
        "§9.2: raw as zstd",
        one(2, b"ab" * 20, block(ALL, NONE, raw(b"ab" * 20, zipped))),
    )
    text = b"the values of a block, " * 4 + b"and the values of a block !!"
    compressed = zstandard.ZstdCompressor(level=19).compress(text)
    made = one(4, text, block(ALL, NONE, b"\0" + zipped_frame(compressed)))
    good("raw-zstd-compressed", "§10.2: a compressed block with entropy coding", made)
    for width in (1, 2, 4, 8, 16):
        dense = bytes((37 * i + 129) % 256 for i in range(3 * width))
        dtype = {16: "complex128"}.get(width)
        for r in (0, 1, 8 * width - 1):
            made = one(width, dense, block(ALL, NONE, planes(dense, width, r)), dtype=dtype)
            good(f"planes-{width}-r{r}", f"§9.2: planes of {width} bytes, rotated by {r}", made)
    dense = f32(1, 2, 4, 8) * 4
    made = one(4, dense, block(ALL, NONE, planes(dense, 4, 1, zipped)))
    good("planes-zstd", "§9.2: planes as zstd", made)
    made = one(
        2, b"\1\2" * 3, block(ALL, NONE, codes([0, 0, 0], 1)), table=tables(codebook=[b"\1\2"])
    )
    good("codebook-1", "§9.2: a codebook of one pattern has codes of one bit", made)
    made = one(
        1, b"\5\7\7", block(ALL, NONE, codes([0, 1, 1], 1)), table=tables(codebook=[b"\5", b"\7"])
    )
    good("codebook-2", "§9.2: a codebook of two", made)
    made = one(
        1,
        b"\5\7\x80",
        block(ALL, NONE, codes([0, 1, 2], 2)),
        table=tables(codebook=[b"\5", b"\7", b"\x80"]),
    )
    good(
        "codebook-3",
        "§9.2: a codebook of three has codes of two bits; ascending as unsigned numbers",
        made,
    )
    book = [struct.pack("<H", 256 * (i % 2) + i * 300) for i in range(200)]
    order = [0, 199, 128, 127, 1]
    made = one(
        2,
        b"".join(book[i] for i in order),
        block(ALL, NONE, codes(order, 8)),
        table=tables(codebook=book),
    )
    good("codebook-200", "§8.2, §9.2: a codebook of 200; codes of 8 bits", made)
    book = [bytes([i]) for i in range(256)]
    made = one(
        1,
        b"\0\xff\x80",
        block(ALL, NONE, codes([0, 255, 128], 8)),
        table=tables(codebook=book),
        nnz=2,
    )
    good("codebook-256", "§8.2: the longest codebook", made)
    made = one(
        1,
        b"\7\5\7",
        block(ALL, NONE, codes([1, 0, 1], 1, zipped)),
        table=tables(codebook=[b"\5", b"\7"]),
    )
    good("codebook-zstd", "§9.2: codes as zstd: one byte each", made)
    made = one(
        1, b"\7\5\7", block(ALL, NONE, raw(b"\7\5\7")), table=tables(codebook=[b"\5", b"\7"])
    )
    good("codebook-not-used", "§9.2: a block need not use the codebook", made)
    made = one(1, b"\1", block(ALL, NONE, raw(b"\1")), table=tables())
    good("tables-without-content", "§8.2: tables of a flags byte alone", made)
    table = tables(b"\1\2\3\4", [b"\0\0\0\0", b"\1\2\3\4"])
    made = one(
        4,
        b"\0\0\0\0" + b"\1\2\3\4" * 3,
        block(bitmap(4, [0, 2]), NONE, codes([0, 1], 1)),
        table=table,
    )
    good("background", "§8.2: a background that is not zero; an entry with its pattern", made)
    dense = bytes(4) + f32(1) + bytes(4) + f32(-0.0)
    made = one(4, dense, block(bitmap(4, [1, 2, 3]), NONE, raw(dense[4:])), dtype="float32", nnz=1)
    good(
        "entries-zero", "§9: entries with the patterns of the background and of the alternate", made
    )
    nans = bytes.fromhex("010080ff 0000c07f ffffff7f 0000807f")
    made = one(
        4, nans + bytes(4), block(bitmap(5, range(4)), NONE, raw(nans)), dtype="float32", nnz=4
    )
    good("nan", "§1.1, §7.4: NaN bit patterns are kept, and are not zero", made)


def good_alternates():
    minus = f32(-0.0)
    dense = f32(0, 1, -0.0, 0, 2, -0.0)
    values = raw(f32(1, 2))
    entries = bitmap(6, [1, 4])
    made = one(4, dense, block(entries, bitmap(4, [1, 3]), values), dtype="float32", nnz=2)
    good("alternates-bitmap", "§9: −0.0 as a bitmap over the elements that are not entries", made)
    made = one(4, dense, block(entries, relative(1, [1, 0, 1, 0]), values), dtype="float32", nnz=2)
    good("alternates-relative", "§9: −0.0 as a relative index", made)
    made = one(
        4, dense, block(entries, relative(3, [1, 1], FILLER), values), dtype="float32", nnz=2
    )
    good("alternates-relative-filler", "§9.1.2: filler in a set of alternates", made)
    made = one(
        4, f32(1) + minus * 3, block(bitmap(4, [0]), ALL, raw(f32(1))), dtype="float32", nnz=1
    )
    good("alternates-all", "§9: all that are not entries are alternates", made)
    made = one(4, minus * 3, block(NONE, ALL), dtype="float32", nnz=0)
    good("alternates-only", "§9: alternates without entries", made)
    made = one(1, b"\1\2", block(ALL, ALL, raw(b"\1\2")))
    good("alternates-of-nothing", "§9: n − m is 0, alternates all", made)
    made = one(1, b"\1\2", block(ALL, bitmap(0, []), raw(b"\1\2")))
    good("alternates-bitmap-of-nothing", "§10: a stream of no symbols has no bytes", made)
    table = tables(b"\xff\x90")
    dense = b"\xff\x10\7\7\xff\x90"
    made = one(2, dense, block(bitmap(3, [1]), bitmap(2, [0]), raw(b"\7\7")), table=table)
    good("alternates-background", "§9: the alternate of a background that is not zero", made)
    dense = bytes(15) + b"\x80" + bytes(16)
    made = one(16, dense, block(NONE, bitmap(2, [0])), dtype="complex128", nnz=0)
    good("alternates-16", "§9: the top bit of an element of 16 bytes", made)


def good_tensors():
    p = P(1, b"\1\2\3\4", block(ALL, NONE, raw(b"\1\2\3\4")))
    tensors = [
        T("x", "uint8", [4], b"\1\2\3\4", "payload", 0, nnz=4),
        T("", "int8", [2, 2], b"\1\2\3\4", "payload", 0, nnz=4),
        T("y", "uint8", [2], b"ab", "skeleton", 1, nnz=2),
        T("x", "string", [2, 1], None, "opaque"),
        T("z", "float32", [3], None, "opaque"),
        T("4", "int4", [2], None, "opaque"),
    ]
    made = archive([("m", [b"<", 0, b"ab>"])], [p], tensors)
    good("tensors", "§7: each source; equal names, an empty name, two shapes of one payload", made)
    tensors = [
        T("a", "uint8", [5], b"\1\2\3\4\4", "payload", 0, 1, 5),
        T("b", "uint16", [2, 3], b"ab" * 6, "skeleton", 0, 5, 6),
        T("c", "float32", [3], bytes(12), "skeleton", 0, 3, 0),
        T("d", "uint8", [4], b"b\0\0\0", "skeleton", 1, 2, 1),
    ]
    made = archive([("m", [b"ab\0", 0])], [p], tensors)
    good("tensor-repeats", "§7.3: the last stored element repeated; zeros if none is stored", made)
    tensors = [
        T("a", "float64", [0], b"", "skeleton"),
        T("b", "float64", [3, 0, 5], b"", "skeleton", 1),
        T("c", "int32", [], b"abcd", "skeleton", 0, 0, 1),
        T("d", "int32", [1, 1, 1], b"abcd", "skeleton", 0, 0, 1),
        T("e", "string", [], None, "opaque"),
    ]
    made = archive([("m", [b"abcd"])], (), tensors)
    good("tensor-shapes", "§7.3: no elements, rank 0, dimensions of 0 and 1", made)
    ones = [1] * 254
    made = archive([("m", [b"a"])], (), [T("t", "uint8", ones, b"a", "skeleton", nnz=1)], coding=1)
    good("tensor-rank-254", "§11: the largest rank that a writer writes", made)
    top = {1: b"\x80", 2: b"\0\x80", 4: b"\0\0\0\x80", 8: b"\0\0\0\0\0\0\0\x80"}
    skeleton = bytes(15) + b"\x80"
    widths = [
        4,
        8,
        4,
        1,
        2,
        1,
        0,
        8,
        8,
        1,
        1,
        1,
        4,
        2,
        2,
        2,
        2,
        16,
        2,
        0,
        0,
        4,
        8,
        1,
        1,
        1,
        1,
        1,
        0,
        0,
        0,
        0,
        0,
    ]
    zero = {
        "float32",
        "float64",
        "bfloat16",
        "float16",
        "float8_e5m2",
        "float8_e4m3fn",
        "complex64",
        "complex128",
    }
    tensors = []
    for dtype, width in zip(DTYPES, widths):
        if width == 0:
            tensors.append(T(dtype, dtype, [], None, "opaque"))
            continue
        data = bytes(8) + top[8] if width == 16 else top[width]
        tensors.append(T(dtype, dtype, [], data, "skeleton", 16 - width, 0, int(dtype not in zero)))
    made = archive([("m", [skeleton])], (), tensors, coding=1)
    good("dtypes", "§7.2, §7.4: every dtype, one element with only its top bit set", made)
    data = f32(-0.0, -0.0, 0, -0.0, 1, -0.0, 0, 1)
    made = archive([("m", [data])], (), [T("t", "complex64", [4], data, "skeleton", 0, 0, 2)])
    good("complex-zero", "§7.4: a complex element is zero if both parts are", made)


def good_zstd():
    data = b"12345678" * 3
    content = frame_without_size(data)
    made = one(1, data, block(ALL, NONE, b"\0" + zipped_frame(content)))
    good("zstd-without-content-size", "§10.2: a frame that does not say its length", made)
    parameters = zstandard.ZstdCompressor(level=19, write_checksum=True)
    made = one(1, data, block(ALL, NONE, b"\0" + zipped_frame(parameters.compress(data))))
    good("zstd-checksum", "§10.2: a frame with a content checksum", made)


def patch(data, at, value):
    at %= len(data)
    return data[:at] + value + data[at + len(value) :]


def bad_ends():
    made = archive([("m", [b"hello"])])
    data = made[0]
    bad("magic", "open", "§3: magic", archive([("m", [])], header_={"magic": b"\x89TFZ\n\x1a\n\0"}))
    bad("header-crc", "open", "§3: header CRC-32", archive([("m", [])], header_={"lie": 1}))
    made = archive([("m", [])], header_={"lie": 1, "version": 2})
    bad("header-crc-version-2", "open", "§3: the CRC-32 is checked before the version", made)
    made = archive([("m", [])], footer_={"lie": 1, "coding": 2})
    bad("footer-crc-coding-2", "open", "§5.1: the CRC-32 is checked before the coding", made)
    bad("truncated-header", "open", "§2: the first 10 bytes of a file", data[:10], "truncated")
    bad("truncated-magic", "open", "§2: the first 3 bytes of a file", data[:3], "truncated")
    bad("truncated-55", "open", "§2: 55 bytes", data[:55], "truncated")
    bad("truncated-middle", "open", "§5.1: a file cut inside its manifest", data[:90], "truncated")
    bad("truncated-tail", "open", "§5.1: the last byte is missing", data[:-1], "truncated")
    bad("truncated-footer", "open", "§5.1: the footer is missing", data[:-32], "truncated")
    bad("appended", "open", "§5.1: a byte follows the file", data + b"\n", "truncated")
    bad("not-tfz", "open", "§3: another file, shorter than 56 bytes", b"hello")
    bad("header-missing", "open", "§3: the front of the file is missing", data[1:])
    bad("footer-crc", "open", "§5.1: footer CRC-32", archive([("m", [])], footer_={"lie": 1}))
    bad(
        "manifest-crc",
        "open",
        "§5.1: manifest CRC-32",
        archive([("m", [])], footer_={"manifest_crc": 1}),
    )
    m = archive([("m", [])])
    size = len(m[0]) - 56
    rule = "§5.1: the manifest starts before offset 24"
    crc_of = zlib.crc32(m[0][23:-32])
    made = archive(
        [("m", [])],
        footer_={"stored_bytes": size + 1, "manifest_bytes": size + 1, "manifest_crc": crc_of},
    )
    bad("manifest-before-24", "open", rule, made)
    made = archive([("m", [])], footer_={"stored_bytes": (1 << 64) - 1, "manifest_bytes": size})
    bad("manifest-stored-bytes-2-64", "open", "§5.1: manifest stored bytes of 2^64 − 1", made)
    made = archive([("m", [])], footer_={"manifest_bytes": size + 1})
    bad("manifest-lengths-differ", "open", "§5.1: coding 0 with two lengths", made)
    made = archive([("m", [])], coding=1, footer_={"manifest_bytes": size + 1})
    bad(
        "manifest-zstd-short", "open", "§5.1, §10.2: the zstd frame is shorter than announced", made
    )
    made = archive([("m", [])], coding=1, footer_={"manifest_bytes": size - 1})
    bad("manifest-zstd-long", "open", "§5.1, §10.2: the zstd frame is longer than announced", made)
    decoded = m[0][24:-32]
    bad(
        "manifest-zstd-two-frames",
        "open",
        "§10.2: exactly one zstd frame",
        finish(b"", decoded, 1, frame(decoded[:9]) + frame(decoded[9:])),
    )
    bad(
        "manifest-zstd-trailing",
        "open",
        "§10.2: a byte after the zstd frame",
        finish(b"", decoded, 1, frame(decoded) + b"\0"),
    )
    bad(
        "manifest-zstd-damaged",
        "open",
        "§10.2: a zstd frame that ends early",
        finish(b"", decoded, 1, frame(decoded)[:-1]),
    )
    for name, rule, edit in (
        ("manifest-cut", "a field is longer than the message", lambda b: b + b"\xa2\x06\x05abcd"),
        ("manifest-cut-varint", "the message ends inside a varint", lambda b: b + b"\xa0"),
        ("manifest-field-0", "field number 0", lambda b: b + b"\x02\x00"),
        ("manifest-wire-type-7", "wire type 7", lambda b: b + b"\xa7\x06"),
        (
            "manifest-varint-11",
            "a varint of 11 bytes",
            lambda b: b + b"\xa0\x06" + b"\x80" * 10 + b"\0",
        ),
        (
            "manifest-column-cut",
            "a packed column ends inside a varint",
            lambda b: b + b"\x12\x01\x80",
        ),
    ):
        bad(name, "open", "§5.2: " + rule, archive([("m", [])], edit_bytes=edit))
    made = archive([(b"\xff", [])])
    bad("manifest-not-utf8", "open", "§5.2: file_name is not UTF-8", made)
    tensor = T(b"\xc0\x80", "uint8", [0], b"", "skeleton")
    tensor[0]["bytes"] = ""
    bad(
        "tensor-name-not-utf8",
        "open",
        "§7.1: tensor_name is not UTF-8",
        archive([("m", [])], (), [tensor]),
    )


def bad_columns():
    p = P(1, b"\1", block(ALL, NONE, raw(b"\1")))
    t = T("t", "uint8", [1], b"\1", "payload", 0, 0, 1)
    columns = (
        "file_bytes file_holes hole_gap hole_payload section_bytes section_align section_payloads"
        " payload_elements payload_columns payload_stored_bytes payload_table_bytes"
        " payload_blocks tensor_file tensor_dtype tensor_rank tensor_source tensor_at"
        " tensor_repeats tensor_nnz"
    ).split()
    for column in columns:
        made = archive([("m", [0])], [p], [t], edit=lambda m: m[column].append(0))
        bad(
            "column-" + column.replace("_", "-"), "open", f"§5.2: {column} has one value more", made
        )
    made = archive([("m", [0])], [p], [t], edit=lambda m: m["tensor_nnz"].pop())
    bad("column-absent", "open", "§5.2: tensor_nnz is absent", made)
    made = archive([("m", [0])], [p], [t], edit=lambda m: m["file_name"].append("n"))
    bad("column-file-name", "open", "§5.2: file_name has one value more", made)
    made = archive([("m", [0])], [p], [t], edit=lambda m: m["tensor_dim"].append(1))
    bad("dims-left-over", "open", "§7.3: the ranks do not add up to the dimensions", made)
    made = archive([("m", [0])], [p], [t], edit=setter(tensor_rank=[2]))
    bad("dims-missing", "open", "§7.3: more rank than dimensions", made)
    made = archive([("m", [])], edit=setter(file_sha256=bytes(31)))
    bad("sha256-31-bytes", "open", "§5.2: file_sha256 is not 32 bytes a file", made)
    made = archive([("m", [])], edit=setter(file_sha256=b""))
    bad("sha256-absent", "open", "§5.2: file_sha256 is absent", made)
    made = archive([("m", [])], source_sha256=bytes(64))
    bad(
        "source-sha256-64-bytes",
        "open",
        "§5.2: file_source_sha256 is neither empty nor 32 bytes a file",
        made,
    )
    made = archive([("m", [0])], [p], edit=setter(file_holes=[2]))
    bad("file-holes-more", "open", "§6.1: file_holes says more than there are holes", made)
    made = archive([("m", [0, b"a"])], [p], edit=setter(file_holes=[0]))
    bad("file-holes-less", "open", "§6.1: a hole belongs to no file", made)
    made = archive([("m", []), ("n", [])], edit=setter(file_holes=[(1 << 64) - 1, 1]))
    bad("file-holes-overflow", "open", "§1.2, §6.1: file_holes adds up to 2^64", made)


def bad_sections():
    hello = [("m", [b"hello"])]
    made = archive(hello, edit=setter(section_align=[13]))
    bad("section-align-13", "open", "§4: section_align is at most 12", made)
    made = archive(hello, sections=[(1, crc(b"hello"), 5, 0)], pad=b"\1")
    bad("section-padding", "verify", "§4: padding that is not zero", made)
    made = archive(hello, sections=[(1, crc(b"hello"), 5, 0)], edit=setter(section_align=[0]))
    bad("section-gap", "open", "§4: the last section ends before the manifest", made)
    made = archive(hello, edit=setter(section_bytes=[10]))
    bad("section-into-manifest", "open", "§4: the last section ends inside the manifest", made)
    made = archive(hello, edit=setter(section_bytes=[(1 << 64) - 1]))
    bad("section-bytes-2-64", "open", "§1.2, §4: section_bytes is 2^64 − 1", made)
    made = archive(
        [("m", [])],
        edit=setter(section_kind=[1], section_bytes=[0], section_align=[0], section_payloads=[0]),
    )
    bad("skeleton-frame-empty", "open", "§6.2: a skeleton section without a skeleton", made)
    p = P(1, b"\1", block(ALL, NONE, raw(b"\1")))
    made = archive([("m", [b"a", 0])], [p], edit=setter(section_payloads=[1, 1]))
    bad("skeleton-with-payloads", "open", "§4: a skeleton frame with section_payloads", made)
    made = archive([("m", [b"a", 0])], [p], edit=setter(section_payloads=[0, 0]))
    bad("section-without-payloads", "open", "§4: a section of no payloads", made)
    made = archive([("m", [0])], [p], edit=setter(section_payloads=[2]))
    bad("section-payloads-more", "open", "§4: more payloads in sections than in the table", made)
    two = [("m", [0, 1])]
    made = archive(two, [p, p], edit=setter(section_payloads=[1]))
    bad("section-payloads-less", "open", "§4: a payload in no section", made)
    stored = len(p.record)
    made = archive(two, [p, p], edit=setter(payload_stored_bytes=[stored, stored - 1]))
    bad("payload-bytes-less", "open", "§4: the payload records do not fill their section", made)
    made = archive(two, [p, p], edit=setter(payload_stored_bytes=[stored, stored + 1]))
    bad("payload-bytes-more", "open", "§4: the payload records do not fit into their section", made)
    sections = [(2, p.record, 0, 1), (2, p.record, 0, 1)]
    made = archive(
        two, [p, p], sections=sections, edit=setter(payload_stored_bytes=[stored + 1, stored - 1])
    )
    bad("payload-over-sections", "open", "§4: a payload record reaches into the next section", made)


def bad_files():
    p = P(1, b"\1\2", block(ALL, NONE, raw(b"\1\2")))
    made = archive([("m", [b"a", 0])], [p], edit=setter(hole_gap=[2]))
    bad("hole-past-file", "open", "§6.1: a hole ends past its file", made)
    made = archive([("m", [b"a", 0])], [p], edit=setter(hole_gap=[(1 << 64) - 1]))
    bad("hole-gap-2-64", "open", "§1.2, §6.1: a gap of 2^64 − 1", made)
    made = archive([("m", [0])], [p], edit=setter(hole_payload=[1]))
    bad("hole-payload-missing", "open", "§6.1: the first hole names payload 1", made)
    made = archive([("m", [0, 0])], [p], edit=setter(hole_payload=[0, 1]))
    bad(
        "hole-payload-past-table",
        "open",
        "§6.1: a hole names a payload that is not in the table",
        made,
    )
    made = archive([("m", [0, 1])], [p, p], edit=setter(hole_payload=[1, 0]))
    bad("payload-order", "open", "§6.1: payloads are not in the order of their first use", made)
    made = archive([("m", [0])], [p, p])
    bad("payload-not-used", "open", "§6.1: no hole uses the last payload", made)
    names = {
        "empty": "", "absolute": "/m", "empty-part": "a//b", "folder-only": "a/", "dot": ".",
        "dot-part": "a/./b", "dot-dot": "..", "dot-dot-part": "a/../b", "dot-dot-last": "a/..",
        "space-end": "a ", "space-end-part": "a /b", "dot-end": "a.", "dot-end-part": "a./b",
        "three-dots": "...", "space": " ", "backslash": "a\\b", "colon": "c:m",
        "nul-character": "a\0b",
        "control": "a\x1fb", "newline": "a\nb", "less": "a<b", "greater": "a>b", "quote": 'a"b',
        "bar": "a|b", "question": "a?b", "star": "a*b", "con": "CON", "prn-lower": "prn",
        "aux-part": "a/Aux/b", "nul-extension": "nul.txt", "nul-extensions": "NUL.tar.gz",
        "com0": "com0", "com1": "COM1", "com9-extension": "com9.c", "lpt0": "LPT0", "lpt9": "lpt9",
    }  # fmt: skip
    for label, name in names.items():
        bad(
            "name-" + label,
            "open",
            f"§6.1: `file_name` is `{json.dumps(name)[1:-1].replace('|', chr(0xA6))}`",
            archive([(name, [])]),
        )
    for label, rule, names in (
        ("equal", "twice the same name", ["m", "m"]),
        ("equal-case", "names that differ in case", ["Model", "mOdel"]),
        (
            "equal-case-unicode",
            "names that differ in the case of a letter outside ASCII",
            ["Ä", "ä"],
        ),
        ("folder", "a file and a folder of the same name", ["a", "a/b"]),
        ("folder-first", "a folder and a file of the same name", ["a/b/c", "a/b"]),
        (
            "folder-apart",
            "a file and a folder, and between them in any order a third",
            ["a", "a-", "a/b"],
        ),
        ("folder-case", "a file and a folder that differ in case", ["A", "a/b"]),
    ):
        bad("names-" + label, "open", "§6.1: " + rule, archive([(name, []) for name in names]))
    for label, rule, names, folders in (
        ("name", "an empty folder that leads elsewhere", ["m"], ["../a"]),
        ("twice", "the same empty folder twice", [], ["a", "a"]),
        ("of-file", "an empty folder that has a file", ["a/b"], ["a"]),
        ("of-folder", "an empty folder that has an empty folder", [], ["a/b", "A"]),
        ("in-file", "an empty folder in a file", ["a"], ["a/b"]),
        ("and-file", "an empty folder with the name of a file", ["a"], ["A"]),
    ):
        made = archive([(name, []) for name in names], edit=setter(empty_folder=folders))
        bad("empty-folder-" + label, "open", "§6.4: " + rule, made)


def bad_skeletons():
    hello = [("m", [b"hello"])]
    made = archive(hello, frames=[crc(b"hello", 1)])
    bad("frame-crc", "restore", "§6.2: CRC-32 of a skeleton frame", made)
    bad(
        "frame-long",
        "restore",
        "§6.2: a body longer than its frame",
        archive(hello, frames=[crc(b"hello!")]),
    )
    bad(
        "frame-short",
        "restore",
        "§6.2: a shorter body that is no zstd frame",
        archive(hello, frames=[crc(b"hell")]),
    )
    bad(
        "frame-3-bytes",
        "restore",
        "§6.2: a skeleton section too short for a CRC-32",
        archive(hello, frames=[b"abc"]),
    )
    bad(
        "frame-no-body",
        "restore",
        "§6.2: a skeleton section without a body",
        archive(hello, frames=[crc(b"")]),
    )
    zeros = [("m", [bytes(100)])]
    made = archive(zeros, frames=[crc(frame(bytes(99)))])
    bad("frame-zstd-short", "restore", "§6.2, §10.2: a zstd frame that decodes to less", made)
    made = archive(zeros, frames=[crc(frame(bytes(101)))])
    bad("frame-zstd-long", "restore", "§6.2, §10.2: a zstd frame that decodes to more", made)
    made = archive(zeros, frames=[crc(frame_without_size(bytes(101)))])
    bad("frame-zstd-long-no-size", "restore", "§6.2, §10.2: the same, without a content size", made)
    made = archive(zeros, frames=[crc(frame_without_size(bytes(99)))])
    bad(
        "frame-zstd-short-no-size",
        "restore",
        "§6.2, §10.2: a shorter one without a content size",
        made,
    )
    made = archive(zeros, frames=[crc(frame(bytes(100), 99))])
    bad("frame-zstd-lies", "restore", "§10.2: a zstd frame with a wrong content size", made)
    made = archive(zeros, frames=[crc(frame(bytes(50)) + frame(bytes(50)))])
    bad("frame-zstd-two", "restore", "§10.2: exactly one zstd frame", made)
    made = archive(zeros, frames=[crc(skippable(b"0123456789"))])
    bad("frame-zstd-skippable-only", "restore", "§10.2: a skippable frame alone", made)
    made = archive(zeros, frames=[crc(skippable(b"??") + frame(bytes(100)))])
    bad("frame-zstd-skippable-before", "restore", "§10.2: a skippable frame before the frame", made)
    made = archive(zeros, frames=[crc(frame(bytes(100)) + skippable(b""))])
    bad("frame-zstd-skippable-after", "restore", "§10.2: a skippable frame after the frame", made)
    dictionary = b"\x28\xb5\x2f\xfd\x21\x07\x64" + frame_blocks(bytes(100))
    made = archive(zeros, frames=[crc(dictionary)])
    bad("frame-zstd-dictionary", "restore", "§10.2: a zstd frame with a dictionary", made)
    made = archive(zeros, frames=[crc(frame(bytes(100), magic=b"\x27\xb5\x2f\xfd"))])
    bad("frame-zstd-magic", "restore", "§10.2: a zstd frame without its magic", made)
    made = archive(hello, frames=[crc(b"hel"), crc(b"lo")])
    bad("frames-more", "open", "§6.2: more skeleton sections than frames", made)
    made = archive([("m", [bytes(1 << 20) + b"a"])], frames=[crc(frame(bytes(1 << 20)))])
    bad("frames-less", "open", "§6.2: fewer skeleton sections than frames", made)
    made = archive(hello, edit=lambda m: m.update(file_sha256=hashlib.sha256(b"hullo").digest()))
    bad("sha256", "restore", "§6.3: the restored file has another SHA-256", made)
    p = P(1, b"\1\2", block(ALL, NONE, raw(b"\1\2")))
    made = archive([("m", [0, b"ab"])], [p], edit=setter(hole_gap=[1]))
    bad("sha256-hole-moved", "restore", "§6.3: a hole in another place", made)


def bad_tensors():
    p = P(2, b"\1\2\3\4", block(ALL, NONE, raw(b"\1\2\3\4")))

    def made(dtype="uint16", shape=(2,), source="payload", at=0, repeats=0, nnz=2, file=0):
        t = T("t", dtype, shape, b"", source, at, repeats, nnz, file)
        return archive([("m", [0, b"abc"])], [p], [t])

    for name, rule, lie in (
        ("file", "§7.1: tensor_file is no file", {"file": 1}),
        (
            "2-63",
            "§7.3: 2^63 elements",
            {"shape": [1 << 62, 2], "source": "skeleton", "repeats": 1 << 63, "nnz": 0},
        ),
        ("2-64", "§1.2, §7.3: 2^64 + 2 elements", {"shape": [1 << 63 | 1, 2]}),
        (
            "dimension-2-63",
            "§1.2: a dimension of 2^63 beside one of 0",
            {"shape": [0, 1 << 63], "source": "skeleton", "nnz": 0},
        ),
        ("repeats", "§7.3: more repeats than elements", {"repeats": 3}),
        ("payload-missing", "§7.3: there is no such payload", {"at": 1}),
        ("payload-width", "§7.3: the payload has another width", {"dtype": "uint8"}),
        ("payload-elements", "§7.3: the payload has more elements", {"shape": [1], "nnz": 1}),
        ("payload-elements-less", "§7.3: the payload has fewer elements", {"shape": [3]}),
        ("payload-repeats", "§7.3: the payload has the elements that are repeated", {"repeats": 1}),
        (
            "skeleton-past",
            "§7.3: the last byte is past the skeleton",
            {"source": "skeleton", "at": 0},
        ),
        (
            "skeleton-at",
            "§7.3: starts past the skeleton",
            {"shape": [1], "source": "skeleton", "at": 4, "nnz": 0},
        ),
        (
            "skeleton-at-2-64",
            "§1.2, §7.3: tensor_at is 2^64 − 1",
            {"shape": [1], "source": "skeleton", "at": (1 << 64) - 1},
        ),
        (
            "opaque-at",
            "§7.3: an opaque tensor with tensor_at",
            {"source": "opaque", "nnz": 0, "at": 1},
        ),
        (
            "opaque-repeats",
            "§7.3: an opaque tensor with repeats",
            {"source": "opaque", "nnz": 0, "repeats": 1},
        ),
        ("opaque-nnz", "§7.3: an opaque tensor with nnz", {"source": "opaque", "nnz": 1}),
        (
            "string-skeleton",
            "§7.3: a dtype without a width is opaque",
            {"dtype": "string", "shape": [0], "source": "skeleton", "nnz": 0},
        ),
        ("int4-payload", "§7.3: a dtype without a width is opaque", {"dtype": "int4", "nnz": 0}),
    ):
        bad("tensor-" + name, "open", rule, made(**lie))
    bad(
        "tensor-nnz",
        "verify",
        "§7.4: tensor_nnz is not the number of elements that are not zero",
        made(nnz=1),
    )
    unsupported("tensor-source-3", "open", "§7.3: another tensor source", made(source=3))
    unsupported("dtype-0", "open", "§7.2: dtype 0", made(dtype=0))
    unsupported("dtype-34", "open", "§7.2: dtype 34", made(dtype=34))
    unsupported(
        "dtype-ref", "open", "§7.2: dtype 101, a reference type of TensorFlow", made(dtype=101)
    )


def bad_payloads():
    two = block(ALL, NONE, raw(b"\1\2"))

    def made(**columns):
        return one(1, b"\1\2", two, edit=setter(**columns))

    bad("payload-width-0", "open", "§8: a width of 0", made(payload_width=[0]))
    bad("payload-width-3", "open", "§8: a width of 3", made(payload_width=[3]))
    bad("payload-width-32", "open", "§8: a width of 32", made(payload_width=[32]))
    bad("payload-columns-0", "open", "§8: no columns", made(payload_columns=[0]))
    bad(
        "payload-columns-3",
        "open",
        "§8: columns that do not divide the elements",
        made(payload_columns=[3]),
    )
    bad("payload-blocks-0", "open", "§8.3: no blocks", made(payload_blocks=[0]))
    bad("payload-blocks-3", "open", "§8.3: more blocks than elements", made(payload_blocks=[3]))
    bad(
        "payload-blocks-2",
        "open",
        "§8.1: a directory longer than the record",
        made(payload_blocks=[2]),
    )
    bad(
        "payload-table-bytes",
        "open",
        "§8.1: tables longer than the record",
        made(payload_table_bytes=[len(two) + 1]),
    )
    no_elements = P(1, b"", [(0, block(NONE))], columns=1)
    bad("payload-elements-0", "open", "§8: no elements", archive([("m", [0])], [no_elements]))

    def with_table(table, dense=b"\1\2", values=raw(b"\1\2"), width=1):
        return one(width, dense, block(ALL, NONE, values), table=table)

    table = tables(b"\5")
    bad("table-crc", "tensor", "§8.2: CRC-32 of the tables", with_table(crc(b"\1\5", 1)))
    bad(
        "table-crc-flag",
        "tensor",
        "§1.3, §8.2: a flag that is not defined under a wrong CRC-32",
        with_table(crc(b"\4", 1)),
    )
    bad("table-3-bytes", "tensor", "§8.2: tables too short for a CRC-32", with_table(table[:3]))
    bad("table-4-bytes", "tensor", "§8.2: tables without a flags byte", with_table(crc(b"")))
    bad(
        "table-trailing",
        "tensor",
        "§8.2: a byte after the tables",
        with_table(tables(b"\5", more=b"\0")),
    )
    bad(
        "table-background-cut",
        "tensor",
        "§8.2: the background is missing",
        with_table(tables(flags=1)),
    )
    bad(
        "table-codebook-cut",
        "tensor",
        "§8.2: a codebook shorter than it says",
        with_table(crc(b"\2\2\1\2")),
    )
    bad(
        "table-codebook-length-missing",
        "tensor",
        "§8.2: a codebook without a length",
        with_table(crc(b"\2")),
    )
    bad(
        "table-codebook-equal",
        "tensor",
        "§8.2: twice the same pattern in a codebook",
        with_table(tables(codebook=[b"\5", b"\5"])),
    )
    bad(
        "table-codebook-order",
        "tensor",
        "§8.2: a codebook that is not ascending",
        with_table(tables(codebook=[b"\1", b"\5", b"\2"])),
    )
    book = [b"\2\1", b"\1\2", b"\3\1"]
    made = with_table(tables(codebook=book), b"\2\1\1\2", codes([0, 1], 2), 2)
    bad(
        "table-codebook-order-16",
        "tensor",
        "§8.2: a codebook that is ascending only by its low bytes",
        made,
    )
    made = with_table(tables(codebook=[b"\xff", b"\1"]), b"\xff\1", codes([0, 1], 1))
    bad(
        "table-codebook-signed",
        "tensor",
        "§8.2: a codebook that is ascending as signed numbers",
        made,
    )
    made = with_table(tables(flags=4))
    bad("table-flag-2-alone", "tensor", "§8.2: flags that announce classes, without them", made)
    unsupported(
        "table-flag-7",
        "tensor",
        "§8.2: another table flag, with a background",
        with_table(tables(b"\5", flags=0x81)),
    )

    a, b = block(ALL, NONE, raw(b"\1\2")), block(ALL, NONE, raw(b"\3\4\5"))
    c = block(NONE)
    cut = len(a)

    def directed(rows, blocks=((2, a), (3, b)), dense=b"\1\2\3\4\5", **how):
        return one(
            1,
            dense,
            list(blocks),
            directory=rows if isinstance(rows, bytes) else directory(rows),
            **how,
        )

    bad(
        "directory-crc",
        "tensor",
        "§8.3: CRC-32 of the directory",
        directed(crc(u64(2) + u64(cut), 1)),
    )
    bad(
        "directory-element-0",
        "tensor",
        "§8.3: a first block without elements",
        directed([(0, cut)]),
    )
    bad(
        "directory-element-end",
        "tensor",
        "§8.3: a last block without elements",
        directed([(5, cut)]),
    )
    bad(
        "directory-element-past",
        "tensor",
        "§8.3: an end element past the payload",
        directed([(6, cut)]),
    )
    bad(
        "directory-element-2-64",
        "tensor",
        "§8.3: an end element of 2^64 − 1",
        directed([((1 << 64) - 1, cut)]),
    )
    bad("directory-byte-0", "tensor", "§8.3: a first block without bytes", directed([(2, 0)]))
    bad(
        "directory-byte-end",
        "tensor",
        "§8.3: a last block without bytes",
        directed([(2, cut + len(b))]),
    )
    bad(
        "directory-byte-past",
        "tensor",
        "§8.3: an end byte past the blocks",
        directed([(2, cut + len(b) + 1)]),
    )
    bad(
        "directory-byte-2-64",
        "tensor",
        "§8.3: an end byte of 2^64 − 1",
        directed([(2, (1 << 64) - 1)]),
    )
    bad(
        "directory-byte-moved",
        "tensor",
        "§8.3: a block that ends a byte too early",
        directed([(2, cut - 1)]),
    )
    bad(
        "directory-element-moved",
        "tensor",
        "§8.3, §9: a block of fewer elements than it holds",
        directed([(1, cut)]),
    )
    three = ((2, a), (3, b), (2, c))
    dense = b"\1\2\3\4\5\0\0"
    rows = [(5, cut), (5, cut + len(b))]
    bad(
        "directory-elements-equal",
        "tensor",
        "§8.3: end elements that are equal",
        directed(rows, three, dense),
    )
    rows = [(5, cut), (2, cut + len(b))]
    bad(
        "directory-elements-descend",
        "tensor",
        "§8.3: end elements that descend",
        directed(rows, three, dense),
    )
    rows = [(2, cut), (5, cut)]
    bad(
        "directory-bytes-equal",
        "tensor",
        "§8.3: end bytes that are equal",
        directed(rows, three, dense),
    )
    rows = [(2, cut + len(b)), (5, cut)]
    bad(
        "directory-bytes-descend",
        "tensor",
        "§8.3: end bytes that descend",
        directed(rows, three, dense),
    )
    n = (1 << 22) + 1
    bad(
        "block-elements",
        "tensor",
        "§8.3: a block of more than 2^22 elements",
        one(1, bytes(n), block(NONE)),
    )
    n = (1 << 20) + 1
    bad(
        "block-bytes",
        "tensor",
        "§8.3: a block of more than 2^24 bytes",
        one(16, bytes(16 * n), block(NONE)),
    )


def bad_blocks():
    def made(data, n=8, width=1, table=b"", columns=None):
        return one(width, bytes(n * width), data, columns, table)

    def broken(name, rule, data, kind="bad", level="tensor", **how):
        how_ = made(data, **how)
        (bad if kind == "bad" else unsupported)(name, level, rule, how_)

    v = raw(b"\1")
    broken("block-crc", "§9: CRC-32 of a block", crc(ALL + NONE + raw(bytes(8)), 1))
    broken(
        "block-crc-kind",
        "§8: a payload of one block has less than 6 bytes for it; a position kind under a wrong CRC-32",
        crc(b"\4", 1),
        level="open",
    )
    rule = "§8: a payload of one block has less than 6 bytes for it"
    broken("block-3-bytes", rule, b"\0\0\0", level="open")
    broken("block-empty", rule + ": a CRC-32 alone", crc(b""), level="open")
    broken("block-no-alternates", rule + ": no alternates", crc(NONE), level="open")
    broken("block-no-values", "§9: entries without values", crc(ALL + NONE))
    broken("block-trailing", "§9: a byte after the values", block(NONE, NONE, b"\0"))
    broken(
        "block-trailing-values",
        "§9: a byte after the values",
        block(ALL, NONE, raw(bytes(8)), b"\0"),
    )
    broken(
        "block-values-of-nothing",
        "§9: values where there are no entries",
        block(bitmap(8, []), NONE, raw(b"")),
    )
    broken("position-kind-4-without-classes", "§9.1.3: classes in a payload without", block(b"\4"))
    broken(
        "position-kind-4-alternates",
        "§9.1: another position kind",
        block(NONE, b"\xff"),
        "unsupported",
    )
    broken(
        "bitmap-bits",
        "§9.1.1: a bit at n is set",
        block(b"\2" + packed(b"\x41"), NONE, raw(b"\1\2")),
        n=6,
    )
    data = block(NONE, b"\2" + packed(b"\x41"))
    broken("bitmap-bits-alternates", "§9.1.1: a bit at n is set, in alternates", data, n=6)
    broken("bitmap-cut", "§9.1.1: a bitmap that the block does not hold", crc(b"\2\0"))
    data = block(b"\2" + zipped(b"\1\0"), NONE, v)
    broken("bitmap-zstd-long", "§9.1.1, §10.2: a bitmap with a byte too many", data)

    data = block(relative(3, [6, 1]), NONE, raw(b"\1\2"))
    broken("relative-past-end", "§9.1.2: an entry at n", data)
    data = block(relative(3, [7, 1]), NONE, v)
    broken("relative-past-end-escape", "§9.1.2: an entry past n after an escape", data)
    data = block(relative(3, [7, 7, 0], FILLER), NONE, raw(b"\1\2\3"))
    broken("relative-filler-past-end", "§9.1.2: a filler past n", data)
    data = block(NONE, relative(4, [8]))
    broken("relative-alternates-past-end", "§9.1.2: an alternate past n", data)
    data = block(bitmap(8, [0, 1]), relative(4, [6]), raw(b"\1\2"))
    broken("alternates-past-end", "§9: an alternate at n − m", data)
    data = block(relative(2, [0, 3]), NONE, v)
    broken("relative-escape-last", "§9.1.2: a chain that ends with an escape", data)
    data = block(relative(2, [3]), NONE)
    broken("relative-escape-only", "§9.1.2: a chain of one escape", data)
    data = block(relative(2, [0, 0], BY_ROWS, packed([1, 0], 3)), NONE, v)
    broken("rows-symbols-left", "§9.1.2: a symbol that no row counts", data, columns=4)
    data = block(relative(2, [0, 3], BY_ROWS, packed([1, 0], 3)), NONE, v)
    broken("rows-escape-last", "§9.1.2: by rows, an escape after the last entry", data, columns=4)
    data = block(relative(2, [0], BY_ROWS, packed([1, 1], 3)), NONE, raw(b"\1\2"))
    broken(
        "rows-symbols-missing",
        "§9.1.2: a row that counts more entries than there are symbols",
        data,
        columns=4,
    )
    data = block(relative(3, [4], BY_ROWS, packed([1, 0], 3)), NONE, v)
    broken("rows-past-row", "§9.1.2: by rows, an entry at the end of its row", data, columns=4)
    data = block(relative(3, [0] * 5, BY_ROWS, packed([5, 0], 3)), NONE, raw(bytes(5)))
    broken("rows-count-past-row", "§9.1.2: by rows, more entries than columns", data, columns=4)
    cut = block(relative(3, [0, 2], BY_ROWS, packed([1, 1], 3)), NONE, raw(b"\1\2"))
    rest = block(NONE)
    bad(
        "rows-past-cut-row",
        "tensor",
        "§9.1.2: by rows, an entry past the end of a row that the block cuts",
        one(1, bytes(8), [(6, cut), (2, rest)], 4),
    )
    cut = block(relative(3, [2], BY_ROWS, packed([1, 0], 3)), NONE, v)
    bad(
        "rows-past-first-row",
        "tensor",
        "§9.1.2: by rows, an entry past the end of a first row that the block cuts",
        one(1, bytes(8), [(2, rest), (6, cut)], 4),
    )
    data = block(NONE, relative(3, [0], BY_ROWS, packed([1, 0], 3)))
    broken("rows-alternates", "§9.1.2: alternates by rows", data, columns=4)
    data = block(relative(3, [0], BY_ROWS, b"\0\xc1"), NONE, v)
    broken("rows-counts-bits", "§10.1: a bit after the row counts is set", data, columns=4)
    broken("gap-bits-0", "§9.1.2: gap_bits is 0", block(b"\3\0\1" + b"\0\0", NONE, v))
    broken("gap-bits-17", "§9.1.2: gap_bits is 17", block(b"\3\x11\1" + b"\0\0\0\0", NONE, v))
    broken(
        "relative-form-bit-7",
        "§9.1.2: bit 7 of the form",
        block(relative(3, [0], 0x80), NONE, v),
        "unsupported",
    )
    broken("relative-symbols-0", "§9.1.2: no symbols", block(relative(3, []), NONE))
    data = block(relative(1, [0] * 9), NONE, raw(bytes(9)))
    broken("relative-symbols-9", "§9.1.2: more symbols than elements", data)
    broken(
        "relative-symbols-long",
        "§1.2: a varint longer than its value needs",
        block(b"\3\3\x81\0" + packed([0], 3), NONE, v),
    )
    data = block(b"\3\3" + b"\xff" * 9 + b"\2" + packed([0], 3), NONE, v)
    broken("relative-symbols-2-64", "§1.2: a varint of 2^64 or more", data)
    data = block(b"\3\3" + b"\x81" + b"\x80" * 9 + b"\0" + packed([0], 3), NONE, v)
    broken("relative-symbols-11", "§1.2: a varint of 11 bytes", data)
    broken("relative-cut", "§9.1.2: the block ends inside a varint", crc(b"\3\3\x81"))
    broken(
        "relative-gaps-bits", "§10.1: a bit after the gaps is set", block(b"\3\3\1\0\x08", NONE, v)
    )
    data = block(
        relative(9, [300, 511], stream=lambda s, b: zipped([300, 512], 9)), NONE, raw(b"\1\2")
    )
    broken("relative-zstd-symbol", "§10.2: a symbol of 2^b", data, n=2000)
    data = block(relative(3, [0], stream=lambda s, b: zipped([8], 8)), NONE, v)
    broken("relative-zstd-symbol-3", "§10.2: a symbol of 8 in 3 bits", data, n=20)

    def values(name, rule, data, kind="bad", n=8, **how):
        broken(name, rule, block(ALL, NONE, data), kind, n=n, **how)

    data = b"\3" + packed(bytes(8))
    values("value-kind-3-without-coder", "§9.2.1: coded values in a payload without a coder", data)
    values("raw-cut", "§9.2: fewer bytes than elements", raw(bytes(7)))
    values("planes-r-8", "§9.2: r is not below 8w", b"\1\x08" + packed(bytes(8)))
    values("planes-r-32", "§9.2: r is not below 8w", b"\1\x20" + packed(bytes(2)) * 4, n=2, width=4)
    values("planes-missing", "§9.2: a plane is missing", b"\1\0" + packed(bytes(2)), n=2, width=2)
    values("codebook-absent", "§9.2: codes without a codebook", codes([0] * 8, 1))
    values(
        "codebook-background-only",
        "§9.2: codes in a payload with tables but no codebook",
        codes([0] * 8, 1),
        table=tables(b"\5"),
    )
    book = tables(codebook=[b"\1", b"\2", b"\3"])
    values(
        "code",
        "§9.2: a code that is the length of the codebook",
        codes([3, 0, 0, 0, 0, 0, 0, 0], 2),
        table=book,
    )
    values(
        "code-1",
        "§9.2: code 1 of one",
        codes([0, 0, 0, 0, 0, 0, 0, 1], 1),
        table=tables(codebook=[b"\1"]),
    )
    values(
        "code-zstd",
        "§9.2: a code past the codebook, as zstd",
        codes([3] * 8, 2, zipped),
        table=book,
    )
    values("code-bits", "§10.1: a bit after the codes is set", b"\2\0\x10", n=2, table=book)
    data = b"\0\2" + bytes(8)
    values("stream-coding-2-of-zeros", "§10.3.1: a length of a word after 64 zero bits", data)
    values(
        "stream-coding-3", "§10: stream coding 3 is set aside", b"\0\3" + bytes(8), "unsupported"
    )
    values("stream-coding-255", "§10: another stream coding", b"\0\xff" + bytes(8), "unsupported")
    z = frame(bytes(range(8)))
    values(
        "zstd-length-long",
        "§1.2: the length of a zstd frame in a varint longer than needed",
        b"\0\1" + u8(len(z) | 128) + b"\0" + z,
    )
    values(
        "zstd-cut", "§10: a zstd frame that the block does not hold", b"\0\1" + u8(len(z) + 1) + z
    )
    values(
        "zstd-inside",
        "§10.2: bytes after the zstd frame, within its length",
        b"\0" + zipped_frame(z + b"\0"),
    )
    values("zstd-empty", "§10: a zstd frame of no bytes", b"\0" + zipped_frame(b""))
    values(
        "zstd-short",
        "§10.2: a zstd frame that decodes to less",
        b"\0" + zipped_frame(frame(bytes(7))),
    )
    values(
        "zstd-long",
        "§10.2: a zstd frame that decodes to more",
        b"\0" + zipped_frame(frame(bytes(9))),
    )
    values("zstd-two", "§10.2: exactly one zstd frame", b"\0" + zipped_frame(frame(bytes(4)) * 2))
    values(
        "zstd-empty-second",
        "§10.2: an empty zstd frame after the first",
        b"\0" + zipped_frame(frame(bytes(8)) + frame(b"")),
    )
    bomb = zipped_frame(frame(bytes(1 << 17), 1 << 50))
    values("zstd-bomb", "§10.2: a zstd frame that says 2^50 bytes", b"\0" + bomb)
    text = zstandard.ZstdCompressor(level=19, write_checksum=True).compress(b"abcdefgh" * 2)
    values(
        "zstd-checksum",
        "§10.2: a content checksum that does not match",
        b"\0" + zipped_frame(patch(text, -1, u8(text[-1] ^ 1))),
        n=16,
    )


def good_profiles():
    for number, meaning in (
        (0, "not said"), (1, "direct"), (2, "balanced"), (3, "small"), (4, "set aside"),
        (5, "not known"), ((1 << 32) - 1, "the largest number"),
    ):  # fmt: skip
        made = archive([("m", [b"hello"])], edit=setter(profile=number))
        good(f"profile-{number}", f"§5.3: profile {number}, {meaning}", made)

    def twice(b):
        return b + b"\xe8\x01\x02\xe8\x01\x09"

    made = archive([("m", [b"hello"])], edit_bytes=twice)
    good("profile-twice", "§5.2: the last of several profiles counts, and is not known", made)


ONE, TWO = Code([0]), Code([1, 1])
LONGEST = Code([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11])


def good_huffman():
    def made(name, rule, data, code):
        made = one(1, data, block(ALL, NONE, raw(data, huffman(code))))
        good("huffman-" + name, "§10.3: " + rule, made)

    made(
        "1-symbol",
        "one symbol, a word of no bits: the stream is its code",
        b"\7" * 40,
        Code({7: 0}, 8),
    )
    made("2-symbols", "two symbols of one bit", b"\1\0\1\1\0\1\1\1\0", TWO)
    made("11-bits", "words of 1 to 11 bits", bytes(range(12)) + b"\13\13\0", LONGEST)
    reverse = Code([11, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
    made("11-bits-first", "the longest words first", bytes(range(12)) + b"\0\0\0", reverse)
    made("256-symbols", "an alphabet of 256", b"\0\xff\x80\x7f", Code([8] * 256))
    far = Code({0: 2, 3: 1, 100: 3, 255: 3})
    made("gaps", "symbols without words between others; lengths 12", b"\0\3\3\x64\xff\3\0\xff", far)
    canonical = Code([2, 3, 3, 2, 2])
    made(
        "canonical", "equal lengths in the order of the symbols", b"\0\1\2\3\4\4\3\2\1\0", canonical
    )
    made("whole-bytes", "no zero bits at the end", b"\0\1\1\0\1\0", Code([2, 2, 1]))
    members = [0, 3, 8, 9]
    dense, values = scattered(10, members)
    entries = bitmap(10, members, huffman(Code({9: 1, 3: 1}, 10)))
    good("huffman-bitmap", "§9.1.1, §10.3.3: a bitmap", one(1, dense, block(entries, NONE, values)))
    dense, values = scattered(12, [3, 4, 8])
    code = Code([1, 12, 12, 1])
    made = one(1, dense, block(relative(2, [3, 0, 0, 3, 0], stream=huffman(code)), NONE, values))
    good("huffman-relative", "§9.1.2, §10.3.3: gaps of two bits", made)
    code = Code({0: 1, 1: 2, 5: 2}, 6)
    made = one(
        1, b"\5\7\7", block(ALL, NONE, codes([0, 1, 1], 1, huffman(code))),
        table=tables(codebook=[b"\5", b"\7"]),
    )  # fmt: skip
    good("huffman-larger-alphabet", "§10.3.3: a symbol of 2^b has a word, but does not occur", made)
    minus = f32(-0.0)
    entries, alternates = bitmap(4, [0]), b"\2" + huffman(Code({7: 0}, 8))(b"\7")
    made = one(
        4, f32(1) + minus * 3, block(entries, alternates, raw(f32(1))), dtype="float32", nnz=1
    )
    good("huffman-alternates", "§9, §10.3.3: alternates", made)
    data = b"\1\2\1\3"
    made = one(2, data, block(ALL, NONE, planes(data, 2, 0, huffman(Code([12, 2, 2, 1])))))
    good("huffman-planes", "§9.2, §10.3.3: planes, each with its code", made)


def coded_codes(name, rule, data, code, book, rest=b"", **how):
    """A payload of bytes in `book`, in a bundle of one run."""
    symbols = [book.index(byte) for byte in data]
    table = coded_tables(b"", u8(CODES), code.bits(), codebook=[u8(byte) for byte in book])
    made = one(1, data, block(ALL, NONE, coded(rest, bundle((code, symbols), **how))), table=table)
    good(name, rule, made)


def good_classes():
    def single(name, rule, n, members, form, set_, bits="", table=None):
        dense, values = scattered(n, members)
        table = coded_tables(classes(1, 1, [form]), bits=bits)
        values = values if members else b""
        good("classes-" + name, rule, one(1, dense, block(set_, NONE, values), table=table))

    steps = Code([3, 1, 2, 3])
    set_ = class_set(bundle((steps, [1, 2, 3])), [3])
    single("steps", "§9.1.3: coded steps", 10, [0, 2, 5], step_form(steps), set_, steps.bits())
    far = Code({0: 2, 1: 1, 43: 2}, 44)
    set_ = class_set(bundle((far, [1, 0, 1, 43])), [4])
    rule = "§9.1.3: an escape advances by 255"
    single("steps-escape", rule, 300, [0, 256, 299], step_form(far), set_, far.bits())
    code = Code({1: 1, 5: 1}, 6)
    set_ = class_set(bundle((code, [1, 1, 5])), [3], low=low_packed([5, 0, 1], 3))
    rule = "§9.1.3: steps with three low bits"
    single("steps-low-bits", rule, 50, [5, 6, 40], step_form(code, 3), set_, code.bits())
    set_ = class_set(bundle((TWO, [0, 1])), [2], low=low_packed([120], 8))
    rule = "§9.1.3: eight low bits: an escape advances by 255·256, and has no low bits"
    single("steps-8-low-bits", rule, 65_600, [65_400], step_form(TWO, 8), set_, TWO.bits())
    code = Code([12, 0])
    set_ = class_set(bundle((code, [1] * 5)), [5])
    rule = "§10.3.1: steps with a word of no bits: a stream of no bytes"
    single("steps-1-symbol", rule, 5, range(5), step_form(code), set_, code.bits())
    wide = Code({0: 1, 255: 1})
    set_ = class_set(bundle((wide, [255, 0, 255])), [3])
    rule = "§9.1.3: the largest step"
    single("steps-256-symbols", rule, 800, [254, 764], step_form(wide), set_, wide.bits())
    set_ = class_set(b"", [0])
    rule = "§9.1.3: no steps: no bundle, no values"
    single("steps-none", rule, 10, [], step_form(steps), set_, steps.bits())
    code = Code({5: 1, 8: 1})
    set_ = class_set(bundle((code, [5, 8])))
    bits = code.bits(BY_SET_BITS)
    rule = "§9.1.3: a coded bitmap; its code is written by set bits"
    single("coded-bitmap", rule, 12, [0, 2, 11], FORM_CODED_BITMAP, set_, bits)
    code = Code({symbol: 8 for symbol in range(256)})
    set_ = class_set(bundle((code, [0x81])))
    rule = "§10.3.1: a coded bitmap with a word for every byte"
    single("coded-bitmap-256", rule, 8, [0, 7], FORM_CODED_BITMAP, set_, code.bits(BY_SET_BITS))
    code = Code({0: 0})
    set_ = class_set(bundle((code, [0, 0])))
    rule = "§9.1.3: a coded bitmap without entries: a bundle, but no values"
    single("coded-bitmap-none", rule, 12, [], FORM_CODED_BITMAP, set_, code.bits(BY_SET_BITS))
    single("bitmap", "§9.1.3: a bitmap", 12, [1, 9], FORM_BITMAP, class_set(b"", bitmaps=b"\2\2"))
    single("all", "§9.1.3: all elements", 3, range(3), FORM_ALL, class_set(b""))
    single("none", "§9.1.3: no elements", 3, [], FORM_NONE, class_set(b""))

    def with_holes(name, rule, n, holes):
        members = [i for i in range(n) if i not in holes]
        set_ = class_set(b"", holes=holes_of(holes, n))
        single("holes-" + name, "§9.1.3: " + rule, n, members, FORM_HOLES, set_)

    with_holes("1", "one hole, with seven low bits", 200, [199])
    with_holes("ones", "holes whose gaps have several ones, and none", 50, [0, 1, 2, 49])
    with_holes("none", "no holes: nothing follows their number", 9, [])
    with_holes("half", "no low bits: a one for each position before a hole", 7, [1, 2, 3, 6])
    with_holes("all", "every position is a hole: no values", 8, list(range(8)))
    # rows 0 and 2 of class 1, row 1 of class 0; columns 1, 2 and 4 of class 0, 0 and 3 of class 1
    forms = [FORM_HOLES, FORM_ALL, FORM_BITMAP, FORM_HOLES]
    table = coded_tables(classes(2, 2, forms, packed([1, 0, 0, 1, 0], 1)))
    # (0, 0): positions 0 to 2, of row 1; (1, 1): 3 to 6, of rows 0 and 2
    set_ = class_set(
        b"", rows=packed([1, 0, 1], 1), bitmaps=b"\1\4", holes=holes_of([2, 4, 6], 7)
    )
    dense, values = scattered(15, [6, 7, 5, 8, 1, 0, 14, 10])
    made = one(1, dense, block(set_, NONE, values), 5, table)
    good("classes-holes-parts", "§9.1.3: holes are numbered through all parts of form 5", made)
    # no row of class 1
    table = coded_tables(classes(2, 1, [FORM_ALL, FORM_HOLES]))
    made = one(1, b"\1\2", block(class_set(b"", rows=b"\0\0"), NONE, raw(b"\1\2")), 1, table)
    good("classes-holes-empty", "§9.1.3: no position in parts of form 5: no number of holes", made)
    code, book = Code([1, 1]), [b"\5", b"\7"]
    table = coded_tables(classes(1, 1, [FORM_HOLES]), u8(CODES), code.bits(), codebook=book)
    set_ = class_set(b"", holes=holes_of([2], 4))
    values = coded(b"", bundle((code, [0, 1, 1])))
    made = one(1, b"\5\7\0\7", block(set_, NONE, values), table=table)
    good("classes-holes-coded", "§9.2.1: coded values with holes: a bundle of their own", made)
    table = coded_tables(classes(1, 1, [FORM_HOLES]))
    dense = b"\1" * 4
    made = one(1, dense, block(ALL, NONE, raw(dense, zipped)), table=table)
    good("classes-holes-unused", "§8.2.1: form 5 in tables, and a block of another kind", made)

    # rows 1 and 3 of class 0, row 2 of class 1, row 0 of class 2
    code = Code({2: 1, 5: 1}, 6)
    table = coded_tables(classes(3, 1, [step_form(code), FORM_NONE, FORM_BITMAP]), bits=code.bits())

    def by_rows(stream, values=None, members=(9, 16, 0, 3), table=table, **how):
        set_ = class_set(bundle((code, [5, 2])), [2], stream([2, 0, 1, 0], 2), bitmaps=b"\x09")
        dense, plain = scattered(20, members)
        return one(1, dense, block(set_, NONE, values or plain), 5, table, **how)

    made = by_rows(packed)
    good("classes-rows", "§9.1.3: three row classes; a chain through two rows; the order", made)
    good("classes-rows-zstd", "§9.1.3: row classes as zstd", by_rows(zipped))
    made = by_rows(huffman(Code([1, 2, 2])))
    good("classes-rows-huffman", "§9.1.3: row classes in Huffman coding", made)
    made = by_rows(packed, planes(b"\1\2\3\4", 1, 3))
    good("classes-planes", "§9: planes in the order of classes", made)
    forms = [step_form(code), FORM_NONE, FORM_BITMAP]
    book = [b"\1", b"\2", b"\3", b"\4"]
    with_book = coded_tables(classes(3, 1, forms), bits=code.bits(), codebook=book)
    made = by_rows(packed, codes([0, 1, 2, 3], 2), table=with_book)
    good("classes-codebook", "§9: codes in the order of classes", made)

    # columns 1, 2 and 4 of class 0, columns 0 and 3 of class 1; rows 0 and 2 of class 1
    maps, code = Code({0: 1, 4: 1}), Code({1: 1, 2: 1}, 3)
    forms = [FORM_ALL, FORM_BITMAP, FORM_CODED_BITMAP, step_form(code)]
    bits = maps.bits(BY_SET_BITS) + code.bits()
    members = [6, 7, 9, 8, 3, 14, 10]
    dense, values = scattered(15, members)
    runs = (maps, [0, 4]), (code, [2, 1])
    rows = packed([1, 0, 1], 1)
    for name, stream in (
        ("", packed),
        ("-zstd", zipped),
        ("-huffman", huffman(TWO)),
    ):
        of_column = stream([1, 0, 0, 1, 0], 1)
        table = coded_tables(classes(2, 2, forms, of_column), bits=bits)
        set_ = class_set(bundle(*runs), [2], rows, bitmaps=b"\2")
        made = one(1, dense, block(set_, NONE, values), 5, table)
        good("classes-columns" + name, "§9.1.3: two column classes; every form but none", made)
    table = coded_tables(classes(2, 2, forms, of_column), bits=bits)
    set_ = class_set(bundle(*runs, n=8), [2], rows, bitmaps=b"\2")
    made = one(1, dense, block(set_, NONE, values), 5, table)
    good("classes-8-streams", "§10.3.2: two runs over eight streams, each from the first one", made)
    low = Code({1: 1, 2: 1}, 3)
    forms = [step_form(low, 2), step_form(low, 1)] * 2
    table = coded_tables(classes(2, 2, forms, packed([1, 0, 0, 1, 0], 1)), bits=low.bits() * 4)
    # (0, 0): column 4 of row 1; (0, 1): none; (1, 0): none; (1, 1): columns 3 of rows 0 and 2
    runs = (low, [1]), (low, []), (low, []), (low, [1, 1])
    more = low_packed([2], 2) + low_packed([1, 1], 1)
    set_ = class_set(bundle(*runs), [1, 0, 0, 2], rows, more)
    dense, values = scattered(15, [9, 3, 13])
    made = one(1, dense, block(set_, NONE, values), 5, table)
    good(
        "classes-low-bits-of-parts",
        "§9.1.3: the low bits of each part are packed by themselves",
        made,
    )
    forms = [FORM_NONE, FORM_NONE, FORM_NONE, FORM_BITMAP]
    table = coded_tables(classes(2, 2, forms, packed([1, 0, 0, 1, 0], 1)))
    dense, values = scattered(15, [3, 10])
    set_ = class_set(b"", rows=rows, bitmaps=b"\2\1")
    made = one(1, dense, block(set_, NONE, values), 5, table)
    good("classes-dead", "§8.2.1: a row class and a column class without entries", made)
    # no row of class 1, no column of class 1
    forms = [
        FORM_BITMAP,
        step_form(TWO),
        FORM_ALL,
        step_form(TWO),
        FORM_CODED_BITMAP,
        step_form(TWO),
    ]
    table = coded_tables(
        classes(2, 3, forms, packed([2, 0, 2], 2)),
        bits=TWO.bits() * 2 + Code({0: 0}).bits(BY_SET_BITS) + TWO.bits(),
    )
    dense, values = scattered(6, [0, 2, 4, 3, 5])
    set_ = class_set(b"", rows=packed([0, 0], 1), bitmaps=b"\0\1")
    made = one(1, dense, block(set_, NONE, values), 3, table)
    good("classes-empty", "§9.1.3: classes that no row or no column is of: no steps, no runs", made)
    forms = [FORM_ALL if i == j else FORM_NONE for i in range(16) for j in range(16)]
    down = list(range(15, -1, -1))
    table = coded_tables(classes(16, 16, forms, packed(down, 4)))
    dense, values = scattered(256, [17 * i for i in down])
    made = one(1, dense, block(class_set(b"", rows=packed(down, 4)), NONE, values), 16, table)
    good("classes-16", "§8.2.1: 16 row classes and 16 column classes", made)

    table = coded_tables(classes(2, 1, [FORM_BITMAP, FORM_BITMAP]))
    set_ = class_set(b"", rows=packed([1, 0], 1), bitmaps=b"\x08\x01")
    dense = b"\2\x80\0\0\0\0\x80\1"
    made = one(1, dense, block(set_, bitmap(6, [0, 5]), raw(b"\1\2")), 4, table)
    good("classes-alternates", "§9: alternates are numbered ascending, values by classes", made)
    table = coded_tables(classes(1, 1, [FORM_BITMAP]), background=b"\7\x90")
    dense = b"\7\x90\1\2\7\x10\7\x90\3\4"
    set_ = class_set(b"", bitmaps=b"\x12")
    made = one(2, dense, block(set_, bitmap(3, [1]), raw(b"\1\2\3\4")), table=table)
    good("classes-background", "§8.2: classes with a background that is not zero", made)
    table = coded_tables(classes(2, 1, [FORM_BITMAP, FORM_ALL]))
    first, second = (
        block(bitmap(3, [1]), NONE, raw(b"\1")),
        block(relative(2, [1]), NONE, raw(b"\2")),
    )
    whole = block(class_set(b"", rows=packed([1], 1)), NONE, raw(b"\3\4\5\6"))
    rest = block(class_set(b"", rows=packed([0, 0], 1), bitmaps=b"\1\x08"), NONE, raw(b"\7\10"))
    dense = b"\0\1\0\0\2\0\0\0\3\4\5\6\7\0\0\0\0\0\0\10"
    made = one(1, dense, [(3, first), (5, second), (4, whole), (8, rest)], 4, table)
    good("classes-blocks", "§9.1.3: blocks of whole rows, and of other kinds with cut rows", made)
    table = coded_tables(classes(1, 1, [FORM_BITMAP]))
    first = block(class_set(b"", bitmaps=b"\x11"), NONE, raw(b"\1\2"))
    second = block(class_set(b"", bitmaps=b"\4"), NONE, raw(b"\3"))
    made = one(1, b"\1\0\0\0\2\0\0\3", [(5, first), (3, second)], 4, table)
    wide = coded_tables(classes(2, 1, [FORM_NONE, step_form(TWO, 8)]), bits=TWO.bits())
    low = low_packed([255, 0], 8)
    set_ = class_set(bundle((TWO, [1, 0, 1])), [3], packed([1, 0], 1), low)
    dense, values = scattered(2 * 65_537, [255, 256 + 65_280])
    made_ = one(1, dense, block(set_, NONE, values), 65_537, wide)
    good("classes-65537-columns", "§8.2.1: row classes of wide rows", made_)
    good(
        "classes-1-cut-rows",
        "§9.1.3: one row class: a block is one row, whatever the columns",
        made,
    )


def window_cells(words, bits, rotation, low_bits, base):
    """Symbols and low bits (§9.2.1)."""
    turned = [(x << rotation | x >> bits - rotation) & (1 << bits) - 1 for x in words]
    mask = (1 << bits - low_bits) - 1
    return [(x >> low_bits) - base & mask for x in turned], [
        x & (1 << low_bits) - 1 for x in turned
    ]


def flat(symbols):
    """A code of the symbols, up to 256 of them, all of them about as long."""
    symbols = sorted(set(symbols))
    long = max(0, (len(symbols) - 1).bit_length())
    short = (1 << long) - len(symbols)
    return {symbol: long - (i < short) for i, symbol in enumerate(symbols)}


def trie(bins, below=""):
    """§8.2.2: bins are the bits that their patterns begin with."""
    if not any(b.startswith(below) for b in bins):
        return "0"
    return "10" if below in bins else "11" + trie(bins, below + "0") + trie(bins, below + "1")


def low_text(value, bits):
    return f"{value:0{bits}b}"[::-1] if bits else ""


def good_coders():
    def windowed(
        name, rule, width, words, rotation, low_bits, base, n=256, dtype=None, n_streams=1
    ):
        dense = b"".join(word.to_bytes(width, "little") for word in words)
        symbols, low = window_cells(words, 8 * width, rotation, low_bits, base)
        code = Code(flat(symbols), n)
        table = coded_tables(b"", window(rotation, low_bits, base, n), code.bits())
        rest = low_packed(low, low_bits) + patches()
        values = coded(rest, bundle((code, symbols), n=n_streams))
        made = one(width, dense, block(ALL, NONE, values), table=table, dtype=dtype)
        good("window-" + name, "§9.2.1: " + rule, made)

    def words(width, *values):
        form = {2: "e", 4: "f", 8: "d"}[width]
        data = struct.pack(f"<{len(values)}{form}", *values)
        return [int.from_bytes(data[i : i + width], "little") for i in range(0, len(data), width)]

    numbers = (1.0, -2.0, 0.5, 3.25)
    windowed("f32", "a window, float32", 4, words(4, *numbers), 1, 20, 0x7E0, 43, "float32")
    windowed("f64", "a window, float64", 8, words(8, *numbers), 1, 52, 0x7FC, 256, "float64")
    windowed("f64-2", "low bits of 49", 8, words(8, *numbers), 1, 49, 0x3FE0, 256, "float64")
    windowed("f16", "a window, float16", 2, words(2, *numbers), 1, 8, 0x68, 256, "float16")
    bf16 = [word >> 16 for word in words(4, *numbers)]
    windowed("bf16", "a window, bfloat16", 2, bf16, 1, 8, 0x7E, 16, "bfloat16")
    windowed("u8", "a window without low bits", 1, [0x43, 0x40, 0x4F], 0, 0, 0x40, 16)
    windowed("u8-7", "seven low bits, a rotation by 7", 1, [1, 2, 0xFF, 0x80], 7, 7, 0, 2)
    windowed("i32", "integers, eight streams", 4, list(range(300, 321)), 0, 4, 18, 3, "int32", 8)
    close = [(1 << 60) + 0x7FFFF1, (1 << 60) + 1, (1 << 60) + 0x123456]
    windowed("u64-20", "20 low bits of 64", 8, close, 0, 20, 1 << 40, 8)
    many = [1 << 63, 3, (1 << 64) - 1]
    windowed("u64", "56 low bits", 8, many, 0, 56, 0, 256)
    windowed(
        "wraps",
        "the top of the window is at the smallest patterns",
        1,
        [0xF1, 3, 0x1F],
        0,
        4,
        15,
        3,
    )
    top = (1 << 64) - 1
    windowed("wraps-64", "the largest base", 8, [top, 0, 1], 0, 0, top, 3)
    windowed("1-symbol", "a window of one symbol", 4, words(4, 1.0, 1.5), 1, 24, 0x7F, 1, "float32")

    data = words(4, 1.0, 1e30, -1.25, 0.0, -1e-30)
    symbols, low = window_cells(data, 32, 1, 24, 0x7F)
    code = Code([1, 1])
    table = coded_tables(b"", window(1, 24, 0x7F, 2), code.bits())
    dense = b"".join(map(u32, data))
    lies = [0, 1, 0, 1, 1], [low[0], 7, low[2], 0, 0]
    rows = (1, u32(data[1])), (1, u32(data[3])), (0, u32(data[4]))
    rest = low_packed(lies[1], 24) + patches(*rows)
    values = coded(rest, bundle((code, lies[0])))
    made = one(4, dense, block(ALL, NONE, values), table=table, dtype="float32", nnz=4)
    good("patches", "§9.2.1: patches, one after the other too; their symbols are any", made)
    rest = low_packed([0] * 5, 24) + patches(*((0, u32(word)) for word in data))
    values = coded(rest, bundle((code, [0] * 5)))
    made = one(4, dense, block(ALL, NONE, values), table=table, dtype="float32", nnz=4)
    good("patches-all", "§9.2.1: every entry is a patch", made)

    def binned(name, rule, width, bins, patterns, dtype=None, text=None):
        bits = 8 * width
        dense = b"".join(x.to_bytes(width, "little") for x in patterns)
        symbols, low = [], ""
        for pattern in patterns:
            text_ = f"{pattern:0{bits}b}"
            symbol = next(i for i, b in enumerate(bins) if text_.startswith(b))
            symbols.append(symbol)
            n_low = bits - len(bins[symbol])
            low += low_text(pattern & (1 << n_low) - 1, n_low)
        code = Code(flat(range(len(bins))), len(bins))
        table = coded_tables(b"", u8(BINS), (text or trie(bins)) + code.bits())
        values = coded(bin_low(low), bundle((code, symbols)))
        made = one(width, dense, block(ALL, NONE, values), table=table, dtype=dtype)
        good("bins-" + name, "§8.2.2, §9.2.1: " + rule, made)

    binned("u8", "two bins, a third of the patterns in none", 1, ["0", "11"], [5, 0xC1, 0xFF, 1])
    binned("root", "all patterns are one bin", 4, [""], [1, 0xFFFFFFFF, 0x80000000])
    binned(
        "one-pattern",
        "bins of one pattern: no low bits",
        1,
        ["00000101", "00000110", "1"],
        [6, 5, 0x87],
    )
    bins = ["0011110", "00111110", "00111111", "01", "1"]
    binned("f32", "float32", 4, bins, words(4, 1.0, 0.1, -2.0, 0.01, 3.25), "float32")
    bins = ["00111010", "0011110", "0011111", "0100", "1"]
    binned("f16", "float16", 2, bins, words(2, 1.0, 1.5, -2.0, 0.8, 3.25), "float16")
    bins = ["00111111", "01000000", "10111111", "11000000"]
    patterns = words(8, 1.0, -1.3, 2.5, -7.0)
    binned("f64", "float64, bins of 56 low bits", 8, bins, patterns, "float64")
    bins = [f"{i:08b}" for i in range(256)]
    binned("256", "256 bins, as many as there may be", 1, bins, [255, 1, 128])
    binned(
        "empty-node",
        "a node with two empty children",
        1,
        ["1"],
        [0x83, 0xFF],
        text="11" + "1100" + "10",
    )
    code = TWO
    table = coded_tables(b"", u8(BINS), trie(["0000", "11111111"]) + code.bits())
    values = coded(bin_low(""), bundle((code, [1, 1])))
    made = one(1, b"\xff\xff", block(ALL, NONE, values), table=table)
    good("bins-no-low-bits", "§9.2.1: no entry has low bits: no bytes of them", made)

    rule = "§9.2.1: coded codes"
    coded_codes("codes-1", rule + ", a codebook of one", b"\7\7", ONE, b"\7")
    coded_codes("codes-3", rule, b"\7\5\5\x90\5", Code([1, 2, 2]), b"\5\7\x90")
    coded_codes(
        "codes-256",
        rule + ", the longest codebook",
        b"\7\5\xff",
        Code([8] * 256),
        bytes(range(256)),
    )
    rule = "§10.3.2: a bundle of eight streams"
    data = b"\7\5\5\x90\5\5\5\7\x90\x90\5\7\5\5\5\5\5\5\5\5\7"
    code = Code([1, 2, 2])
    coded_codes("bundle-8", rule, data, code, b"\5\7\x90", n=8)
    coded_codes("bundle-8-few", rule + ", five of them empty", data[:3], code, b"\5\7\x90", n=8)
    coded_codes("bundle-8-equal", rule + " of equal length", data[:16], code, b"\5\7\x90", n=8)
    long = data + b"\x90" * 60
    coded_codes(
        "bundle-8-longer",
        rule + " of several lengths",
        long + b"\7\5\7" * 21,
        code,
        b"\5\7\x90",
        n=8,
    )
    more = {"n": 8, "shortest": 0, "bits": 32}
    coded_codes(
        "bundle-8-loose",
        rule + ", lengths in more bits than needed",
        data,
        code,
        b"\5\7\x90",
        **more,
    )
    coded_codes("bundle-8-no-bytes", rule + " of no bytes", b"\7" * 20, ONE, b"\7", n=8)

    # values of classes: rows 0 and 2 of class 1, row 1 of class 0
    steps, small, large = Code({1: 1, 2: 1}, 3), Code([1, 2, 2]), Code([2, 2, 1])
    book = [b"\5", b"\7", b"\x90"]
    forms = [FORM_BITMAP, step_form(steps)]

    def classed(n_tables, value_tables, value_codes, forms=forms, part_bits=steps.bits(), k=2):
        head = u8(CODES | n_tables - 1 << 4) + bytes(value_tables)
        bits = part_bits + "".join(code.bits() for code in value_codes)
        return coded_tables(classes(k, 1, forms), head, bits, codebook=book)

    rows = packed([1, 0, 1], 1)
    # class 0: columns 0 and 3 of row 1; class 1: column 1 of row 0, columns 0 and 2 of row 2
    dense = b"\0\x90\0\0" + b"\5\0\0\7" + b"\7\0\x90\0"
    runs = (steps, [2, 2, 2]), (small, [0, 1]), (large, [2, 1, 2])
    # column 1 of row 0 is position 1, columns 0 and 2 of row 2 are positions 4 and 6
    wide = Code({2: 1, 3: 1}, 4)
    forms_ = [FORM_BITMAP, step_form(wide)]
    runs = (wide, [2, 3, 2]), (small, [0, 1]), (large, [2, 1, 2])
    table = classed(2, [0, 1], [small, large], forms_, wide.bits())
    for n, name in ((1, ""), (8, "-8-streams")):
        set_ = class_set(bundle(*runs, n=n), [3], rows, bitmaps=b"\x09")
        made = one(1, dense, block(set_, NONE, coded(b"")), 4, table)
        good(
            "coded-classes" + name,
            "§9.2.1: values in the bundle of the entries, two value tables",
            made,
        )
    set_ = class_set(bundle(runs[0]), [3], rows, bitmaps=b"\x09")
    made = one(1, dense, block(set_, NONE, raw(b"\5\7\x90\7\x90")), 4, table)
    good(
        "coded-classes-raw",
        "§9.1.3: the bundle of the entries ends with them: values are raw",
        made,
    )
    set_ = class_set(b"", [0], packed([0, 0, 0], 1), bitmaps=b"\1\0\2")
    values = coded(b"", bundle((small, [0, 1])))
    made = one(1, b"\5\0\0\0\0\0\0\0\0\7\0\0", block(set_, NONE, values), 4, table)
    # row class 1 has no rows, so its part has no steps
    set_ = class_set(b"", (), packed([0, 0, 0], 1), bitmaps=b"\1\0\2")
    made = one(1, b"\5\0\0\0\0\0\0\0\0\7\0\0", block(set_, NONE, values), 4, table)
    good(
        "coded-classes-own-bundle",
        "§9.2.1: entries without a bundle; a value table of no entries",
        made,
    )
    values = coded(b"", bundle((small, [2, 0, 1])))
    made = one(1, b"\0\x90\5\0\0\7", block(bitmap(6, [1, 2, 5]), NONE, values), 3, table)
    good("coded-other-kind", "§9.2.1: entries of another kind: all have value table 0", made)
    table = classed(2, [0, 0, 1], [small, large], [FORM_ALL, FORM_ALL, FORM_ALL], "", 3)
    set_ = class_set(b"", rows=packed([2, 1, 0, 1], 2))
    values = coded(b"", bundle((small, [0, 1, 2]), (large, [2])))
    made = one(1, b"\x90\7\5\x90", block(set_, NONE, values), 1, table)
    good("coded-tables-shared", "§8.2.2: two row classes share a value table", made)
    table = classed(16, range(16), [small] * 16, [FORM_ALL] * 16, "", 16)
    set_ = class_set(b"", rows=packed(range(16), 4))
    values = coded(b"", bundle(*((small, [i % 3]) for i in range(16))))
    dense = b"".join(book[i % 3] for i in range(16))
    made = one(1, dense, block(set_, NONE, values), 1, table)
    good("coded-16-tables", "§8.2.2: 16 value tables", made)
    head = window(1, 24, 0x7F, 2, b"\0\1", 2)
    table = coded_tables(
        classes(2, 1, [FORM_ALL, FORM_ALL]), head, TWO.bits() + Code([12, 0]).bits()
    )
    values = coded(
        low_packed([0, 0, 1], 24) + patches((2, f32(9))),
        bundle((TWO, [0, 1]), (Code([12, 0]), [1])),
    )
    made = one(
        4,
        f32(9, 1, 2),
        block(class_set(b"", rows=packed([1, 0, 0], 1)), NONE, values),
        1,
        table,
        "float32",
    )
    good("coded-window-tables", "§9.2.1: a window with two value tables and a patch", made)
    head = u8(BINS | 1 << 4) + b"\0\1"
    bits = trie(["0", "1"]) + TWO.bits() + Code([0, 12]).bits()
    table = coded_tables(classes(2, 1, [FORM_ALL, FORM_ALL]), head, bits, aligned=True)
    values = coded(
        bin_low(low_text(5, 7) + low_text(0, 7) + low_text(127, 7)),
        bundle((TWO, [0, 1]), (Code([0, 12]), [0])),
    )
    set_ = class_set(b"", rows=packed([1, 0, 0], 1))
    made = one(1, b"\x7f\5\x80", aligned_block(set_, NONE, values), 1, table)
    good("coded-bins-tables", "§8.2: bins with two value tables; tables and block aligned", made)
    table = coded_tables(b"", u8(CODES), ONE.bits(), codebook=[b"\7"])
    made = one(1, b"\7\7\0", block(bitmap(3, [0, 1]), NONE, raw(b"\7\7")), table=table)
    good("coder-not-used", "§9.2: a block need not use the value coder", made)


def good_rows():
    def rows(name, rule, members, n, columns, set_, more=NONE):
        dense, values = scattered(n, members)
        values = values if members else b""
        good("rows-" + name, "§9.1.4: " + rule, one(1, dense, block(set_, more, values), columns))

    set_ = rows_set(2, 1, 4, 5, [0, 2, 3], [0, 2, 3], low_packed([2, 1, 3, 0, 1], 2))
    rows("steps", "steps of two bits, an escape in the last row", [1, 2, 6, 11], 12, 4, set_)
    set_ = rows_set(2, 1, 3, 3, [0, 2, 2], (), low_packed([2, 1, 3], 2))
    rows(
        "steps-no-escapes",
        "as many steps as entries: one kind of pointers; an empty row",
        [1, 2, 10],
        12,
        4,
        set_,
    )
    set_ = rows_set(3, 2, 3, 3, [0, 2], (), low_packed([2, 5, 2], 3))
    rows("groups", "groups of two rows, the last of one", [1, 6, 9], 12, 4, set_)
    set_ = rows_set(3, 65_535, 3, 3, [0], (), low_packed([2, 5, 3], 3))
    rows("one-group", "one group, larger than the block", [1, 6, 9], 12, 4, set_)
    set_ = rows_set(1, 1, 2, 5, [0, 1], [0, 3], low_packed([0, 0, 1, 0, 1], 1))
    rows("steps-1-bit", "steps of one bit: an escape advances by one", [2, 5], 8, 4, set_)
    set_ = rows_set(8, 1, 3, 4, [0, 2], [0, 3], bytes([255, 0, 1, 1]))
    rows(
        "steps-8-bits",
        "steps of eight bits: the largest one, and an escape",
        [254, 510, 600],
        1200,
        600,
        set_,
    )
    for bits in range(3, 8):
        top = (1 << bits) - 1
        set_ = rows_set(bits, 1, 2, 3, [0], [0], low_packed([top, 0, 1], bits))
        rows(f"steps-{bits}-bits", f"steps of {bits} bits", [top - 1, 2 * top], 300, 300, set_)
    set_ = rows_set(0, 1, 4, 0, [0, 2], (), b"\1\2\x80\1")
    rows("bitmap", "bitmaps of two bytes a row", [0, 9, 17, 18], 20, 10, set_)
    set_ = rows_set(0, 2, 4, 0, [0, 3], (), b"\1\6\1")
    rows("bitmap-groups", "bitmaps, groups of two rows", [0, 4, 5, 6], 9, 3, set_)
    set_ = rows_set(0, 1, 0, 0, [0, 0], (), b"\0\0")
    rows("bitmap-none", "bitmaps without entries", [], 8, 4, set_)
    set_ = rows_set(4, 1, 0, 0, [0, 0])
    rows("none", "no entries: steps have no bytes", [], 8, 4, set_)
    dense = bytes([0, 0, 1, 0, 2, 0, 3, 0, 0, 4, 0, 5, 0, 6, 7, 8])
    first = block(rows_set(2, 1, 2, 2, [0, 1], (), low_packed([3, 1], 2)), NONE, raw(b"\1\2"))
    second = block(rows_set(2, 2, 3, 3, [0, 3], (), low_packed([2, 3, 2], 2)), NONE, raw(b"\3\4\5"))
    third = block(rows_set(0, 1, 3, 0, [0], (), b"\7"), NONE, raw(b"\6\7\10"))
    made = one(1, dense, [(5, first), (8, second), (3, third)], 4)
    good("rows-cut-groups", "§9.1.4: blocks that start and end inside rows", made)
    minus = f32(-0.0)
    dense = f32(0, 1.5, -0.0, 0, 0, 0, 2.5, -0.0)
    set_ = rows_set(2, 1, 2, 2, [0, 1], (), low_packed([2, 3], 2))
    alternates = bitmap(6, [1, 5])
    values = aligned_values(len(set_) + len(alternates), f32(1.5, 2.5))
    made = one(
        4,
        dense,
        aligned_block(set_, alternates, values),
        4,
        coded_tables(aligned=True),
        "float32",
        2,
    )
    good(
        "rows-aligned",
        "§9.1.4, §9.2: rows, alternates and aligned values in an aligned payload",
        made,
    )
    set_ = rows_set(0, 1, 3, 0, [0, 2], (), b"\5\2")
    table = coded_tables(codebook=[b"\1\2", b"\3\4", b"\5\6"], background=b"\7\7", aligned=True)
    values = codes([2, 0, 1], 2)
    dense = b"\5\6\7\7\1\2" + b"\7\7\3\4\7\7"
    made = one(2, dense, aligned_block(set_, NONE, values), 3, table)
    good("rows-codebook-aligned", "§8.2, §9.1.4: rows and codes in an aligned payload", made)
    for width in (1, 2, 4, 8, 16):
        dense = bytes((37 * i + 129) % 256 for i in range(3 * width))
        dtype = {16: "complex128"}.get(width)
        made = one(width, dense, block(ALL, NONE, aligned_values(2, dense)), dtype=dtype)
        good(f"aligned-values-{width}", f"§9.2: aligned values of {width} bytes", made)
    data = bytes(range(1, 9))
    made = one(
        1,
        data,
        aligned_block(bitmap(8, range(8)), NONE, b"\4" + bytes(3) + data),
        table=coded_tables(aligned=True),
    )
    good(
        "aligned-block",
        "§8.2, §9: tables of flags and padding alone; a block without padding",
        made,
    )
    first = aligned_block(bitmap(4, [1]), NONE, aligned_values(4, b"\1"))
    second = aligned_block(NONE)
    made = one(1, b"\0\1\0\0\0\0\0", [(4, first), (3, second)], table=coded_tables(aligned=True))
    good("aligned-blocks", "§9: two blocks, each a multiple of eight bytes", made)


def bad_short_blocks():
    """What §8 leaves of blocks that are too short: there is another one beside them."""
    long = block(ALL, NONE, raw(b"\1\2\3\4\5\6\7\10"))

    def short(name, rule, data, kind=bad):
        made = one(1, bytes(8) + b"\1\2\3\4\5\6\7\10", [(8, data), (8, long)])
        kind("block-" + name, "tensor", rule, made)

    rule = "§1.3, §9: a position kind that is not defined under a wrong CRC-32"
    short("crc-kind-6", rule, crc(b"\6", 1))
    short("3-bytes-of-two", "§9: a block too short for a CRC-32", b"\0\0\0")
    short("empty-of-two", "§9: a block of a CRC-32 alone", crc(b""))
    short("no-alternates-of-two", "§9: a block without alternates", crc(NONE))


def bad_codes():
    def stream(name, rule, data, kind=bad, n=8, **how):
        made = one(1, bytes(n), block(ALL, NONE, b"\0\2" + data), **how)
        kind("huffman-" + name, "tensor", rule, made)

    def code(lengths):
        return u8(len(lengths) - 1) + bit_bytes(Code(lengths).bits() + "0" * 8)

    stream("under", "§10.3.1: a code that is not complete", code([1, 2]))
    stream("under-1", "§10.3.1: one symbol with a word of one bit", code([1]))
    stream(
        "under-11",
        "§10.3.1: a code of which one word of eleven bits is missing",
        code([*range(1, 12)]),
    )
    stream("over", "§10.3.1: a code with more words than there are", code([1, 1, 2]))
    stream("over-0", "§10.3.1: two symbols with words of no bits", code([0, 0]))
    stream(
        "over-11",
        "§10.3.1: a code with one word of eleven bits too many",
        code([*range(1, 12), 11, 11]),
    )
    stream("no-words", "§10.3.1: a code in which no symbol has a word", code([12, 12]))
    stream("length-13", "§10.3.1: a length of 13", code([1, 1, 13]))
    stream("length-minus-1", "§10.3.1: a length of −1", b"\1" + bit_bytes(("0" * 17 + "1") * 2))
    stream(
        "length-over-24",
        "§10.3.1: 25 zero bits in front of a length",
        b"\0" + bit_bytes("0" * 25 + "1"),
    )
    stream("length-of-zeros", "§10.3.1: zeros up to the end of the block", b"\0" + bytes(80))
    stream("no-alphabet", "§10.3.3: a block that ends before the alphabet", b"")
    stream("no-code", "§10.3.3: a block that ends before the code", b"\1")
    stream(
        "code-cut", "§10.3.3: a block that ends inside the code", b"\7" + bit_bytes("0" * 11 + "1")
    )
    whole = huffman(TWO)(bytes([0, 1] * 20))[1:]
    stream("words-cut", "§10.3.3: a block that ends inside the words", whole[:-1], n=40)
    data = huffman(TWO, "1")(bytes(7))[1:]
    stream("bits", "§10.3.3: a bit after the words is set", data, n=7)
    stream(
        "bits-after-code",
        "§10.3.3: a bit after a code without words is set",
        huffman(Code([12, 0]), "1")(b"\1" * 8)[1:],
    )
    stream("trailing", "§9, §10.3.3: a byte after the words", huffman(TWO)(bytes(8))[1:] + b"\0")
    set_ = relative(9, [0], stream=lambda s, b: huffman(ONE)([0]))
    made = one(1, bytes(600), block(set_, NONE, raw(b"\1")))
    bad("huffman-9-bits", "tensor", "§10: Huffman coding of symbols of nine bits", made)
    table = tables(codebook=[b"\1", b"\2"])
    made = one(
        1, bytes(4), block(ALL, NONE, codes([0, 1, 2, 0], 1, huffman(Code([1, 2, 2])))), table=table
    )
    bad("huffman-symbol", "tensor", "§10.3.3: a symbol of 2^b", made)
    set_ = relative(3, [0, 8], stream=lambda s, b: huffman(Code({0: 1, 8: 1}, 9))([0, 8]))
    made = one(1, bytes(40), block(set_, NONE, raw(b"\1\2")))
    bad("huffman-symbol-8", "tensor", "§10.3.3: a gap of 8 in three bits", made)

    book = [b"\5", b"\7", b"\x90"]
    code_ = Code([1, 2, 2])
    table = coded_tables(b"", u8(CODES), code_.bits(), codebook=book)

    def bundled(name, rule, data, kind=bad, n=20):
        made = one(1, b"\5" * n, block(ALL, NONE, coded(b"", data)), table=table)
        kind("bundle-" + name, "tensor", "§10.3.2: " + rule, made)

    run = code_, [0] * 20
    for number in (0, 2, 7, 9, 255):
        bundled(f"{number}-streams", f"{number} streams", bundle(run, number=number), unsupported)
    bundled("absent", "a block that ends before the bundle", b"")
    bundled("cut", "a block that ends inside a stream", bundle(run)[:-1])
    bundled("8-cut", "a block that ends inside the last stream", bundle(run, n=8)[:-1])
    bundled("8-no-lengths", "a block that ends before the lengths", b"\x08\1")
    bundled("8-lengths-cut", "a block that ends inside the lengths", b"\x08\0\x08" + bytes(7))
    bundled("long", "a stream with a byte after its words", bundle(run, more="0" * 8))
    bundled("8-long", "streams with a byte after their words", bundle(run, n=8, more="0" * 8))
    bundled("short", "a stream that ends before its words", b"\1\2\0\0")
    bundled("empty", "a stream of no bytes", b"\1\0")
    bundled(
        "8-short",
        "a stream that ends before its words, with others after it",
        b"\x08\0\1\xfe" + bytes(7),
    )
    bundled("bits", "a bit after the words is set", bundle(run, more="001"))
    bundled("8-bits", "a bit after the words of a stream is set", bundle(run, n=8, more="1"))
    bundled("8-33-bits", "lengths of 33 bits", b"\x08\0\x21" + bytes(33) + bytes(8))
    bundled("shortest-long", "§1.2: the length in a varint longer than it needs", b"\1\x83\0\0\0\0")
    bundled("shortest-2-63", "a stream of 2^63 bytes", b"\1" + varint(1 << 63) + bytes(3))
    bundled("8-lengths-2-32", "streams of 2^32 − 1 bytes", b"\x08\0\x20" + b"\xff" * 32 + bytes(8))
    bundled("trailing", "a byte after the bundle", bundle(run) + b"\0")


def bad_classes():
    book = [b"\5", b"\7"]

    def table(name, rule, data, kind=bad, n=4, columns=None, width=1, **how):
        dense = b"\1" * (n * width)
        made = one(
            width, dense, block(ALL, NONE, raw(dense, zipped)), columns, coded_tables(data, **how)
        )
        kind("classes-" + name, "tensor", "§8.2.1: " + rule, made)

    unsupported("table-flag-5", "tensor", "§8.2: another table flag",
                one(1, b"\1", block(ALL, NONE, raw(b"\1")), table=tables(flags=0x20)))  # fmt: skip
    unsupported("table-flag-6", "tensor", "§8.2: another table flag",
                one(1, b"\1", block(ALL, NONE, raw(b"\1")), table=tables(flags=0x40)))  # fmt: skip
    bits = packed([1, 0, 0, 1], 1)
    two = [FORM_ALL] * 2
    table(
        "columns-of-one-row",
        "two column classes and one row class",
        classes(1, 2, two, bits),
        columns=4,
    )
    table(
        "column-class",
        "a column class that is not below C",
        classes(2, 3, two * 3, packed([3, 0, 0, 1], 2)),
        columns=4,
    )
    table(
        "column-classes-cut",
        "tables that end inside the column classes",
        u8(0x11) + b"\0",
        n=20,
        columns=20,
    )
    wide = classes(2, 2, two * 2, b"\1" + varint(len(frame(bytes(65_537)))) + frame(bytes(65_537)))
    table("columns-65537", "column classes of 65,537 columns", wide, n=65_537)
    table("cut", "tables that end before the forms", classes(2, 1, [FORM_ALL]))
    table("numbers-cut", "tables that end before the numbers", b"", flags=4)
    table("alphabet-cut", "tables that end before the alphabet of steps", classes(1, 1, [b"\4"]))
    for form in (6, 15):
        table(f"form-{form}", f"form {form}", classes(1, 1, [u8(form)]), unsupported)
    for form in (*range(4), 5):
        rule = f"low bits with form {form}"
        table(f"form-{form}-low-bits", rule, classes(1, 1, [u8(form | 0x10)]), unsupported)
    for low_bits in (9, 15):
        form = classes(1, 1, [step_form(TWO, low_bits)])
        table(f"{low_bits}-low-bits", f"{low_bits} low bits", form, bits=TWO.bits())
    steps = classes(1, 1, [step_form(TWO)])
    table("code-absent", "tables that end before a code", steps)
    table(
        "code-under",
        "§10.3.1: a code of steps that is not complete",
        steps,
        bits=Code([1, 12]).bits(),
    )
    table(
        "code-over", "§10.3.1: a code of steps with too many words", steps, bits=Code([0, 1]).bits()
    )
    maps = classes(1, 1, [FORM_CODED_BITMAP])
    bits = Code([8] * 255 + [12]).bits(BY_SET_BITS)
    table("code-bitmap-under", "§10.3.1: a code of bitmaps that is not complete", maps, bits=bits)
    lengths = Code({0x7F: 1, 0xFF: 1}).bits(BY_SET_BITS)
    table("code-bitmap-cut", "tables that end inside a code of bitmaps", maps, bits=lengths[:-1])
    table("bits", "§8.2: a bit after the codes is set", steps, bits=TWO.bits() + "1")
    table("trailing", "§8.2: a byte after the codes", steps, bits=TWO.bits(), more=b"\0")
    table(
        "code-not-asked",
        "§8.2: a code of a part that has none",
        classes(1, 1, [FORM_BITMAP]),
        bits=TWO.bits(),
    )

    def aligned(name, rule, pad, **how):
        made = one(
            1, b"\1", aligned_block(ALL, NONE, raw(b"\1")), table=coded_tables(aligned=pad, **how)
        )
        bad("aligned-tables-" + name, "tensor", "§8.2: " + rule, made)

    aligned("none", "aligned tables without padding", b"")
    aligned("short", "aligned tables with too little padding", b"\0\0")
    aligned("long", "aligned tables with eight bytes of padding too many", bytes(11))
    aligned("not-zero", "aligned tables with padding that is not zero", b"\0\0\1")
    table_ = coded_tables(aligned=True)
    for name, rule, data in (
        ("none", "without padding", b""),
        ("short", "with too little padding", bytes(4)),
        ("long", "with eight bytes of padding too many", bytes(15)),
        ("not-zero", "with padding that is not zero", bytes(6) + b"\1"),
    ):
        made = one(1, b"\1", aligned_block(ALL, NONE, raw(b"\1"), data), table=table_)
        bad("aligned-block-" + name, "tensor", "§9: a block of an aligned payload " + rule, made)
    made = one(1, b"\1", block(ALL, NONE, raw(b"\1"), bytes(7)), table=tables(b"\0"))
    bad("padding-not-aligned", "tensor", "§9: padding in a payload that is not aligned", made)

    code = Code([2, 1, 2])  # of steps, in part 0
    one_class = coded_tables(classes(1, 1, [step_form(code)]), bits=code.bits())

    def steps_of(name, rule, set_, n=8, table=one_class, values=raw(b"\1\2"), columns=None):
        data = block(set_, NONE, values) if values is not None else crc(set_)
        bad("classes-" + name, "tensor", "§9.1.3: " + rule, one(1, bytes(n), data, columns, table))

    set_ = class_set(bundle((code, [1, 0])), [2])
    steps_of("escape-last", "the last step is an escape", set_, 300, values=raw(b"\1"))
    set_ = class_set(bundle((code, [0])), [1])
    steps_of("escape-only", "one step, an escape", set_, 300, values=b"")
    set_ = class_set(bundle((code, [2, 2])), [2])
    steps_of("past-end", "an entry after the last position", set_, 3)
    set_ = class_set(bundle((code, [0, 1])), [2])
    steps_of(
        "past-end-escape",
        "an entry after the last position, after an escape",
        set_,
        255,
        values=raw(b"\1"),
    )
    set_ = class_set(bundle((code, [1] * 9)), [9])
    steps_of("more-steps", "more steps than positions", set_, values=raw(bytes(9)))
    steps_of("steps-2-64", "2^64 − 1 steps", class_set(bundle((code, [1])), [(1 << 64) - 1]))
    set_ = b"\4" + b"\x82\0" + bundle((code, [1, 1]))
    steps_of("steps-long", "§1.2: the number of steps in a varint longer than it needs", set_)
    two_rows = coded_tables(classes(2, 1, [step_form(code)] * 2), bits=code.bits() * 2)
    set_ = class_set(b"", (), packed([0, 1], 1))
    rule = "a block that ends before the numbers of steps"
    steps_of("steps-absent", rule, set_, 8, two_rows, None, 4)
    steps_of(
        "bundle-of-nothing",
        "a bundle though there are no steps",
        class_set(b"\1\0", [0]),
        values=b"",
    )
    set_ = class_set(bundle((code, [1, 1])), [2])
    steps_of("symbols-left", "steps after the last one", class_set(bundle((code, [1] * 9)), [2]))
    rule = "more symbols than steps in a bundle, though the values are raw"
    steps_of("bundle-not-ended", rule, class_set(bundle((code, [1, 1, 2, 2, 2, 2, 2])), [2]))

    low = coded_tables(classes(1, 1, [step_form(code, 2)]), bits=code.bits())
    set_ = class_set(bundle((code, [1, 2])), [2], low=low_packed([3, 1], 2))
    steps_of("low-past-end", "low bits that lead past the last position", set_, 8, low)
    set_ = class_set(bundle((code, [1, 1])), [2], low=b"\x1f")
    steps_of("low-bits", "§10.1: a bit after the low bits is set", set_, 20, low)
    set_ = class_set(bundle((code, [1] * 5)), [5], low=b"\0")
    steps_of("low-cut", "fewer low bits than entries", set_, 20, low, values=None)
    maps = Code({0x41: 1, 1: 1})
    coded_map = coded_tables(classes(1, 1, [FORM_CODED_BITMAP]), bits=maps.bits(BY_SET_BITS))
    set_ = class_set(bundle((maps, [0x41])))
    steps_of("coded-bitmap-bits", "a bit at c of a coded bitmap is set", set_, 6, coded_map)
    plain = coded_tables(classes(1, 1, [FORM_BITMAP]))
    steps_of(
        "bitmap-bits", "a bit at c of a bitmap is set", class_set(b"", bitmaps=b"\x41"), 6, plain
    )
    steps_of(
        "bitmap-cut",
        "a block that ends before the bitmap ends",
        class_set(b"", bitmaps=b"\1"),
        9,
        plain,
        values=None,
    )
    with_holes = coded_tables(classes(1, 1, [FORM_HOLES]))
    for name, rule, holes, n, values in (
        ("count", "more holes than positions", varint(5) + b"\0", 4, raw(b"")),
        ("cut", "a block that ends inside the holes", varint(4) + b"\xff", 4, None),
        ("past-end", "a hole past the last position, by its low bits", b"\1\x0e", 7, raw(bytes(6))),
        ("ones-past-end", "a hole past the last position, by its ones", b"\1\x07\0", 9, raw(bytes(8))),
        ("second-past-end", "a hole past the last position", b"\2\x15", 5, raw(bytes(3))),
        ("bits", "a bit after the holes is set", holes_of([1], 4, "1"), 4, raw(bytes(3))),
        ("2-63", "2^63 holes", varint(1 << 63), 4, raw(b"\1")),
    ):  # fmt: skip
        set_ = class_set(b"", holes=holes)
        steps_of("holes-" + name, rule, set_, n, with_holes, values=values)
    with_holes = coded_tables(classes(2, 1, [FORM_HOLES] * 2))
    made = one(1, bytes(4), crc(class_set(b"", rows=packed([0, 1], 1))), 2, with_holes)
    rule = "§9.1.3: a block that ends before the number of holes"
    bad("classes-holes-absent", "tensor", rule, made)
    all_ = coded_tables(classes(1, 1, [FORM_ALL]))
    steps_of("all-values", "fewer values than entries", class_set(b""), 4, all_)

    rows = coded_tables(classes(3, 1, [FORM_BITMAP, FORM_ALL, FORM_NONE]))

    def by_rows(name, rule, of_row, maps=b"\1", columns=4, n=8, blocks=None, values=raw(bytes(5))):
        data = block(class_set(b"", rows=of_row, bitmaps=maps), NONE, values)
        made = one(1, bytes(n), blocks(data) if blocks else data, columns, rows)
        bad("classes-" + name, "tensor", "§9.1.3: " + rule, made)

    by_rows("row-class", "a row class that is not below K", packed([0, 3], 2))
    by_rows("row-class-bits", "§10.1: a bit after the row classes is set", b"\0\x14")
    by_rows("rows-absent", "a block that ends before the row classes", b"", b"", values=b"")
    by_rows(
        "line-bits",
        "a bit after a line in the middle is set",
        packed([0, 0], 2),
        b"\x11\1",
        values=raw(b"\1\2\3"),
    )
    other = block(NONE)
    rule = "a block that ends inside a row"
    by_rows(
        "cut-row-last",
        rule,
        packed([0, 0], 2),
        b"\1\1",
        blocks=lambda b: [(6, b), (2, other)],
        values=raw(b"\1\2"),
    )
    rule = "a block that starts inside a row"
    by_rows(
        "cut-row-first",
        rule,
        packed([0, 0], 2),
        b"\1\1",
        blocks=lambda b: [(2, other), (6, b)],
        values=raw(b"\1\2"),
    )
    rule = "a block of as many elements as two rows that starts inside one"
    blocks = lambda b: [(2, other), (8, b), (2, other)]  # noqa: E731
    by_rows(
        "moved-rows", rule, packed([0, 0], 2), b"\1\1", n=12, blocks=blocks, values=raw(b"\1\2")
    )
    made = one(1, bytes(8), block(bitmap(8, [0]), class_set(b"", [0]), raw(b"\1")), table=one_class)
    bad("classes-alternates", "tensor", "§9.1: alternates by classes", made)
    made = one(1, bytes(8), block(bitmap(8, [0]), rows_set(4, 1, 0, 0, [0]), raw(b"\1")))
    bad("rows-kind-alternates", "tensor", "§9.1: alternates of kind rows", made)
    for kind in (6, 255):
        made = one(1, bytes(8), block(u8(kind)))
        unsupported(f"position-kind-{kind}", "tensor", "§9.1: another position kind", made)


def bad_coders():
    book = [b"\5", b"\7"]

    def table(name, rule, coder, kind=bad, width=1, **how):
        dense = b"\1" * width * 4
        made = one(width, dense, block(ALL, NONE, raw(dense)), 1, coded_tables(coder=coder, **how),
                   dtype={16: "complex128"}.get(width))  # fmt: skip
        kind(name, "tensor", "§8.2.2: " + rule, made)

    for id in (3, 15):
        table(f"coder-{id}", f"value coder {id}", u8(id), unsupported, bits=TWO.bits())
        rule = f"value coder {id}, whatever bits 4 to 7 are"
        table(f"coder-{id}-of-many", rule, u8(id | 0xF0), unsupported, bits=TWO.bits())
    table("coder-absent", "tables that end before the value coder", b"", flags=8)
    coder = window(1, 100, 0, 2)
    table(
        "coder-16-bytes", "a value coder for elements of 16 bytes", coder, width=16, bits=TWO.bits()
    )
    for name, rule, coder, width in (
        ("rotation", "a rotation by as many bits as the pattern has", window(8, 0, 0, 2), 1),
        ("rotation-32", "a rotation by 32 of 32 bits", window(32, 4, 0, 2), 4),
        ("low-bits", "as many low bits as the pattern has", window(1, 8, 0, 2), 1),
        ("low-bits-57", "57 low bits", window(1, 57, 0, 2), 8),
        ("base", "a base past the patterns", window(1, 4, 16, 2), 1),
        ("base-32", "a base of 2^12 above 20 low bits", window(1, 20, 1 << 12, 2), 4),
        ("base-2-64", "§1.2: a base of 2^64", window(1, 0, 1 << 64, 2), 8),
    ):
        table("window-" + name, rule, coder, width=width, bits=TWO.bits())
    table("window-cut", "tables that end inside the window", window(1, 4, 1, 2)[:-1])
    table("window-code-absent", "tables that end before the code of values", window(1, 4, 1, 2))
    table("window-code-under", "§10.3.1: a code of values that is not complete", window(1, 4, 1, 3),
          bits=Code([1, 12, 2]).bits())  # fmt: skip
    table(
        "window-code-more",
        "§8.2: a code with a length too many",
        window(1, 4, 1, 2),
        bits=Code([1, 1, 12]).bits(),
    )
    table("codes-without-codebook", "codes without a codebook", u8(CODES), bits=TWO.bits())
    table(
        "codes-code-short",
        "a code with fewer lengths than the codebook",
        u8(CODES),
        bits=ONE.bits(),
        codebook=book,
    )
    for name, rule, width, text in (
        ("none", "no bins", 1, "0"),
        ("none-below", "no bins in two nodes", 1, "1100"),
        ("64-low-bits", "a bin of 64 low bits", 8, "10"),
        ("57-low-bits", "a bin of 57 low bits", 8, trie(["0000000", "00000010"])),
        ("too-deep", "a bin of one pattern with children", 1, "11" * 9 + "0" * 9 + "10"),
        ("cut", "tables that end inside the bins", 1, "11" + "10" + "1"),
        ("257", "257 bins", 2, trie([f"{i:09b}" for i in range(257)])),
    ):
        bits = text if name == "cut" else text + TWO.bits()
        table("bins-" + name, rule, u8(BINS), width=width, bits=bits)
    table(
        "bins-code-under",
        "§10.3.1: a code with fewer words than bins",
        u8(BINS),
        bits=trie(["0", "1"]) + Code([12, 1]).bits(),
    )

    table("value-tables-without-classes", "two value tables without classes", u8(BINS | 0x10) + b"\0\1",
          bits=trie(["0", "1"]) + TWO.bits() * 2)  # fmt: skip
    for name, rule, n, numbers in (
        ("first", "the first value table is not 0", 2, b"\1\1\1"),
        ("skip", "a value table that is left out", 3, b"\0\2\2"),
        ("descend", "value tables that descend", 2, b"\0\1\0"),
        ("fewer", "fewer value tables than are said", 3, b"\0\1\1"),
        ("more", "more value tables than are said", 2, b"\0\1\2"),
        ("one", "two value tables, of which one is used", 2, b"\0\0\0"),
    ):
        dense = b"\5\7\5\7"
        bits = Code([1, 1]).bits() * n
        tables_ = coded_tables(
            classes(3, 1, [FORM_ALL] * 3), u8(CODES | n - 1 << 4) + numbers, bits, codebook=book
        )
        made = one(1, dense, block(ALL, NONE, raw(dense)), 1, tables_)
        bad("value-tables-" + name, "tensor", "§8.2.2: " + rule, made)
    tables_ = coded_tables(classes(3, 1, [FORM_ALL] * 3), u8(CODES | 0x10) + b"\0\1", codebook=book)
    made = one(1, dense, block(ALL, NONE, raw(dense)), 1, tables_)
    bad("value-tables-cut", "tensor", "§8.2.2: tables that end inside the value tables", made)

    def values(name, rule, data, table, kind=bad, n=4, width=1, entries=ALL):
        made = one(width, b"\5" * n * width, block(entries, NONE, data), 1, table)
        kind(name, "tensor", rule, made)

    for id in (5, 255):
        values(f"value-kind-{id}", "§9.2: another value kind", u8(id) + bytes(8), b"", unsupported)
    values("coded-without-coder", "§9.2.1: coded values in a payload with tables, but without a coder",
           coded(b"", bundle((ONE, [0]))), tables(b"\5"))  # fmt: skip
    values(
        "aligned-pad",
        "§9.2: bytes before aligned values that are not zero",
        b"\4" + b"\0\0\0\0\1" + b"\5" * 4,
        b"",
    )
    values(
        "aligned-pad-cut",
        "§9.2: a block that ends before its aligned values",
        b"\4" + b"\0" * 4,
        b"",
    )
    values(
        "aligned-cut", "§9.2: fewer aligned values than entries", b"\4" + bytes(5) + b"\5" * 3, b""
    )
    values("aligned-more", "§9: a byte after aligned values", b"\4" + bytes(5) + b"\5" * 5, b"")
    values(
        "aligned-no-pad",
        "§9.2: aligned values without the bytes before them",
        b"\4" + b"\5" * 4,
        b"",
    )

    win = coded_tables(b"", window(0, 4, 0, 2), TWO.bits())
    run = bundle((TWO, [0] * 4))
    low = low_packed([5] * 4, 4)

    def windowed(name, rule, rest, n=4, run=run):
        values("window-" + name, "§9.2.1: " + rule, coded(rest, run), win, n=n)

    windowed("low-cut", "fewer low bits than entries", low[:1])
    windowed(
        "low-unused",
        "§10.1: a bit after the low bits is set",
        b"\x55\xf5" + patches(),
        3,
        bundle((TWO, [0] * 3)),
    )
    windowed("no-patches", "a block that ends before the number of patches", low)
    windowed("trailing", "§9: a byte after the patches", low + patches() + b"\0")
    windowed(
        "symbols-more", "more symbols than entries", low + patches(), run=bundle((TWO, [0] * 9))
    )
    five = [(0, b"\5")] * 5
    windowed("patches-5", "more patches than entries", low + patches(*five))
    windowed("patch-past", "a patch of the entry after the last one", low + patches((4, b"\5")))
    windowed(
        "patch-past-second",
        "a second patch past the entries",
        low + patches((2, b"\5"), (1, b"\5")),
    )
    windowed(
        "patch-2-64",
        "a patch 2^64 − 1 entries on",
        low + patches((0, b"\5"), ((1 << 64) - 1, b"\5")),
    )
    windowed(
        "patch-cut", "a block that ends before the pattern of a patch", low + patches((0, b""))
    )
    windowed("patch-long", "§1.2: a patch in a varint longer than it needs", low + b"\1\x80\0\5")

    binned_ = coded_tables(b"", u8(BINS), trie(["0", "10"]) + TWO.bits())
    run2 = bundle((TWO, [0, 1, 0, 0]))  # 7 + 6 + 7 + 7 = 27 bits

    def binned(name, rule, rest):
        values("bins-" + name, "§9.2.1: " + rule, coded(rest, run2), binned_)

    binned("low-cut", "fewer bytes of low bits than said", b"\4" + bytes(3))
    binned("low-short", "fewer bytes of low bits than the entries have", b"\3" + bytes(3))
    binned("low-long", "more bytes of low bits than the entries have", b"\5" + bytes(5))
    binned("low-unused", "a bit after the low bits is set", b"\4" + bytes(3) + b"\x08")
    binned("low-absent", "a block that ends before the bytes of the low bits", b"")
    binned("low-2-63", "2^63 bytes of low bits", varint(1 << 63) + bytes(4))
    binned(
        "low-size-long",
        "§1.2: the bytes of low bits in a varint longer than it needs",
        b"\x84\0" + bytes(4),
    )
    table_ = coded_tables(b"", u8(BINS), trie(["00000101", "1"]) + TWO.bits())
    data = coded(b"\1\0", bundle((TWO, [0] * 4)))
    values("bins-low-of-none", "§9.2.1: a byte of low bits where no entry has any", data, table_)

    # runs of values in the bundle of the entries
    maps = Code({1: 1, 3: 1})
    joined = coded_tables(classes(1, 1, [FORM_CODED_BITMAP]), u8(CODES),
                          maps.bits(BY_SET_BITS) + TWO.bits(), codebook=book)  # fmt: skip
    set_ = class_set(bundle((maps, [3])))
    data = coded(b"", bundle((TWO, [0, 0])))
    made = one(1, b"\5\5\0\0", block(set_, NONE, data), table=joined)
    bad(
        "coded-second-bundle",
        "tensor",
        "§9.2.1: a bundle of values beside that of the entries",
        made,
    )
    set_ = class_set(bundle((maps, [3]), (TWO, [0])))
    made = one(1, b"\5\5\0\0", block(class_set(b"\1\0"), NONE, coded(b"")), table=joined)
    bad("coded-bundle-short", "tensor", "§9.2.1: a bundle that ends before the entries", made)
    set_ = class_set(bundle((maps, [3]), (TWO, [0] * 9)))
    made = one(1, b"\5\5\0\0", block(set_, NONE, coded(b"")), table=joined)
    bad("coded-bundle-long", "tensor", "§9.2.1: a bundle with more symbols than values", made)
    maps8 = bundle((maps, [3] * 8))
    made = one(1, b"\5\5\0\0\0\0\0\0" * 8, block(class_set(maps8), NONE, coded(b"")), table=joined)
    bad(
        "coded-bundle-without-values",
        "tensor",
        "§9.2.1: a bundle that ends before the values",
        made,
    )


def bad_rows():
    def rows(name, rule, set_, kind=bad, n=12, columns=4, values=None):
        data = block(set_, NONE, values) if values else crc(set_)
        kind("rows-" + name, "tensor", "§9.1.4: " + rule, one(1, bytes(n), data, columns))

    # entries 1 and 2 of row 0, entry 10 of row 2
    good_steps = low_packed([2, 1, 3], 2)
    three = raw(b"\1\2\3")
    for form in (9, 15, 0x12, 0x82):
        data = rows_set(form, 1, 3, 3, [0, 2, 2], (), good_steps)
        rows(f"form-{form}", f"form {form:#04x}", data, unsupported, values=three)
    for name, rule, set_, values in (
        ("group-0", "groups of no rows", rows_set(2, 0, 3, 3, [0, 2, 2], (), good_steps), three),
        ("entries-65536", "65,536 entries", rows_set(2, 1, 65_536, 65_536, [0, 2, 2], (), good_steps), three),
        ("steps-65536", "65,536 steps", rows_set(2, 1, 3, 65_536, [0, 2, 2], [0, 2, 2], good_steps), three),
        ("steps-2-32", "2^32 − 1 steps", rows_set(2, 1, 3, (1 << 32) - 1, [0, 2, 2], [0, 2, 2], good_steps), three),
        ("bitmap-steps", "bitmaps with a number of steps", rows_set(0, 1, 3, 3, [0, 2, 2], (), b"\6\0\4"), three),
        ("bitmap-step-pointers", "bitmaps with step pointers", rows_set(0, 1, 3, 0, [0, 2, 2], [0, 0, 0], b"\6\0\4"), three),
        ("first-pointer", "the first entry pointer is not 0", rows_set(2, 1, 3, 3, [1, 2, 2], (), good_steps), three),
        ("pointer-bitmap", "an entry pointer of bitmaps that is too large", rows_set(0, 1, 3, 0, [0, 2, 3], (), b"\6\0\4"), three),
        ("pointer-past", "an entry pointer past the entries", rows_set(2, 1, 3, 3, [0, 2, 4], (), good_steps), three),
        ("pointers-cut", "a block that ends inside the pointers", rows_set(2, 1, 3, 3, [0, 2]), b""),
        ("head-cut", "a block that ends before the pointers", rows_set(2, 1, 3, 3, [])[:-1], b""),
        ("steps-cut", "a block that ends before the steps", rows_set(2, 1, 3, 3, [0, 2, 2]), b""),
        ("bitmap-missing", "a block that ends inside the bitmaps", rows_set(0, 1, 3, 0, [0, 2, 2], (), b"\6\0"), b""),
        ("steps-bits", "§10.1: a bit after the steps is set", rows_set(2, 1, 3, 3, [0, 2, 2], (), b"\x76"), three),
        ("entries-less", "fewer entries than said", rows_set(0, 1, 4, 0, [0, 2, 2], (), b"\6\0\4"), raw(b"\1\2\3\4")),
        ("entries-more", "more entries than said", rows_set(0, 1, 2, 0, [0, 2, 2], (), b"\6\0\4"), raw(b"\1\2")),
        ("bitmap-row-bits", "a bit after a row is set", rows_set(0, 1, 4, 0, [0, 2, 3], (), b"\6\x10\4"), raw(b"\1\2\3\4")),
        ("past-group", "an entry in the rows of the next group", rows_set(3, 1, 3, 3, [0, 2, 2], (), low_packed([2, 3, 3], 3)), three),
        ("past-last", "an entry after the last row", rows_set(3, 1, 3, 3, [0, 2, 2], (), low_packed([2, 1, 5], 3)), three),
    ):  # fmt: skip
        rows(name, rule, set_, values=values)
    # entries 1, 2 of row 0; 6 of row 1; 11 of row 2, after an escape
    steps, four = low_packed([2, 1, 3, 0, 1], 2), raw(b"\1\2\3\4")
    for name, rule, set_ in (
        ("step-pointer-first", "the first step pointer is not 0", rows_set(2, 1, 4, 5, [0, 2, 3], [1, 2, 3], steps)),
        ("pointer", "an entry pointer that is too small", rows_set(2, 1, 4, 5, [0, 1, 3], [0, 2, 3], steps)),
        ("step-pointer", "a step pointer that is too small", rows_set(2, 1, 4, 5, [0, 2, 3], [0, 1, 3], steps)),
        ("step-pointer-descends", "step pointers that descend", rows_set(2, 1, 4, 5, [0, 2, 3], [0, 3, 2], steps)),
        ("step-pointer-past", "a step pointer past the steps", rows_set(2, 1, 4, 5, [0, 2, 3], [0, 2, 6], steps)),
        ("step-pointers-absent", "fewer entries than steps, without step pointers", rows_set(2, 1, 4, 5, [0, 2, 3], (), steps)),
        ("steps-fewer", "fewer steps than entries", rows_set(2, 1, 4, 3, [0, 2, 3], [0, 2, 3], low_packed([2, 1, 3], 2))),
        ("chain-escape-last", "a chain that ends with an escape", rows_set(2, 1, 4, 5, [0, 2, 3], [0, 2, 4], steps)),
        ("chain-escape-end", "the last chain ends with an escape", rows_set(2, 1, 4, 5, [0, 2, 3], [0, 2, 3], low_packed([2, 1, 3, 1, 0], 2))),
    ):  # fmt: skip
        rows(name, rule, set_, values=four)
    cut = block(rows_set(2, 1, 2, 2, [0, 1], (), low_packed([1, 3], 2)), NONE, raw(b"\1\2"))
    rest = block(NONE)
    rule = "§9.1.4: an entry past the end of a row that the block cuts"
    bad("rows-past-cut-end", "tensor", rule, one(1, bytes(8), [(6, cut), (2, rest)], 4))
    cut = block(rows_set(2, 1, 1, 1, [0, 1], (), low_packed([3], 2)), NONE, raw(b"\1"))
    rule = "§9.1.4: an entry past the end of a first row that the block cuts"
    bad("rows-past-cut-first", "tensor", rule, one(1, bytes(8), [(2, rest), (6, cut)], 4))
    cut = block(rows_set(0, 1, 1, 0, [0, 1], (), b"\4\0"), NONE, raw(b"\1"))
    rule = "§9.1.4: a bit past the end of a first row that the block cuts"
    bad("rows-bits-cut-first", "tensor", rule, one(1, bytes(8), [(2, rest), (6, cut)], 4))


def limits():
    kind = "limit-exceeded"
    made = finish(b"", b"", 1, frame(bytes(1 << 17), 1 << 40), footer_={"manifest_bytes": 1 << 40})
    bad("limit-manifest", "open", "§11: a manifest of 2^40 bytes", made, kind)
    n = (1 << 20) + 1
    m = {name: [] for name in FIELDS}
    m |= {"file_name": ["m"], "file_bytes": [0], "file_holes": [0]}
    m["file_sha256"], m["file_source_sha256"] = hashlib.sha256(b"").digest(), b""
    decoded = encode_manifest(m) + message_field(18, b"") * n
    for field, value in ((19, 0), (20, 7), (21, 0), (23, 0), (24, 0), (25, 0), (26, 0)):
        decoded += message_field(field, bytes([value]) * n)
    stored = zstandard.ZstdCompressor(level=19).compress(decoded)
    bad("limit-tensors", "open", "§11: 2^20 + 1 tensors", finish(b"", decoded, 1, stored), kind)
    n = (1 << 24) + 1
    p = P(1, b"\0", block(NONE))
    row = m | {"file_bytes": [n], "file_holes": [n], "section_kind": [2], "section_bytes": [6]}
    row |= {"section_align": [0], "section_payloads": [1], "payload_width": [1]}
    row |= {"payload_elements": [1], "payload_columns": [1], "payload_stored_bytes": [6]}
    row |= {"payload_table_bytes": [0], "payload_blocks": [1]}
    row["file_sha256"] = hashlib.sha256(bytes(n)).digest()
    decoded = encode_manifest(row) + message_field(6, bytes(n)) + message_field(7, bytes(n))
    bad("limit-holes", "open", "§11: 2^24 + 1 holes", finish(p.record, decoded, 1), kind)
    made = archive(
        [("m", [b"a"])], (), [T("t", "uint8", [1] * 255, b"a", "skeleton", nnz=1)], coding=1
    )
    bad("limit-rank", "open", "§11: rank 255", made, kind)
    made = archive(
        [("m", [b"a"])], (), [T("t" * 65536, "uint8", [], b"a", "skeleton", nnz=1)], coding=1
    )
    bad("limit-tensor-name", "open", "§11: a tensor name of 65,536 bytes", made, kind)
    bad(
        "limit-file-name",
        "open",
        "§11: a file name of 65,536 bytes",
        archive([("m" * 65536, [])], coding=1),
        kind,
    )
    bad(
        "limit-nesting",
        "open",
        "§11: a file in 65 folders",
        archive([("f/" * 65 + "m", [])], coding=1),
        kind,
    )
    tensor = T("t", "uint8", [1 << 62], b"", "skeleton", 0, 1 << 62, 0)
    bad(
        "limit-tensor",
        "tensor",
        "§11: a tensor of 2^62 zeros, all of them repeats",
        archive([("m", [])], (), [tensor]),
        kind,
    )
    tensor = T("t", "float64", [1 << 61], b"", "skeleton", 0, 1 << 61, 0)
    bad(
        "limit-tensor-2-64-bytes",
        "tensor",
        "§11: a tensor of 2^61 zeros of 8 bytes, all of them repeats",
        archive([("m", [])], (), [tensor]),
        kind,
    )
    tensor = T("t", "float32", [1 << 20, 1 << 20], b"", "skeleton", 0, (1 << 40) - 1, 1 << 40)
    bad(
        "limit-tensor-repeats",
        "tensor",
        "§11: a tensor of 2^40 times one value",
        archive([("m", [f32(1)])], (), [tensor]),
        kind,
    )
    n = (1 << 14) + 1
    block_bytes = 1 << 24
    row |= {"file_bytes": [n * block_bytes], "file_holes": [n], "payload_width": [4]}
    row |= {"payload_elements": [1 << 22], "payload_columns": [1 << 11]}
    decoded = encode_manifest(row) + message_field(6, bytes(n)) + message_field(7, bytes(n))
    bad(
        "limit-restored",
        "restore",
        "§11, §13: 2^14 + 1 holes of one block of 2^24 zero bytes",
        finish(p.record, decoded, 1),
        kind,
    )
    row |= {"file_bytes": [64 * block_bytes], "file_holes": [64]}
    decoded = encode_manifest(row) + message_field(6, bytes(64)) + message_field(7, bytes(64))
    bad(
        "limit-expansion",
        "restore",
        "§11, §13: 64 holes of one block of 2^24 zero bytes",
        finish(p.record, decoded, 1),
        kind,
    )
    tensor = T("t", "uint8", [1 << 30], b"", "skeleton", 0, 1 << 30, 0)
    bad(
        "limit-expansion-tensor",
        "tensor",
        "§11: a tensor of 2^30 zeros, all of them repeats, in fewer than 2^10 bytes",
        archive([("m", [])], (), [tensor]),
        kind,
    )


def unsupported_files():
    def made(**lies):
        return archive([("m", [])], header_=lies)

    unsupported("version-0", "open", "§3: version 0, the draft", made(version=0))
    unsupported("version-2", "open", "§3: version 2", made(version=2))
    unsupported("version-65535", "open", "§3: version 65535", made(version=65535))
    unsupported(
        "header-reserved", "open", "§3: the reserved field of the header", made(reserved=0x100)
    )
    unsupported("feature-0", "open", "§3: required feature bit 0", made(features=1))
    unsupported("feature-63", "open", "§3: required feature bit 63", made(features=1 << 63))
    made = archive([("m", [])], footer_={"coding": 2})
    unsupported("manifest-coding-2", "open", "§5.1: another manifest coding", made)
    hello = [("m", [b"hello"])]
    sections = [(1, crc(b"hello"), 0, 0), (3, b"?", 0, 0)]
    unsupported(
        "section-kind-3", "open", "§4: another section kind", archive(hello, sections=sections)
    )
    sections = [(1, crc(b"hello"), 0, 0), (0, b"?", 0, 0)]
    unsupported("section-kind-0", "open", "§4: section kind 0", archive(hello, sections=sections))


README = """# Conformance vectors, version 1

Small `.tfz` files, each about one rule of [FORMAT.md](../../FORMAT.md). A reader is right if it
reads all the good ones to what stands beside them and refuses all the others with the kind given.
The files that are refused break the one rule that is named; their checksums are right otherwise.

Beside `good-X.tfz` stand `good-X.json`, with the files (`bytes` in hex where there are several),
the tensors and the dense little-endian bytes of each tensor in hex (`null` for an opaque one; above
4 KiB `bytes_sha256` instead), and `good-X.bin`, the restored file, if it is only one and at most
4 KiB; its SHA-256 is in the JSON. `is_folder` and `empty_folders` stand there where §6.4 makes a
folder of something else than several files. `bad-limit-*` go by the default limits of §11.

`level` says what must find the fault at the latest, and what must still work:

| level | |
|---|---|
| `open` | opening the file: header, footer and manifest |
| `tensor` | reading a tensor (not opening); each of these files has one whose reading fails |
| `restore` | restoring the files (not reading any tensor) |
| `verify` | only a full check of everything, padding and nnz included |

`tools/reference/make_vectors.py` writes them. An existing one is never written again or edited; a
new case, and every bug that was fixed, gets a new name. What a good one reads to never changes.
SHA256SUMS says what their bytes are, and a test compares them. The `¦` in a name stands for a bar.

| file | kind | level | rule |
|---|---|---|---|
"""


def write_sums(folder):
    """Adds what is new to SHA256SUMS, and changes no line that is there."""
    path = folder / "SHA256SUMS"
    sums = {}
    if path.exists():
        for line in path.read_text(encoding="ascii").splitlines():
            digest, name = line.split("  ")
            sums[name] = digest
    for file in folder.iterdir():
        if file.suffix in (".tfz", ".json", ".bin"):
            sums.setdefault(file.name, hashlib.sha256(file.read_bytes()).hexdigest())
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    path.write_text(text, encoding="ascii")


def write_vectors(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, kind, _, _, (data, files, tensors) in CASES:
        path = folder / name
        if path.exists():
            continue
        path.write_bytes(data)
        if kind != "good":
            continue
        rows = [
            {"name": n, "sha256": hashlib.sha256(b).hexdigest(), "size": len(b)} for n, b in files
        ]
        if len(files) > 1:
            for row, (_, restored) in zip(rows, files):
                row["bytes"] = restored.hex()
        elif files and len(files[0][1]) <= 4096:
            path.with_suffix(".bin").write_bytes(files[0][1])
        for tensor in tensors:
            if tensor["bytes"] and len(tensor["bytes"]) > 8192:
                digest = hashlib.sha256(bytes.fromhex(tensor.pop("bytes"))).hexdigest()
                tensor["bytes_sha256"] = digest
        content = {"files": rows, "tensors": tensors}
        is_folder, empty_folders = FOLDERS[name]
        if is_folder:
            content |= {"is_folder": True, "empty_folders": empty_folders}
        text = json.dumps(content, indent=1, ensure_ascii=False)
        path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    table = "".join(
        f"| `{name}` | {kind} | {level} | {rule} |\n"
        for name, kind, level, rule, _ in sorted(CASES, key=lambda c: c[0])
    )
    (folder / "README.md").write_text(README + table, encoding="utf-8")
    write_sums(folder)


def main():
    if len(sys.argv) != 2:
        sys.exit("make_vectors.py: one argument, the folder")
    for add in (
        good_files, good_manifests, good_positions, good_values, good_alternates, good_tensors,
        good_zstd, good_profiles, good_huffman, good_classes, good_coders, good_rows, bad_ends, bad_columns, bad_sections, bad_files, bad_skeletons, bad_tensors,
        bad_payloads, bad_blocks, bad_short_blocks, bad_codes, bad_classes, bad_coders,
        bad_rows, limits, unsupported_files,
    ):  # fmt: skip
        add()
    names = [case[0] for case in CASES]
    assert len(names) == len(set(names)), "two cases of one name"
    write_vectors(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
