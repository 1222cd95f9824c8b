"""pip installs it in a virtual environment, offline: with libailive named by folder or by pkg-config, and without."""
import os
import pathlib
import shutil

import pytest
from conftest import ROADS, ROOT, Stack

LIBRARY = pathlib.Path(os.environ["AILIVE_BIN"]).parent / "lib"
WHERE = "import ailive; print(ailive.road, ailive.__file__)"


@pytest.fixture(scope="module")
def venv():
    """A fresh environment, and a copy of the sources: a build leaves files beside them."""
    stack = Stack()
    stack.setUp()
    stack.env.pop("PYTHONPATH")
    stack.run_ok("/usr/bin/python3", "-m", "venv", "--system-site-packages", str(stack.folder / "venv"))
    yield stack
    stack.tearDown()


def install(venv, **variables):
    source = venv.folder / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "bindings/python", source)
    python = str(venv.folder / "venv/bin/python")
    venv.run_ok("bash", "-c", 'cd "$0" && exec "$@"', str(source), python, "-m", "pip", "install", "--quiet", "--no-index",
                "--no-build-isolation", "--force-reinstall", ".", env=dict(venv.env, **variables), seconds=120)
    return venv.run_ok(python, "-c", WHERE).stdout.decode()


def test_libailive_below_a_prefix_is_found(venv):
    if "libailive" not in ROADS:
        pytest.skip("there is no libailive")
    (venv.folder / "prefix").mkdir()
    (venv.folder / "prefix/include").symlink_to(ROOT / "sdk/include")
    (venv.folder / "prefix/lib").symlink_to(LIBRARY)
    said = install(venv, AILIVE_PREFIX=str(venv.folder / "prefix"))
    assert said.startswith("libailive ") and "/venv/lib/" in said
    assert [path.name for path in (venv.folder / "venv").rglob("ailive/*.so")] == ["_native.abi3.so"]
    assert list((venv.folder / "venv").rglob("ailive/py.typed"))


def test_libailive_is_found_by_pkg_config(venv):
    if "libailive" not in ROADS:
        pytest.skip("there is no libailive")
    (venv.folder / "ailive.pc").write_text(
        f"Name: ailive\nDescription: x\nVersion: 0.1.0\nCflags: -I{ROOT}/sdk/include\n"
        f"Libs: -L{LIBRARY} -lailive -Wl,-rpath,{LIBRARY}\n")
    assert install(venv, PKG_CONFIG_PATH=str(venv.folder), AILIVE_REQUIRE="1").startswith("libailive ")


def test_without_libailive_it_installs_and_writes_jsonl(venv):
    assert install(venv, PKG_CONFIG_LIBDIR=str(venv.folder / "nothing")).startswith("JSONL ")


def test_the_versions_agree():
    version = '0.1.0'
    assert f'__version__ = "{version}"' in (ROOT / "bindings/python/ailive/__init__.py").read_text()
    assert f'version = "{version}"' in (ROOT / "bindings/python/pyproject.toml").read_text()
    assert f'AILIVE_VERSION_STRING "{version}"' in (ROOT / "sdk/include/ailive/ailive.h").read_text()
