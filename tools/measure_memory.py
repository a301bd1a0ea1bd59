"""Peak memory of a program beyond the files that it maps.

    measure_memory.py LIMIT_MB COMMAND [ARG ...]

Runs the command and samples RssAnon of /proc/PID/status (resident pages that belong to no file)
every two milliseconds. Prints the peak, and the peak of RssFile beside it; fails when RssAnon
was above the limit, or when the command failed. Linux only.
"""

import subprocess
import sys
import time


def resident(pid):
    """(RssAnon, RssFile) of a process in kB; zeros once it is gone."""
    try:
        with open(f"/proc/{pid}/status") as status:
            fields = dict(line.split(":", 1) for line in status)
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    return tuple(int(fields.get(key, "0").split()[0]) for key in ("RssAnon", "RssFile"))


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    limit_mb, command = float(sys.argv[1]), sys.argv[2:]
    process = subprocess.Popen(command)
    anonymous = mapped = samples = 0
    while process.poll() is None:
        now = resident(process.pid)
        anonymous, mapped = max(anonymous, now[0]), max(mapped, now[1])
        samples += 1
        time.sleep(0.002)
    print(
        f"{command[0].rsplit('/', 1)[-1]}: peak {anonymous / 1024:.1f} MiB beyond mapped files "
        f"({mapped / 1024:.1f} MiB of them), {samples} samples"
    )
    if process.returncode != 0 or samples < 10:
        sys.exit(f"the command failed with {process.returncode}, or ended too soon to be measured")
    if anonymous * 1024 > limit_mb * 1e6:
        sys.exit(f"above the limit of {limit_mb:g} MB")


if __name__ == "__main__":
    main()
