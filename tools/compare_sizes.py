"""Sizes of model files: as they are, and as gzip, zstd, xz and tfzip make them.

    compare_sizes.py MODEL.pb ...

Prints a Markdown table. Needs `cargo build --release --workspace` to have been run, and the
package zstandard.
"""

import gzip
import lzma
import os
import subprocess
import sys
import tempfile

import zstandard

PACK = os.path.join(os.path.dirname(__file__), "..", "target", "release", "tfzip-pack")


def tfzip(path, *options):
    """Bytes of the .tfz that tfzip-pack makes of a model."""
    with tempfile.TemporaryDirectory() as folder:
        output = os.path.join(folder, "model.tfz")
        subprocess.run([PACK, "--quiet", *options, path, output], check=True, stdout=subprocess.DEVNULL)
        return os.path.getsize(output)


def row(path):
    with open(path, "rb") as file:
        model = file.read()
    sizes = [
        len(model),
        len(gzip.compress(model, 9, mtime=0)),
        len(zstandard.ZstdCompressor(level=19).compress(model)),
        len(lzma.compress(model, preset=9 | lzma.PRESET_EXTREME)),
        tfzip(path),
    ]
    name = os.path.join(os.path.basename(os.path.dirname(path)), os.path.basename(path))
    return f"| `{name}` | " + " | ".join(f"{size:,}" for size in sizes) + f" | {sizes[0] / sizes[-1]:.1f}× |"


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    print("| model | bytes | gzip -9 | zstd -19 | xz -9e | **tfzip** | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for path in sys.argv[1:]:
        print(row(path), flush=True)


if __name__ == "__main__":
    main()
