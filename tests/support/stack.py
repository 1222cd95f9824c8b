"""Processes of an integration test: each test has its own folder, free ports, and ends only what it started.

Tests are unittest files run by ctest, with /usr/bin/python3 and nothing but the standard library. AILIVE_BIN names the
folder of the programs under test.
"""
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("AILIVE_BIN", ROOT / "build/dev/bin"))
AILIVE = str(BIN / "ailive")
CONTRACT_ENV = ("PEAK_TRADE_AI_EVENTS_JSONL", "PEAK_TRADE_AI_RUN_ID", "PEAK_TRADE_AI_COMPONENT",
                "PEAK_TRADE_AI_EXPORTER_PORT", "AILIVE_RUNTIME_DIR", "AILIVE_SPOOL_DIR", "AILIVE_STATE_DIR",
                "AILIVE_IPC_URL", "AILIVE_TLS_CERT", "AILIVE_TLS_CA", "AILIVE_REMOTE_PLAINTEXT", "AILIVE_DISABLED", "RUN_ID", "COMPONENT", "PROM_URL", "EXPORTER_URL", "PY_CMD")


def golden(name):
    """Bytes kept in tests/unit/golden as lines of hexadecimal digits, with # comments."""
    lines = (ROOT / f"tests/unit/golden/{name}.hex").read_text().splitlines()
    return bytes.fromhex("".join(line.split("#")[0] for line in lines))


# Of whoever started the tests: a proxy, a service manager. Nothing of theirs is for what runs here.
for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NOTIFY_SOCKET",
             "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
    os.environ.pop(name, None)

PATIENCE_S = 60  # of every bounded wait: generous, because nothing is asserted by it but that the end comes
claimed = []     # what holds the ports that free_port() gave; the kernel lets go of them with the process


def ports():
    """Below those that the kernel gives to outgoing connections: one of these would take a port that was free."""
    lowest = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    candidates = list(range(10000, lowest)) or list(range(1024, 65536))
    random.SystemRandom().shuffle(candidates)
    return candidates


def free_port():
    """A port on which nobody listens, for this process alone: tests that run beside it get others."""
    for port in ports():
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0ailive-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("", port))
        except OSError:
            claim.close()
            continue
        claimed.append(claim)
        return port
    raise AssertionError("no port is free")


def wait_for(what, condition, seconds=PATIENCE_S):
    """Polls condition() until it gives something true; the bounded wait of every test."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def parse_series(text):
    """Text exposition to {series: value}; a series that stands twice is an error."""
    series = {}
    for line in text.split("\n"):  # a label may hold what str.splitlines() takes for the end of a line
        if line and not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            assert name not in series, f"duplicate sample {name}"
            series[name] = float(value)
    return series


def total(series, prefix, *parts):
    """Sum of the values of every series that starts with prefix and contains each part."""
    return sum(value for name, value in series.items()
               if re.match(re.escape(prefix) + r"(\{|$)", name) and all(part in name for part in parts))


class Sidecar:
    def __init__(self, test, *options, env=None, ready=True, prefix=()):
        self.test = test
        self.log_path = test.folder / f"sidecar-{len(test.processes)}.log"
        self.process = test.start(*prefix, AILIVE, "sidecar", "--listen", "127.0.0.1:0", *options, env=env,
                                  stderr=open(self.log_path, "wb"))
        if ready:
            wait_for("the sidecar is ready", self.ready)

    def log(self):
        return self.log_path.read_text(errors="replace")

    @property
    def port(self):
        """The kernel's choice, as the sidecar says it; None until it listens."""
        match = re.search(r"listening on http://127\.0\.0\.1:(\d+)/", self.log())
        return int(match.group(1)) if match else None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def get(self, path="/metrics", method="GET"):
        request = urllib.request.Request(self.url + path, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.read().decode()

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the sidecar ended with {self.process.returncode}:\n{self.log()}")
        try:
            return self.port is not None and self.get("/-/ready") is not None
        except (urllib.error.URLError, OSError):
            return False

    def series(self):
        return parse_series(self.get())

    def wait_total(self, expected, prefix, *parts):
        """Waits until the sum is expected, sees that it stays there, and gives all series."""
        wait_for(f"{prefix} {parts} = {expected}, is {total(self.series(), prefix, *parts)}",
                 lambda: total(self.series(), prefix, *parts) >= expected)
        time.sleep(0.1)
        series = self.series()
        self.test.assertEqual(expected, total(series, prefix, *parts))
        return series

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE_S)


