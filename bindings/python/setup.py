"""Builds ailive._native where libailive is: below $AILIVE_PREFIX (include/ailive/ailive.h, and libailive.so in lib/ or
lib/<architecture>/), or where pkg-config says. Without it the package is pure Python and writes contract JSONL;
AILIVE_REQUIRE=1 makes that an error.
"""
import os
import pathlib
import shlex
import subprocess
import sys
import sysconfig

from setuptools import Extension, setup

SOURCES = ["src/module.c", "src/client.c", "src/timer.c", "src/arguments.c", "src/intern.c"]
FLAGS = ["-std=c11", "-O3", "-fvisibility=hidden"]


def from_prefix(prefix):
    folders = [f"{prefix}/lib/{sysconfig.get_config_var('MULTIARCH')}", f"{prefix}/lib64", f"{prefix}/lib"]
    library = next((folder for folder in folders if pathlib.Path(folder, "libailive.so").exists()), None)
    if library is None or not pathlib.Path(prefix, "include/ailive/ailive.h").exists():
        sys.exit(f"setup.py: no include/ailive/ailive.h and lib/libailive.so below AILIVE_PREFIX={prefix}")
    return {"include_dirs": [f"{prefix}/include"], "library_dirs": [library], "libraries": ["ailive"],
            "runtime_library_dirs": [os.path.abspath(library)], "extra_compile_args": FLAGS}


def from_pkg_config():
    def ask(option):
        return shlex.split(subprocess.run(["pkg-config", option, "ailive"], check=True, capture_output=True,
                                          text=True).stdout)
    try:
        return {"extra_compile_args": FLAGS + ask("--cflags"), "extra_link_args": ask("--libs")}
    except (OSError, subprocess.CalledProcessError):
        return None


def extensions():
    prefix = os.environ.get("AILIVE_PREFIX")
    where = from_prefix(prefix) if prefix else from_pkg_config()
    if where is None:
        if os.environ.get("AILIVE_REQUIRE") == "1":
            sys.exit("setup.py: libailive was not found; set AILIVE_PREFIX or PKG_CONFIG_PATH")
        print("libailive was not found: the package will write JSONL (AILIVE_PREFIX or PKG_CONFIG_PATH say where it is)",
              file=sys.stderr)
        return []
    return [Extension("ailive._native", SOURCES, py_limited_api=True,
                      define_macros=[("Py_LIMITED_API", "0x030B0000"), ("_GNU_SOURCE", "1")], **where)]


modules = extensions()
setup(ext_modules=modules, options={"bdist_wheel": {"py_limited_api": "cp311"}} if modules else {})
