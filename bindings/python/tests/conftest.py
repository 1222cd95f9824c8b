"""What the tests share. AILIVE_PYTHON names the folder that holds the built package, AILIVE_BIN that of the programs."""
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILT = os.environ.get("AILIVE_PYTHON", str(ROOT / "build/release/python"))
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, BUILT)
os.environ["AILIVE_BIN"] = os.environ.get("AILIVE_BIN", str(pathlib.Path(BUILT).parent / "bin"))

import pytest  # noqa: E402
from support.stack import CONTRACT_ENV, StackTest  # noqa: E402

for variable in CONTRACT_ENV:
    os.environ.pop(variable, None)

import ailive  # noqa: E402
from ailive import _jsonl  # noqa: E402

PROGRAMS = pathlib.Path(__file__).parent / "programs"


class Stack(StackTest):
    """tests/support/stack.py for pytest: a folder, an environment that stays inside it, processes that end with it."""

    def runTest(self):
        """unittest wants one."""

    def setUp(self):
        super().setUp()
        self.env.update(PYTHONPATH=BUILT, PYTHONDONTWRITEBYTECODE="1")

    def python(self, *arguments, env=None, status=0, seconds=120):
        """Runs a program of these tests, or -m or -c something, to its end; gives what it printed."""
        first, *rest = map(str, arguments)
        command = [first, *rest] if first.startswith("-") else [str(PROGRAMS / first), *rest]
        return self.run_ok("/usr/bin/python3", *command, env=env, status=status, seconds=seconds).stdout.decode()

    def producers(self):
        return [path for path in (self.folder / "runtime").glob("*") if path.is_dir()]


@pytest.fixture
def stack():
    stack = Stack()
    stack.setUp()
    yield stack
    stack.tearDown()


def made_by(kind, **options):
    """ailive.open() with the client of one road."""
    before, ailive.Client = ailive.Client, kind
    try:
        return ailive.open(**options)
    finally:
        ailive.Client = before


ROADS = {"jsonl": _jsonl.Client}
if ailive.road == "libailive":
    ROADS["libailive"] = ailive.Client


@pytest.fixture(params=sorted(ROADS))
def client(request):
    """One that keeps in memory what it records, on either road."""
    with made_by(ROADS[request.param], memory=True) as client:
        yield client
