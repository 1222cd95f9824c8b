"""The stubs tell a type checker (Debian's mypy) what the modules hold, and code that is written by them runs."""
import ast

from conftest import BUILT, PROGRAMS, ROOT

STUBS = ROOT / "bindings/python/ailive"
# Types to annotate with, and a constructor that is not for hosts: open() is.
ONLY_IN_STUBS = ("Action", "Decision", "DecisionAction", "Function", "Timer", r"Client\.__init__")


def mypy(stack, *arguments, module="mypy", status=0):
    # mypy reads the stubs alone; stubtest imports the module too.
    env = dict(stack.env, PYTHONPATH=BUILT if module == "mypy.stubtest" else "", MYPYPATH=BUILT)
    return stack.run_ok("/usr/bin/python3", "-m", module, *arguments, env=env, status=status).stdout.decode()


def test_typed_code_is_right_each_mistake_is_seen_and_it_runs(stack):
    mypy(stack, "--strict", f"--cache-dir={stack.folder}/cache", str(PROGRAMS / "typed.py"))
    assert stack.python("typed.py", stack.folder)


def test_the_stubs_are_what_is_there_when_the_module_is_imported(stack):
    (stack.folder / "config").write_text("[mypy]\nignore_errors = True\n")  # of what is untyped inside
    (stack.folder / "allowed").write_text("\n".join(rf"ailive\.{name}" for name in ONLY_IN_STUBS))
    mypy(stack, "--mypy-config-file", str(stack.folder / "config"), "--allowlist", str(stack.folder / "allowed"),
         "--concise", "ailive", module="mypy.stubtest")


def test_typed_code_leaves_no_public_name_out():
    used = {node.attr for node in ast.walk(ast.parse((PROGRAMS / "typed.py").read_text())) if isinstance(node, ast.Attribute)}
    for name in ("__init__.pyi", "ai_telemetry.pyi"):
        for node in ast.walk(ast.parse((STUBS / name).read_text())):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                assert node.name in used, f"{name}: {node.name}"
