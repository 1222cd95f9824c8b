"""Reads the exposition formats and finds what Prometheus accepts silently: duplicate samples and split families.

check_text(text), check_openmetrics(text) and check_protobuf(bytes) raise AssertionError, or give {family: {"type": t, "samples": {series: value}}}.
"""
import re
import struct

PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
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


def check_exemplar(name, labels, value, text):
    """An OpenMetrics exemplar: of a bucket, within it, at most 128 characters of labels."""
    match = re.fullmatch(r"\{(.*)\} (\S+) (\S+)", text)
    assert match and name.endswith("_bucket"), f"no exemplar: {text}"
    exemplar = labels_of(match.group(1))
    assert sum(len(key) + len(value) for key, value in exemplar) <= 128, f"too long: {text}"
    assert number(match.group(2)) <= number(dict(labels)["le"]), f"beyond its bucket: {text}"
    return dict(exemplar), number(match.group(2)), number(match.group(3))


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
        name, labels, value, exemplar = match.groups()
        assert current is not None and families[current]["type"] in suffixes, f"a sample without its family: {line}"
        allowed = [current + suffix for suffix in suffixes[families[current]["type"]]]
        assert name in allowed, f"family {current} is split by {name}"
        series = (name, labels_of(labels or ""))
        assert series not in seen, f"duplicate sample {line}"
        seen.add(series)
        le = dict(series[1]).get("le")
        assert le is None or re.fullmatch(r"\d+\.\d+|\+Inf", le), f"le is no float: {line}"
        families[current]["samples"][series] = number(value)
        if exemplar is not None:
            assert suffixes is OPENMETRICS, f"an exemplar in the text format: {line}"
            families[current].setdefault("exemplars", {})[series] = check_exemplar(name, series[1], value, exemplar)
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


def fields_of(message):
    """A protobuf message as [(field, value)]: numbers, 8 bytes of doubles as float, bytes."""
    fields, at = [], 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(message):
        tag = varint()
        if tag & 7 == 0:
            value = varint()
        elif tag & 7 == 1:
            value = struct.unpack("<d", message[at:at + 8])[0]
            at += 8
        else:
            assert tag & 7 == 2, tag
            length = varint()
            value = message[at:at + length]
            assert len(value) == length, "a message is cut"
            at += length
        fields.append((tag >> 3, value))
    return fields


def varints_of(packed):
    return [value for _, value in fields_of(b"".join(b"\x08" + number for number in re.findall(
        rb"[\x80-\xff]*[\x00-\x7f]", packed, re.S)))]


def signed(value):
    return value >> 1 ^ -(value & 1)


def native_of(fields):
    """A native histogram as {"count", "sum", "zero", "buckets": {index: count}}."""
    one = dict(fields)
    assert one[5] == 2 * 4, "schema 4"  # zigzag
    deltas = varints_of(one.get(13, b""))
    buckets, bucket, count = {}, 0, 0
    for span in (dict(fields_of(value)) for field, value in fields if field == 12):
        bucket += signed(span[1])
        for _ in range(span[2]):
            count += signed(deltas.pop(0))
            buckets[bucket] = count
            bucket += 1
    assert not deltas, "more deltas than spans"
    assert all(count >= 0 for count in buckets.values())
    assert sum(buckets.values()) + one[7] == one[1], "buckets and count differ"
    return {"count": one[1], "sum": one[2], "zero": one[7], "threshold": one[6], "buckets": buckets}


def escaped(value):
    return value.decode().replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def exemplar_of(fields):
    """As in OpenMetrics: labels, value, time."""
    labels = [dict(fields_of(value)) for field, value in fields if field == 1]
    time = dict(fields_of(dict(fields)[3]))
    return {pair[1].decode(): pair[2].decode() for pair in labels}, dict(fields)[2], time[1] + time[2] / 1e9


def add_metric(family, name, metric):
    labels = tuple(sorted((dict(fields_of(value))[1].decode(), escaped(dict(fields_of(value)).get(2, b"")))
                          for field, value in metric if field == 1))
    assert len({label for label, _ in labels}) == len(labels), f"a label stands twice: {labels}"
    body = fields_of(next(value for field, value in metric if field in (2, 3, 7)))

    def put(suffix, value, *more):
        series = (name + suffix, tuple(sorted(labels + more)))
        assert series not in family["samples"], f"duplicate sample {series}"
        family["samples"][series] = value
    if family["type"] != "histogram":
        put("", dict(body)[1])
    elif any(field == 5 for field, _ in body):
        put("", native_of(body))
    else:
        for bucket in (dict(fields_of(value)) for field, value in body if field == 3):
            le = ("le", "+Inf" if bucket[2] == float("inf") else repr(bucket[2]))
            put("_bucket", bucket[1], le)
            if 3 in bucket:
                series = (name + "_bucket", tuple(sorted(labels + (le,))))
                family.setdefault("exemplars", {})[series] = exemplar_of(fields_of(bucket[3]))
        put("_count", dict(body)[1])
        put("_sum", dict(body)[2])


def check_protobuf(page):
    """As the others; a native histogram is one sample, whose value is native_of()'s."""
    families, at = {}, 0
    while at < len(page):
        length = shift = 0
        while True:
            byte = page[at]
            at += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        fields = fields_of(page[at:at + length])
        at += length
        name = dict(fields)[1].decode()
        assert name not in families, f"family {name} is split"
        families[name] = {"type": {0: "counter", 1: "gauge", 4: "histogram"}[dict(fields)[3]], "samples": {}}
        for metric in (value for field, value in fields if field == 4):
            add_metric(families[name], name, fields_of(metric))
    return families