class Prometheus:
    """Debian's Prometheus with our configuration and rules, moved to free ports and to a scrape a second."""

    def __init__(self, test, exporter_port, web_port=None, shadow_port=None, edit=lambda config: config):
        config = (ROOT / "sidecar/ops/prometheus/prometheus.yml").read_text()
        for port, free in ((9110, exporter_port), (8000, web_port or free_port()), (9109, shadow_port or free_port())):
            test.assertIn(f"127.0.0.1:{port}", config)
            config = config.replace(f"127.0.0.1:{port}", f"127.0.0.1:{free}")
        config = config.replace("15s", "1s").replace("rules/*.yml", f"{ROOT}/sidecar/ops/prometheus/rules/*.yml")
        (test.folder / "prometheus.yml").write_text(edit(config))
        self.test = test
        self.url = f"http://127.0.0.1:{free_port()}"
        test.start("prometheus", f"--config.file={test.folder}/prometheus.yml", "--log.level=warn",
                   f"--storage.tsdb.path={test.folder}/tsdb", "--web.listen-address=" + self.url[len("http://"):])
        wait_for("prometheus is ready", self.ready)

    def ready(self):
        try:
            urllib.request.urlopen(self.url + "/-/ready", timeout=PATIENCE_S).read()
            return True
        except OSError:
            return False

    def query(self, expression):
        url = self.url + "/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            body = json.load(answer)
        self.test.assertEqual("success", body["status"])
        return [(item["metric"], float(item["value"][1])) for item in body["data"]["result"]]

    def value(self, expression):
        result = self.query(expression)
        return result[0][1] if len(result) == 1 else None


