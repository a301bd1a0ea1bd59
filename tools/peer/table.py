#!/usr/bin/env python3
"""The tables of benches/README.md from what peers.py --json wrote.

    tools/peer/table.py RUN.json [RUN.json ...]

Ratios are tfzip's number over its rival's: bytes should be below 1, speeds above. Speeds are first
divided by that of a memcpy that was timed in turn with them, so that what else the machine did falls
out. A row is a folder of tensors: sums of bytes and of times. Fails where a tensor did not come back
bit for bit. Later files replace rows of earlier ones.
"""

import json
import math
import sys

RIVAL = "pcodec gaps+values"
CODED = ["tfzip balanced", "tfzip balanced fast", "tfzip small"]
DIRECT = "tfzip direct"
HAN = "Han rel-index f32"
PLAIN = ["bitmask, scalar", "bitmask, avx512", "bitmask, avx512 stream", HAN, "CSR u32 index"]


def read(paths):
    """Codecs and their numbers by model, and what was run on."""
    models, hosts = {}, []
    for path in paths:
        with open(path) as file:
            run = json.load(file)
        host = f"{run['host']['cpu']}, {run['host']['cores']} processors"
        if host not in hosts:
            hosts.append(host)
        for name, model in run["models"].items():
            total = model["total"]
            models.setdefault(name, {"dense": total["dense"], "codecs": {}})["codecs"].update(total["codecs"])
            for tensor in model["tensors"]:
                for codec in [*CODED, DIRECT]:
                    row = tensor["codecs"].get(codec)
                    if row and (row.get("err") or row.get("fid") != "exact"):
                        sys.exit(f"{tensor['file']}: {codec}: {row.get('err') or row.get('fid')}")
    return models, hosts


def over(codecs, codec, rival, key):
    """A number of `codec` over that of `rival`, if both have it."""
    a, b = codecs.get(codec, {}).get(key), codecs.get(rival, {}).get(key)
    return a / b if a and b else None


def number(value, digits=2):
    return "–" if value is None else f"{value:.{digits}f}"


def mean(values):
    """The geometric mean of the numbers that are there."""
    values = [value for value in values if value is not None]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def table(header, rows):
    """A Markdown table: all columns but the first to the right."""
    print("| " + " | ".join(header) + " |")
    print("|---|" + "---:|" * (len(header) - 1))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def ratios(title, models, columns):
    """Rows of ratios, and their geometric means. A column is (header, function of codecs, digits)."""
    cells = {name: [value(model["codecs"]) for _, value, _ in columns] for name, model in models.items()}
    rows = [[name, *(number(v, d) for v, (_, _, d) in zip(row, columns))] for name, row in cells.items()]
    means = [mean(column) for column in zip(*cells.values())]
    rows.append(["**geometric mean**", *(f"**{number(v, d)}**" for v, (_, _, d) in zip(means, columns))])
    table([title, *(header for header, _, _ in columns)], rows)


def best_plain(codecs):
    """The plain layout that decodes fastest."""
    measured = [name for name in PLAIN if codecs.get(name, {}).get("vs_memcpy")]
    return max(measured, key=lambda name: codecs[name]["vs_memcpy"], default=None)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    models, hosts = read(sys.argv[1:])
    print(f"{'; '.join(hosts)}. One thread.\n")

    print(f"Against `{RIVAL}`, which is set to 1:\n")
    for codec in CODED:
        if any(codec in model["codecs"] for model in models.values()):
            ratios(
                codec,
                models,
                [
                    ("bytes", lambda c, x=codec: over(c, x, RIVAL, "bytes"), 3),
                    ("decode speed", lambda c, x=codec: over(c, x, RIVAL, "vs_memcpy"), 2),
                    ("encode speed", lambda c, x=codec: over(c, x, RIVAL, "enc_mbs"), 2),
                ],
            )

    if any(DIRECT in model["codecs"] for model in models.values()):
        print(f"Bytes against `{HAN}`, decode speed against the fastest plain layout:\n")
        ratios(
            DIRECT,
            models,
            [
                ("bytes", lambda c: over(c, DIRECT, HAN, "bytes"), 3),
                ("decode speed", lambda c: over(c, DIRECT, best_plain(c), "vs_memcpy"), 2),
                (f"decode speed against `{HAN}`", lambda c: over(c, DIRECT, HAN, "vs_memcpy"), 2),
            ],
        )
        rows = [[name, best_plain(model["codecs"]) or "–"] for name, model in models.items()]
        table(["", "fastest plain layout"], rows)

    print("Dense : stored, decode in GB/s of dense float32, that as a share of a memcpy, encode in MB/s:\n")
    present = [c for c in [*CODED, DIRECT, RIVAL] if any(c in m["codecs"] for m in models.values())]

    def cell(row):
        if not row:
            return "–"
        return f"{row['ratio']:.2f} / {number(row.get('dec_gbs'))} / {number(row.get('vs_memcpy'))} / {number(row.get('enc_mbs'), 0)}"

    table(
        ["", *present],
        [[name, *(cell(model["codecs"].get(codec)) for codec in present)] for name, model in models.items()],
    )


if __name__ == "__main__":
    main()
