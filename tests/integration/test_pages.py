#!/usr/bin/python3
"""Man pages and shell completion say what the program says: the same subcommands, the same options."""
import gzip
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import AILIVE, BIN, ROOT, StackTest, main  # noqa: E402

PAGES = BIN.parent / "pages"
OPTION = r"(?<![\w-])--[a-z][\w.-]*"

# _arguments and _describe as zsh's own functions would be told: what they are given is printed.
ZSH = r"""
_arguments() { print -l -- "$@" }
_describe() { print -l -- ${(P)2} }
words=(@WORDS@) CURRENT=@CURRENT@
source @FILE@
"""


def said(*arguments):
    return subprocess.run([AILIVE, *arguments, "--help"], capture_output=True, check=True).stdout.decode()


def subcommands():
    return re.findall(r"^  ([a-z][\w-]*)  +\S", said(), re.M)


def defined(name):
    """Options at the start of a line of --help, two of a line by a comma; not those that its prose names."""
    lines = re.findall(rf"^  ({OPTION}(?:, {OPTION})*)", said(name), re.M)
    return {option for line in lines for option in line.split(", ")}


def page(name):
    """A man page as it is read; groff has nothing to complain of."""
    text = gzip.decompress((PAGES / f"man1/{name}.1.gz").read_bytes())
    done = subprocess.run(["groff", "-man", "-Tascii", "-P-cbou", "-rHY=0", "-wall"], input=text, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b""), (name, done.stderr)
    return done.stdout.decode()


class Pages(StackTest):
    def test_each_subcommand_has_a_page_and_each_page_a_subcommand(self):
        names = {path.name for path in (PAGES / "man1").glob("*.gz")}
        self.assertEqual({f"ailive-{name}.1.gz" for name in subcommands()} | {"ailive.1.gz", "ailive-demo-watch.1.gz"},
                         names)
        for name in subcommands():
            self.assertIn(f"ailive-{name}", page("ailive"))

    def test_options_of_help_are_in_the_page_and_the_other_way_round(self):
        for name in subcommands():
            options = page(f"ailive-{name}").split("OPTIONS\n")[1].split("\nEXIT STATUS")[0]
            self.assertEqual(defined(name), set(re.findall(rf"^ {{7}}({OPTION})", options, re.M)), name)

    def test_options_that_the_program_takes_are_in_help_and_the_other_way_round(self):
        for name in subcommands():
            source = (ROOT / f"sidecar/command_{name.replace('-', '_')}.c").read_text()
            taken = {"--" + option for option in re.findall(r'\{"([\w.-]+)",\s*(?:required|no)_argument', source)}
            self.assertEqual(taken | {"--help", "--version"}, defined(name), name)

    def test_pages_have_the_parts_that_a_reader_looks_for(self):
        for name in ["ailive", *("ailive-" + name for name in subcommands())]:
            for title in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "SEE ALSO"):
                self.assertIn(f"\n{title}\n", page(name), name)

    def bash(self, *words):
        """COMPREPLY for the last of the words."""
        script = f'source "{PAGES}/bash/ailive"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ailive; ' \
                 'printf "%s\\n" "${COMPREPLY[@]}"'
        done = self.run_ok("bash", "-c", script, "bash", *words)
        return set(done.stdout.decode().split())

    def test_bash_completes_subcommands_options_and_values(self):
        self.assertEqual({*subcommands(), "--help", "--version"}, self.bash("ailive", ""))
        self.assertEqual({"sidecar"}, self.bash("ailive", "sid"))
        for name in subcommands():
            self.assertEqual(defined(name), self.bash("ailive", name, "--"), name)
        self.assertEqual({"start", "end"}, self.bash("ailive", "sidecar", "--from", ""))
        (self.folder / "events.jsonl").touch()
        self.assertEqual({str(self.folder / "events.jsonl")},
                         self.bash("ailive", "sidecar", "--jsonl", f"{self.folder}/ev"))
        self.assertEqual({str(self.folder / "events.jsonl")}, self.bash("ailive", "replay", f"{self.folder}/ev"))

    def zsh(self, *words):
        script = ZSH.replace("@WORDS@", " ".join(f"'{word}'" for word in words)) \
            .replace("@CURRENT@", str(len(words))).replace("@FILE@", str(PAGES / "zsh/_ailive"))
        return self.run_ok("zsh", "-f", "-c", script).stdout.decode()

    def test_zsh_completes_subcommands_options_and_values(self):
        offered = self.zsh("ailive", "")
        self.assertEqual(set(subcommands()), set(re.findall(r"^([a-z][\w-]*):", offered, re.M)))
        for name in subcommands():
            self.assertEqual(defined(name), set(re.findall(rf"^\*?({OPTION})=?\[", self.zsh("ailive", name, "--"), re.M)))
        self.assertIn(":start|end:(start end)", self.zsh("ailive", "sidecar", "--"))


if __name__ == "__main__":
    main()
