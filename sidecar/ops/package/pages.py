#!/usr/bin/python3
"""Man pages and shell completion, made of what the program itself says with --help: they cannot disagree with it.

    pages.py AILIVE EXTRAS OUT      makes OUT/man1/*.1.gz, OUT/bash/ailive and OUT/zsh/_ailive

AILIVE is the program. EXTRAS is a folder of scdoc's format: NAME.scd has further sections for the page NAME, NAME.1.scd
is a page of its own.
"""
import collections
import gzip
import pathlib
import re
import shutil
import subprocess
import sys

Option = collections.namedtuple("Option", "name value text")
Help = collections.namedtuple("Help", "usage about options notes")


def said(program, *arguments):
    return subprocess.run([program, *arguments, "--help"], capture_output=True, check=True, timeout=30).stdout.decode()


def option_lines(lines):
    """[(what stands left, what stands right)]; lines indented deeper than an option go on with its text."""
    columns = collections.Counter(match.end() for line in lines if (match := re.match(r"  -\S.*?\s{2,}(?=\S)|\s{3,}", line)))
    column = max(columns, key=columns.get, default=0)
    found = []
    for line in lines:
        if line.startswith("  -"):
            # An option that reaches beyond the column has its text two spaces behind it.
            beyond = re.match(r"  -\S+(?: \S+)*?  (?=\S)", line)
            split = column if line[column - 1:column] == " " else beyond.end() if beyond else len(line)
            found.append([line[:split].strip(), line[split:].strip()])
        else:
            found[-1][1] += " " + line.strip()
    return found


def option(left, right):
    """The options of one line: two that share it stand apart by a comma."""
    own = {"--help": "Print a summary and end.", "--version": "Print the version and end."}
    for one in left.split(", "):
        name, _, value = one.partition(" ")
        yield Option(name, value.strip(), right.strip() or own.get(name, ""))


def read_help(text):
    paragraphs = [paragraph.split("\n") for paragraph in text.strip("\n").split("\n\n")]
    first = paragraphs.pop(0)
    options, notes = [], []
    for lines in paragraphs:
        if lines[0].startswith("  -"):
            options += [each for pair in option_lines(lines) for each in option(*pair)]
        else:
            notes.append(lines)
    return Help(first[0].removeprefix("Usage: "), " ".join(first[1:]), options, notes)


def subcommands(text):
    return re.findall(r"^  ([a-z][\w-]*)  +(\S.*)$", text, re.M)


# ---- man pages ----

def plain(text):
    """Text in which scdoc finds nothing of its own."""
    return re.sub(r"([_*\\`#|.\[~<>-])", r"\\\1", text)


def note_sections(notes):
    for lines in notes:
        text = " ".join(line.strip() for line in lines)
        before, found, status = text.partition("Exit status:")
        if before.strip():
            yield "NOTES", plain(before.strip())
        if found:
            yield "EXIT STATUS", plain(status.strip())


def man_page(name, summary, shown, extra, see):
    out = [f'{name}(1) "ailive" "User Commands"', "", "# NAME", "", f"{name} - {plain(summary)}", "", "# SYNOPSIS", "",
           plain(shown.usage), "", "# DESCRIPTION", "", plain(shown.about)]
    if shown.options:
        out += ["", "# OPTIONS"]
    for each in shown.options:
        value = f" {plain(each.value)}" if each.value else ""
        out += ["", f"*{plain(each.name)}*{value}", f"\t{plain(each.text)}"]
    for title, text in note_sections(shown.notes):
        out += ["", f"# {title}", "", text]
    if extra.exists():
        out += ["", extra.read_text().rstrip()]
    out += ["", "# SEE ALSO", "", ", ".join(f"*{plain(page)}*(1)" for page in see)]
    return "\n".join(out) + "\n"


def overview(commands):
    listed = "\n\n".join(f"*{plain(name)}*\n\t{plain(summary)}; see *{plain('ailive-' + name)}*(1)"
                         for name, summary in commands)
    return f"# SUBCOMMANDS\n\n{listed}\n\n"


def write_man(page, path):
    made = subprocess.run(["scdoc"], input=page.encode(), capture_output=True, timeout=30)
    if made.returncode != 0:
        sys.exit(f"{path.name}: {made.stderr.decode()}{page}")
    path.write_bytes(gzip.compress(made.stdout, 9, mtime=0))


