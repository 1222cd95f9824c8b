#!/usr/bin/python3
"""One recording call from C++ (beside the C call, in turns) and from Rust, as hosts write it.

    bench_bindings.py [--quick]

Calls are timed in groups of 20; a figure is the mean of the lower 99 % of the groups. Rust's program is built by cargo,
offline; without cargo it is left out. The counts must be exact.
"""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

from closing import QUICK, counts, main, rows

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("AILIVE_BIN", ROOT / "build/release/bin"))
AMOUNT = ["1", "2000"] if QUICK else ["7", "20000"]  # repetitions, calls of each: all together fit into a ring
RUST = BIN.parent / "rust"  # where the tests have cargo build, too


def row(language, values, beside=None):
    ratios = [ours / theirs for ours, theirs in zip(values, beside)] if beside else None
    rows.append({"question": f"{language}, one decision with known names", "goal": None, "unit": "ns",
                 "median": statistics.median(values), "low": min(values), "high": max(values), "n": len(values),
                 "ratio": statistics.median(ratios) if ratios else None, "ratio_low": min(ratios) if ratios else None,
                 "ratio_high": max(ratios) if ratios else None, "reference": "the C call" if ratios else None, "met": None})
    said = f", {rows[-1]['ratio']:.3g} times the C call" if ratios else ""
    print(f"{rows[-1]['question']}: {rows[-1]['median']:.4g} ns [{min(values):.4g} .. {max(values):.4g}]{said}", flush=True)


def measure(language, program, env):
    done = subprocess.run([program, *AMOUNT], env=env, check=True, capture_output=True, text=True, timeout=300)
    found = json.loads(done.stdout)
    row(language, found["ns"], found.get("c_ns"))
    counts[f"{language} records"] = [found["calls"], found["recorded"]]


def rust_program(env):
    subprocess.run(["cargo", "build", "--release", "--offline", "--locked", "--quiet", "--example", "calls",
                    "--manifest-path", ROOT / "bindings/rust/Cargo.toml", "--target-dir", RUST], env=env, check=True,
                   stdout=sys.stderr, timeout=300)
    return RUST / "release/examples/calls"


def run(folder):
    library = str(BIN.parent / "lib")
    env = {**os.environ, "LD_LIBRARY_PATH": library, "AILIVE_LIB_DIR": library,
           "AILIVE_RUNTIME_DIR": str(folder / "runtime"), "AILIVE_SPOOL_DIR": str(folder / "spool")}
    measure("C++", BIN / "calls_cpp", env)
    if shutil.which("cargo"):
        measure("Rust", rust_program(env), env)
    else:
        print("cargo is not installed: Rust is left out", flush=True)


if __name__ == "__main__":
    sys.exit(main("bindings", run))
