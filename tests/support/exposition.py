"""Reads the exposition formats and finds what Prometheus accepts silently: duplicate samples and split families.

check_text(text) and check_openmetrics(text) raise AssertionError, or give {family: {"type": t, "samples": {series: value}}}.
"""
import re

SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{((?:[^"{}]|"(?:[^"\\]|\\.)*")*)\})? (\S+)(?: # (\{.*))?$')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)')
SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
OPENMETRICS = {"counter": ("_total", "_created"), "gauge": ("",),
               "histogram": ("_bucket", "_sum", "_count", "_created")}


def labels_of(text):
    """The labels as a sorted tuple; a label that stands twice, or anything else between them, is an error."""
    labels, at = [], 0
    while at < len(text):
        match = LABEL.match(text, at)
        assert match, f"labels {text!r} at {at}"
        labels.append((match.group(1), match.group(2)))
        at = match.end()
    names = [name for name, _ in labels]
    assert len(set(names)) == len(names), f"a label stands twice: {text}"
    return tuple(sorted(labels))


def number(text):
    return float({"+Inf": "inf", "-Inf": "-inf", "NaN": "nan"}.get(text, text))


def check_families(lines, suffixes):
    families, current, seen = {}, None, set()
    for line in lines:
        head = re.match(r"# (HELP|TYPE) (\S+) (.*)", line)
        if head:
            kind, name, rest = head.groups()
            if name != current:
                assert name not in families, f"family {name} is split"
                families[name], current = {"samples": {}}, name
            assert kind not in families[name], f"{kind} of {name} stands twice"
            families[name][kind] = rest
            families[name]["type"] = rest if kind == "TYPE" else families[name].get("type")
            continue
        match = SAMPLE.match(line)
        assert match, f"no sample: {line!r}"
        name, labels, value, _ = match.groups()
        assert current is not None and families[current]["type"] in suffixes, f"a sample without its family: {line}"
        allowed = [current + suffix for suffix in suffixes[families[current]["type"]]]
        assert name in allowed, f"family {current} is split by {name}"
        series = (name, labels_of(labels or ""))
        assert series not in seen, f"duplicate sample {line}"
        seen.add(series)
        le = dict(series[1]).get("le")
        assert le is None or re.fullmatch(r"\d+\.\d+|\+Inf", le), f"le is no float: {line}"
        families[current]["samples"][series] = number(value)
    return families


def check_text(text):
    assert "\r" not in text and text.endswith("\n")
    return check_families(text.splitlines(), SUFFIXES)


def check_openmetrics(text):
    assert "\r" not in text and text.endswith("# EOF\n"), text[-200:]
    assert text.count("# EOF") == 1
    return check_families(text.splitlines()[:-1], OPENMETRICS)


def values(families):
    """All samples of all families: {(name, labels): value}."""
    return {series: value for family in families.values() for series, value in family["samples"].items()}