def write_manuals(program, extras, out, commands, helps):
    out.mkdir(parents=True, exist_ok=True)
    shown = read_help(said(program))
    shown = shown._replace(notes=[lines for lines in shown.notes if not lines[0].startswith("  ")])
    page = man_page("ailive", "telemetry of AI decisions", shown, extras / "ailive.scd",
                    ["ailive-" + name for name, _ in commands])
    write_man(page.replace("# NOTES", overview(commands) + "# NOTES"), out / "ailive.1.gz")
    for name, summary in commands:
        write_man(man_page("ailive-" + name, summary, helps[name], extras / f"ailive-{name}.scd", ["ailive"]),
                  out / f"ailive-{name}.1.gz")
    for page in extras.glob("*.1.scd"):
        write_man(page.read_text(), out / (page.stem + ".gz"))


# ---- completion ----

def takes(each):
    """What a value is: 'file', 'folder', a list of words, 'other' or, for an option without one, None."""
    if not each.value:
        return None
    if re.fullmatch(r"[a-z]\w*(\|[a-z]\w*)+", each.value):
        return each.value.split("|")
    if "FILE" in each.value or "file" in each.name:
        return "file"
    return "folder" if "DIR" in each.value else "other"


BASH = r"""# bash completion of ailive; made by pages.py from what --help says.
_ailive()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} options="" files=""
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "@SUBCOMMANDS@ --help --version" -- "$cur"))
        return
    fi
    case ${COMP_WORDS[1]}:$prev in
@VALUES@
    esac
    case ${COMP_WORDS[1]} in
@OPTIONS@
    esac
    case $cur in
    -*) COMPREPLY=($(compgen -W "$options" -- "$cur")) ;;
    *) if [ -n "$files" ]; then compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur"))
       else COMPREPLY=($(compgen -W "$options" -- "$cur")); fi ;;
    esac
}
complete -F _ailive ailive
"""


def bash(commands, helps):
    values, options = [], []
    for name, _ in commands:
        for each in helps[name].options:
            kind = takes(each)
            if kind is None:
                continue
            words = f'compgen -W "{" ".join(kind)}" -- "$cur"' if isinstance(kind, list) else \
                {"file": 'compgen -f -- "$cur"', "folder": 'compgen -d -- "$cur"', "other": ""}[kind]
            reply = f"COMPREPLY=($({words})); " if words else ""
            named = "compopt -o filenames 2>/dev/null; " if kind in ("file", "folder") else ""
            values.append(f"    {name}:{each.name}) {named}{reply}return ;;")
        files = " files=1" if "FILE..." in helps[name].usage else ""
        options.append(f'    {name}) options="{" ".join(each.name for each in helps[name].options)}"{files} ;;')
    return BASH.replace("@SUBCOMMANDS@", " ".join(name for name, _ in commands)) \
        .replace("@VALUES@", "\n".join(values)).replace("@OPTIONS@", "\n".join(options))


def zsh_text(text):
    return re.sub(r"([\[\]:\\])", r"\\\1", text).replace("'", "'\\''")


def zsh_option(each):
    kind = takes(each)
    many = "*" if "any number" in each.text else ""
    if kind is None:
        return f"'{many}{each.name}[{zsh_text(each.text)}]'"
    action = f"({' '.join(kind)})" if isinstance(kind, list) else \
        {"file": "_files", "folder": "_files -/", "other": " "}[kind]
    return f"'{many}{each.name}=[{zsh_text(each.text)}]:{zsh_text(each.value)}:{action}'"


def zsh(commands, helps):
    out = ["#compdef ailive", "# zsh completion of ailive; made by pages.py from what --help says.", "_ailive() {",
           "  local -a subcommands", "  subcommands=("]
    out += [f"    '{name}:{zsh_text(summary)}'" for name, summary in commands]
    out += ["  )", "  if (( CURRENT == 2 )); then", "    _describe subcommand subcommands",
            "    _arguments '--help[Print a summary and end.]' '--version[Print the version and end.]'",
            "    return", "  fi", "  local subcommand=$words[2]", "  shift words", "  (( CURRENT-- ))",
            "  case $subcommand in"]
    for name, _ in commands:
        options = [zsh_option(each) for each in helps[name].options]
        if "FILE..." in helps[name].usage:
            options.append("'*:file:_files'")
        out += [f"  {name})", "    _arguments \\"] + [f"      {each} \\" for each in options[:-1]] + \
            [f"      {options[-1]}", "    ;;"]
    return "\n".join(out + ["  esac", "}", '_ailive "$@"', ""])


def main():
    program, extras, out = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    shutil.rmtree(out, ignore_errors=True)  # no page of a subcommand that is gone
    commands = subcommands(said(program))
    helps = {name: read_help(said(program, name)) for name, _ in commands}
    write_manuals(program, extras, out / "man1", commands, helps)
    for shell, name, text in (("bash", "ailive", bash(commands, helps)), ("zsh", "_ailive", zsh(commands, helps))):
        (out / shell).mkdir(parents=True, exist_ok=True)
        (out / shell / name).write_text(text)


if __name__ == "__main__":
    main()
