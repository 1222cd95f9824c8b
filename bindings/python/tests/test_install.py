"""pip installs it in a virtual environment, offline: with libailive named by folder or by pkg-config, and without."""
import os
import pathlib
import shutil
import tarfile

import pytest
from conftest import ROADS, ROOT, Stack

BUILD = pathlib.Path(os.environ["AILIVE_BIN"]).parent
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


def install(venv, library="", **variables):
    """Gives what the installed package says of itself; library: where the loader is to look besides its own folders."""
    source = venv.folder / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "bindings/python", source)
    python = str(venv.folder / "venv/bin/python")
    venv.run_ok("bash", "-c", 'cd "$0" && exec "$@"', str(source), python, "-m", "pip", "install", "--quiet", "--no-index",
                "--no-build-isolation", "--force-reinstall", ".", env=dict(venv.env, **variables), seconds=120)
    return venv.run_ok(python, "-c", WHERE, env=dict(venv.env, LD_LIBRARY_PATH=str(library))).stdout.decode()


@pytest.fixture(scope="module")
def installed(venv):
    """libailive and its development files as `cmake --install` leaves them."""
    if "libailive" not in ROADS:
        pytest.skip("there is no libailive")
    for component in ("library", "development"):
        venv.run_ok("cmake", "--install", str(BUILD), "--component", component, "--prefix", str(venv.folder / "prefix"))
    return venv.folder / "prefix"


def test_libailive_below_a_prefix_is_found(venv, installed):
    said = install(venv, AILIVE_PREFIX=str(installed))
    assert said.startswith("libailive ") and "/venv/lib/" in said
    assert [path.name for path in (venv.folder / "venv").rglob("ailive/*.so")] == ["_native.abi3.so"]
    assert list((venv.folder / "venv").rglob("ailive/py.typed"))


def test_libailive_is_found_by_pkg_config(venv, installed):
    (pc,) = installed.rglob("ailive.pc")
    said = install(venv, library=pc.parents[1], PKG_CONFIG_PATH=str(pc.parent), AILIVE_REQUIRE="1")
    assert said.startswith("libailive ")


def test_a_prefix_without_libailive_is_an_error_that_names_it(venv):
    source = venv.folder / "source"
    done = venv.run_ok("bash", "-c", 'cd "$0" && /usr/bin/python3 setup.py build 2>&1', str(source), status=1,
                       env=dict(venv.env, AILIVE_PREFIX=str(venv.folder / "nothing")))
    assert f"below AILIVE_PREFIX={venv.folder}/nothing" in done.stdout.decode()


def test_without_libailive_it_installs_and_writes_jsonl(venv):
    assert install(venv, PKG_CONFIG_LIBDIR=str(venv.folder / "nothing")).startswith("JSONL ")


def test_a_source_archive_is_whole(venv, tmp_path):
    shutil.copytree(ROOT / "bindings/python", tmp_path / "source")
    venv.run_ok("bash", "-c", 'cd "$0" && /usr/bin/python3 setup.py -q sdist -d dist 2>&1', str(tmp_path / "source"))
    (archive,) = (tmp_path / "source/dist").iterdir()
    with tarfile.open(archive) as tar:
        names = {pathlib.PurePath(*pathlib.PurePath(name).parts[1:]).as_posix() for name in tar.getnames()}
    wanted = [path for folder in ("ailive", "src") for path in (ROOT / "bindings/python" / folder).iterdir()]
    assert {f"{path.parent.name}/{path.name}" for path in wanted if path.is_file()} - names == set()


def test_the_versions_agree():
    version = '0.1.0'
    assert f'__version__ = "{version}"' in (ROOT / "bindings/python/ailive/__init__.py").read_text()
    assert f'version = "{version}"' in (ROOT / "bindings/python/pyproject.toml").read_text()
    assert f'AILIVE_VERSION_STRING "{version}"' in (ROOT / "sdk/include/ailive/ailive.h").read_text()
