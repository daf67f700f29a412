# SPDX-License-Identifier: MIT
"""What the benchmarks share: how a command is measured, and in which surroundings."""
import json
import os
import shutil
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("abs_top_builddir", os.path.join(HERE, "../.."))
PROGRAM = os.path.abspath(os.environ.get("KERNEL_SIGN", os.path.join(BUILD, "kernel-sign")))
DECOMPRESS = {".ko": "cat", ".ko.xz": "xz -dc", ".ko.zst": "zstd -qdc", ".ko.gz": "gzip -dc"}


def suffix(name):
    for known in DECOMPRESS:
        if name.endswith(known):
            return known
    return None


def built(name):
    return os.path.abspath(os.path.join(BUILD, "tests/bench", name))


def set_up(*tools):
    """The environment must decide neither what is measured nor how the tools behave."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    os.environ["LC_ALL"] = "C"
    for name in ("KERNEL_SIGN_KEY", "KERNEL_SIGN_CERT", "KBUILD_SIGN_PIN", "GZIP", "XZ_OPT", "XZ_DEFAULTS",
                 "ZSTD_CLEVEL", "ZSTD_NBTHREADS"):
        os.environ.pop(name, None)
    for tool in (PROGRAM, built("usage"), *tools):
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing" + (': "make bench" builds it' if "/" in tool else ""))


def show_progress(text):
    if sys.stderr.isatty():
        print(f"\r{text[:78]:78}", end="", file=sys.stderr, flush=True)


def end_progress():
    show_progress("")
    show_progress("")


def measure(command, scratch, output=os.devnull):
    """{cpu, wall, peak_kb} of a shell's COMMAND and all that it starts; its standard output goes into
    the file OUTPUT."""
    report = os.path.join(scratch, "usage.json")
    with open(output, "wb") as out:
        done = subprocess.run([built("usage"), report, "sh", "-c", command], stdin=subprocess.DEVNULL,
                              stdout=out, check=False)
    if done.returncode:
        sys.exit(f"exit status {done.returncode}: {command}")
    with open(report, encoding="ascii") as file:
        return json.load(file)


def summarize(name, command, runs):
    """What the JSON has of one case: every figure, and the medians."""
    return {"name": name, "command": command,
            "cpu": [run["cpu"] for run in runs], "wall": [run["wall"] for run in runs],
            "cpu_median": statistics.median(run["cpu"] for run in runs),
            "wall_median": statistics.median(run["wall"] for run in runs),
            "peak_kb": max(run["peak_kb"] for run in runs)}


def compare(cases):
    """How many times as dear each case is as the first one."""
    for case in cases:
        case["cpu_ratio"] = case["cpu_median"] / cases[0]["cpu_median"]
        case["wall_ratio"] = case["wall_median"] / cases[0]["wall_median"]


def show_cases(cases, width=26):
    print(f"{'':{width}}{'CPU s':>9}{'x':>7}{'wall s':>9}{'x':>7}{'peak MB':>9}")
    for case in cases:
        print(f"{case['name']:{width}}{case['cpu_median']:9.2f}{case['cpu_ratio']:7.2f}"
              f"{case['wall_median']:9.2f}{case['wall_ratio']:7.2f}{case['peak_kb'] / 1024:9.1f}")


def write_json(path, value):
    """Also while a long run is on, so that nothing that was measured is lost."""
    if not path:
        return
    with open(path + ".new", "w", encoding="ascii") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
    os.replace(path + ".new", path)