class StackTest(unittest.TestCase):
    """A test with a folder of its own and the environment variables that keep everything inside it."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ailive-test."))
        self.processes = []
        # Where tests/run.sh unpacks Debian's prometheus when it is not installed.
        unpacked = f"{ROOT}/build/tools/prometheus/usr/bin"
        if unpacked not in os.environ["PATH"]:
            os.environ["PATH"] += f":{unpacked}"
        self.env = {key: value for key, value in os.environ.items() if key not in CONTRACT_ENV}
        self.env.update(AILIVE_RUNTIME_DIR=str(self.folder / "runtime"), AILIVE_SPOOL_DIR=str(self.folder / "spool"),
                        AILIVE_STATE_DIR=str(self.folder / "state"))
        self.ipc = f"ipc://{self.folder}/runtime/sidecar.sock"

    def network_urls(self):
        """Free URLs of the roads that need libailive-nng, by scheme; from now on hosts find it in the build tree."""
        self.env["LD_LIBRARY_PATH"] = str(BIN.parent / "lib")
        return {scheme: f"{scheme}://127.0.0.1:{free_port()}" for scheme in ("tcp", "ws")}

    def tearDown(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
        if os.environ.get("AILIVE_TEST_KEEP"):
            print("kept", self.folder)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *command, env=None, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **rest):
        """It ends with the test, however that ends: a writer left behind would fill the disk."""
        process = subprocess.Popen(("setpriv", "--pdeathsig", "KILL", *command), env=env or self.env,
                                   stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, **rest)
        self.processes.append(process)
        for stream in (stdout, stderr):
            if hasattr(stream, "close"):
                stream.close()
        return process

    def run_ok(self, *command, env=None, seconds=2 * PATIENCE_S, status=0):
        done = subprocess.run(command, env=env or self.env, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=seconds)
        self.assertEqual(status, done.returncode, f"{command}\n{done.stdout.decode()}\n{done.stderr.decode()}")
        return done

    def emit(self, *options, env=None, seconds=2 * PATIENCE_S):
        """Runs `ailive emit` to its end and gives its closing JSON line."""
        done = self.run_ok(AILIVE, "emit", "--interval-ms", "0", *options, env=env, seconds=seconds)
        return json.loads(done.stdout)

    def emit_all(self, n, *options, env=None):
        """Emits n, each of which is safe then: with the sidecar, or, after a second without an answer, in the spool."""
        closing = self.emit("--n", str(n), *options, env=env)
        self.assertEqual((n, n), (closing["recorded"], closing["shipped"] + closing["spooled"]))
        return closing

    def prometheus(self, config, *options):
        """Starts Debian's Prometheus with this configuration on a free port; gives its URL."""
        (self.folder / "prometheus.yml").write_text(config)
        url = f"http://127.0.0.1:{free_port()}"
        self.start("prometheus", f"--config.file={self.folder}/prometheus.yml", "--log.level=warn",
                   f"--storage.tsdb.path={self.folder}/tsdb", "--web.listen-address=" + url[len("http://"):], *options)
        wait_for("prometheus is ready", lambda: self.prometheus_ready(url))
        return url

    def prometheus_ready(self, url):
        try:
            urllib.request.urlopen(url + "/-/ready", timeout=PATIENCE_S).read()
            return True
        except OSError:
            return False

    def prometheus_get(self, url, path, **parameters):
        """The `data` of an answer of its HTTP API."""
        with urllib.request.urlopen(url + path + "?" + urllib.parse.urlencode(parameters), timeout=PATIENCE_S) as answer:
            body = json.load(answer)
        self.assertEqual("success", body["status"])
        return body["data"]

    def prometheus_value(self, url, expression):
        """The value of an expression that gives one series, else None."""
        result = self.prometheus_get(url, "/api/v1/query", query=expression)["result"]
        return float(result[0]["value"][1]) if len(result) == 1 else None


class OperatorTest(StackTest):
    """A test of the operator's side: ports and a stack folder of its own, ended by down.sh."""

    def setUp(self):
        super().setUp()
        self.ports = {name: free_port() for name in ("PEAK_TRADE_AI_EXPORTER_PORT", "AILIVE_PROM_PORT",
                                                     "AILIVE_WEB_PORT", "AILIVE_SHADOW_PORT")}
        self.stack = self.folder / "stack"
        self.env.update({name: str(port) for name, port in self.ports.items()}, AILIVE_BIN=str(BIN),
                        AILIVE_STACK_DIR=str(self.stack),
                        PROM_URL=f"http://127.0.0.1:{self.ports['AILIVE_PROM_PORT']}",
                        EXPORTER_URL=f"http://127.0.0.1:{self.ports['PEAK_TRADE_AI_EXPORTER_PORT']}")

    def tearDown(self):
        self.script("down", status=None)
        super().tearDown()

    def run_ok(self, *command, status=0, **rest):
        """status None: whatever it ends with."""
        if status is None:
            command, status = ("bash", "-c", '"$@" || true', "bash", *command), 0
        return super().run_ok(*command, status=status, **rest)

    def script(self, name, status=0):
        done = self.run_ok("bash", str(ROOT / f"sidecar/ops/{name}.sh"), status=status)
        return done.stdout.decode() + done.stderr.decode()

    def ailive(self, *arguments, status=0, env=None):
        """Runs in the test's folder, where .local_tmp is to appear. Gives the lines on stdout."""
        done = self.run_ok("bash", "-c", f'cd {self.folder} && exec "$@"', "bash", AILIVE, *arguments, status=status,
                           env=env)
        return done.stdout.decode().splitlines()

    def evidence(self, kind):
        found = sorted((self.folder / ".local_tmp").glob(f"{kind}_*"))
        return found[-1] if found else None

    def started(self):
        lines = (self.stack / "processes").read_text().splitlines()
        return {line.split()[0]: int(line.split()[1]) for line in lines}


def main():
    unittest.main(verbosity=2)
