#!/usr/bin/python3
"""House rules a program can check. Each rule is one function that yields "file:line: what is wrong".

    rules.py [ROOT]        prints the findings, ends with 1 when there are any

tests/lint/test_rules.py breaks each rule once and sees it reported.
"""
import pathlib
import re
import sys

CODE = {".c", ".h", ".cc", ".hpp"}
TOP_LEVEL = {"CMakeLists.txt", "CMakePresets.json", "sdk", "sidecar", "bindings", "tests", "bench", "docs", "README.md", "LICENSE"}

# Which third party is named where (docs/architecture.md, "Who may include whom").
THIRD_PARTY = {
    r"nng/(nng|supplemental|protocol|transport)": {"sidecar/source_nng.c", "sidecar/nng_listener.h", "sidecar/nng_listener.c", "sdk/nng/bridge.c"},
    r"microhttpd\.h": {"sidecar/http.c"},
    r"msgpack": {"sdk/wire/batch.c"},
    r"lmdb\.h": {"sidecar/state.c"},
    r"simdjson": {"sidecar/json.cc", "sidecar/json_tree.cc"},
    r"libdeflate": {"sidecar/gzip.c"},
    r"nettle/": {"sidecar/digest.c"},
    r"yaml\.h": {"sidecar/web_config.c"},
    r"gnutls/": {"sidecar/tls.c", "sidecar/auth.c"},
    r"crypt\.h": {"sidecar/auth.c"},
    r"ncurses": {"sidecar/command_top.c"},
    r"curl/": {"sidecar/http_get.c"},
    r"zstd": {"sidecar/unpack.c"},
    r"zlib\.h": {"sidecar/unpack.c"},
}

# No threads, no clock: time is an argument.
PURE = re.compile(r"sdk/wire/(?!paths|remains)|sidecar/(contract|observation|histogram|expose_\w+|aggregate|change|buffer|lines|json)\.")
PURE_FORBIDDEN = re.compile(r"\b(clock_gettime|gettimeofday|time|pthread_create|open|openat|socket|fopen|sleep|usleep|nanosleep)\s*\(")

SDK_FORBIDDEN = re.compile(r"\b(printf|fprintf|puts|perror|exit|_exit|signal|sigaction|syslog)\s*\(")
BAD_NAMES = re.compile(r"(^|_)(util|utils|common|manager|helper|helpers)(_|\.|$)")


def files(root, folders=("sdk", "sidecar", "bindings", "bench", "tests")):
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in CODE and path.is_file():
                yield path, path.relative_to(root).as_posix()


def code_lines(path):
    """Lines without comments and string contents, so that words in prose do not count."""
    text = path.read_text(encoding="utf-8")

    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))

    text = re.sub(r'/\*.*?\*/|//[^\n]*', blank, text, flags=re.S)
    return list(enumerate(text.split("\n"), 1))


def includes(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        match = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1)


def rule_top_level(root):
    for path in sorted(root.iterdir()):
        if not path.name.startswith(".") and path.name not in TOP_LEVEL and path.name != "build":
            yield f"{path.name}: nothing else belongs at the top level"


def rule_third_parties(root):
    for path, name in files(root, ("sdk", "sidecar")):
        for number, header in includes(path):
            for pattern, allowed in THIRD_PARTY.items():
                if re.match(pattern, header) and name not in allowed:
                    yield f"{name}:{number}: <{header}> may be named only in {', '.join(sorted(allowed))}"


def rule_directions(root):
    private = {p.name for p in (root / "sdk/src").glob("*.h")}
    sidecar = {p.name for p in (root / "sidecar").glob("*.h")}
    wire = {p.name for p in (root / "sdk/wire").glob("*.h")}
    hosts = {"sidecar/command_emit.c", "sidecar/demo_watch.c"}
    for path, name in files(root, ("sdk", "sidecar")):
        for number, header in includes(path):
            base = header.rsplit("/", 1)[-1]
            local = header == base
            if name.startswith("sdk/wire/") and local and base in private - wire:
                yield f"{name}:{number}: sdk/wire must not include {header} of sdk/src"
            if name.startswith("sdk/") and local and base in sidecar - private - wire:
                yield f"{name}:{number}: sdk must not include {header} of the sidecar"
            if name.startswith("sidecar/"):
                if "src/" in header or (local and base in private - sidecar):
                    yield f"{name}:{number}: the sidecar must not include {header} of sdk/src"
                if header == "ailive/ailive.h" and name not in hosts:
                    yield f"{name}:{number}: only {', '.join(sorted(hosts))} are hosts and use the SDK; include wire/event.h"
            if header.startswith("ailive/") and header != "ailive/ailive.h":
                yield f"{name}:{number}: <ailive/ailive.h> is the only public header"


def rule_pure(root):
    for path, name in files(root, ("sdk", "sidecar")):
        if PURE.match(name):
            for number, line in code_lines(path):
                match = PURE_FORBIDDEN.search(line)
                if match:
                    yield f"{name}:{number}: {match.group(1)}() has no place in a module without threads, I/O and clock"


def rule_sdk_is_silent(root):
    for path, name in files(root, ("sdk",)):
        for number, line in code_lines(path):
            match = SDK_FORBIDDEN.search(line)
            if match:
                yield f"{name}:{number}: {match.group(1)}(): the SDK never prints, exits or installs signal handlers"


def rule_file_opens_with_its_place(root):
    for path, name in files(root, ("sdk", "sidecar")):
        first = path.read_text(encoding="utf-8").split("\n", 1)[0]
        if not re.match(r"/[*/] " + re.escape(path.name) + r" - ", first):
            yield f'{name}:1: a file opens with "/* {path.name} - " and its place on the route'


def rule_names(root):
    for path, name in files(root):
        if BAD_NAMES.search(path.name):
            yield f"{name}: no file is called util, common, manager or helper"
        for number, line in code_lines(path):
            if re.search(r"\btypedef\b[^;(]*\*\s*\w+\s*;", line):
                yield f"{name}:{number}: no pointer typedefs"


def rule_no_machine(root):
    tracked = [p for p in root.rglob("*") if p.is_file() and p.suffix in CODE | {".md", ".py", ".sh", ".txt", ".json"}]
    for path in sorted(tracked):
        name = path.relative_to(root).as_posix()
        if name.startswith(("build/", ".git/", ".local_tmp/")) or "node_modules" in name:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").split("\n"), 1):
            if re.search(r"(?<![\w.])/(work|root|home/\w+)/", line) and "rules.py" not in name:
                yield f"{name}:{number}: names a path of one machine"


def tree_listed(root):
    text = (root / "docs/architecture.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- tree -->\s*```\n(.*?)```", text, re.S)
    return re.findall(r"^(\S+)", block.group(1), re.M) if block else []


def rule_tree(root):
    listed = tree_listed(root)
    present = [name for _, name in files(root, ("sdk", "sidecar"))]
    for name in present:
        stem = re.sub(r"\.(c|h|cc|hpp)$", "", name)
        if stem not in {re.sub(r"\.(c|h|cc|hpp)$", "", entry) for entry in listed}:
            yield f"docs/architecture.md: the tree does not list {name}"
    for entry in listed:
        if not (root / entry).exists():
            yield f"docs/architecture.md: the tree lists {entry}, which is not there"


RULES = [value for key, value in sorted(globals().items()) if key.startswith("rule_")]


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2])
    findings = [f"{rule.__name__}: {finding}" for rule in RULES for finding in rule(root)]
    print("\n".join(findings) if findings else f"{len(RULES)} rules hold")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
