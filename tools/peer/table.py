#!/usr/bin/env python3
"""The tables of benches/README.md from what peers.py --json wrote.

    tools/peer/table.py RUN.json [RUN.json ...]

Ratios are tfzip's number over its rival's in the same run: bytes should be below 1, speeds above. Speeds
are first divided by that of a memcpy that was timed in turn with them, so that what else the machine did
falls out. With several runs every number is the median of theirs. A row is a folder of tensors: sums of
bytes and of times. Fails where a tensor did not come back bit for bit.
"""

import json
import math
import statistics
import sys

RIVAL = "pcodec gaps+values"
CODED = ["tfzip balanced", "tfzip balanced fast", "tfzip small"]
DIRECT = "tfzip direct"
HAN = "Han rel-index f32"
PLAIN = ["bitmask, scalar", "bitmask, avx512", "bitmask, avx512 stream", HAN, "CSR u32 index"]


def read(paths):
    """For each model the codecs and their numbers in every run; and what was run on."""
    models, hosts = {}, []
    for path in paths:
        with open(path) as file:
            run = json.load(file)
        host = f"{run['host']['cpu']}, {run['host']['cores']} processors"
        if host not in hosts:
            hosts.append(host)
        for name, model in run["models"].items():
            models.setdefault(name, []).append(model["total"]["codecs"])
            for tensor in model["tensors"]:
                for codec in [*CODED, DIRECT]:
                    row = tensor["codecs"].get(codec)
                    if row and (row.get("err") or row.get("fid") != "exact"):
                        sys.exit(f"{tensor['file']}: {codec}: {row.get('err') or row.get('fid')}")
    return models, hosts


def median(values):
    """The median of the numbers that are there, `None` if there are none."""
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def of(runs, codec, key):
    """A number of `codec`."""
    return median(run.get(codec, {}).get(key) for run in runs)


def over(runs, codec, rival, key):
    """A number of `codec` over that of `rival`, if some run has both."""
    pairs = [(run.get(codec, {}).get(key), run.get(rival, {}).get(key)) for run in runs]
    return median(a / b for a, b in pairs if a and b)


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
    """Rows of ratios, and their geometric means. A column is (header, function of runs, digits)."""
    cells = {name: [value(runs) for _, value, _ in columns] for name, runs in models.items()}
    rows = [[name, *(number(v, d) for v, (_, _, d) in zip(row, columns))] for name, row in cells.items()]
    means = [mean(column) for column in zip(*cells.values())]
    rows.append(["**geometric mean**", *(f"**{number(v, d)}**" for v, (_, _, d) in zip(means, columns))])
    table([title, *(header for header, _, _ in columns)], rows)


def best_plain(runs):
    """The plain layout that decodes fastest."""
    speeds = {name: of(runs, name, "vs_memcpy") for name in PLAIN}
    measured = [name for name in PLAIN if speeds[name]]
    return max(measured, key=speeds.get, default=None)


def has(models, codec):
    """Whether some run has the codec."""
    return any(codec in run for runs in models.values() for run in runs)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    models, hosts = read(sys.argv[1:])
    runs = len(sys.argv) - 1
    print(f"{'; '.join(hosts)}. One thread, {runs} run{'s' if runs > 1 else ''}.\n")

    print(f"Against `{RIVAL}`, which is set to 1:\n")
    for codec in CODED:
        if has(models, codec):
            ratios(
                codec,
                models,
                [
                    ("bytes", lambda c, x=codec: over(c, x, RIVAL, "bytes"), 3),
                    ("decode speed", lambda c, x=codec: over(c, x, RIVAL, "vs_memcpy"), 2),
                    ("encode speed", lambda c, x=codec: over(c, x, RIVAL, "enc_mbs"), 2),
                ],
            )

    if has(models, DIRECT):
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
        rows = [[name, best_plain(runs) or "–"] for name, runs in models.items()]
        table(["", "fastest plain layout"], rows)

    print("Dense : stored, decode in GB/s of dense float32, that as a share of a memcpy, encode in MB/s:\n")
    present = [codec for codec in [*CODED, DIRECT, RIVAL] if has(models, codec)]

    def cell(runs, codec):
        digits = {"ratio": 2, "dec_gbs": 2, "vs_memcpy": 2, "enc_mbs": 0}
        return " / ".join(number(of(runs, codec, key), n) for key, n in digits.items())

    table(["", *present], [[name, *(cell(runs, c) for c in present)] for name, runs in models.items()])


if __name__ == "__main__":
    main()
