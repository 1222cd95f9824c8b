#!/usr/bin/python3
"""`ailive doctor`: each check is broken alone, and its line and its mend are seen."""
import http.server
import os
import pathlib
import re
import shutil
import socket
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import AILIVE, Prometheus, Sidecar, StackTest, free_port, main, wait_for  # noqa: E402

CHECKS = ["kernel", "inotify", "descriptors", "counter", "clock", "runtime", "spool", "state", "socket", "events",
          "environment", "exporter", "prometheus"]
# What they are on the host of the tests.
OF_THE_HOST = {"counter", "clock", "descriptors"}
SANITIZED = bool(os.environ.get("AILIVE_SANITIZE"))


class Healthy(http.server.BaseHTTPRequestHandler):
    """An exporter and a Prometheus with which all is well, where a check does not need the real ones."""
    ANSWER = b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}'

    def do_GET(self):
        answer = b"ready\n" if self.path == "/-/ready" else self.ANSWER
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        pass


class Doctor(StackTest):
    def setUp(self):
        super().setUp()
        server = http.server.HTTPServer(("127.0.0.1", 0), Healthy)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        healthy = f"http://127.0.0.1:{server.server_port}"
        self.env.update(EXPORTER_URL=healthy, PROM_URL=healthy, AILIVE_RUNTIME_DIR=tempfile.mkdtemp(prefix="ailive-doctor.", dir="/dev/shm"))
        self.runtime = pathlib.Path(self.env["AILIVE_RUNTIME_DIR"])
        self.addCleanup(shutil.rmtree, self.runtime)

    def lines(self, *options, prefix=(), status=0, **env):
        """{check: (verdict, detail, mend)}"""
        done = self.run_ok(*prefix, AILIVE, "doctor", *options, env={**self.env, **env}, status=status)
        found = {}
        for line in done.stdout.decode().splitlines():
            self.assertRegex(line, r"^(OK\|[^|]+\|[^|]*|(WARN|FAIL)\|[^|]+\|[^|]*\|[^|]+)$")
            verdict, check, *rest = line.split("|")
            self.assertNotIn(check, found)
            found[check] = (verdict, rest[0], rest[1] if len(rest) > 1 else "")
        return found

    def broken(self, check, verdict, detail, mend, *options, prefix=(), **env):
        """This check alone says so; the exit status follows."""
        before = self.before = getattr(self, "before", None) or self.lines()
        found = self.lines(*options, prefix=prefix, status=1 if verdict == "FAIL" else 0, **env)
        self.assertEqual(verdict, found[check][0], found[check])
        self.assertRegex(found[check][1], detail)
        self.assertIn(mend, found[check][2])
        others = {name: line[0] for name, line in found.items() if name != check}
        self.assertEqual({name: line[0] for name, line in before.items() if name != check}, others)

    def test_a_host_where_all_runs_has_nothing_but_ok(self):
        sidecar = Sidecar(self)
        prometheus = Prometheus(self, sidecar.port)
        wait_for("it is scraped", lambda: prometheus.value('max(up{job="ai_live"})') == 1)
        found = self.lines(EXPORTER_URL=sidecar.url, PROM_URL=prometheus.url)
        self.assertEqual(CHECKS, list(found))
        self.assertEqual({"OK"}, {line[0] for name, line in found.items() if name not in OF_THE_HOST})

    def test_a_host_where_nothing_runs_yet_is_warned_not_failed(self):
        nobody = f"http://127.0.0.1:{free_port()}"
        found = self.lines(EXPORTER_URL=nobody, PROM_URL=nobody)
        self.assertEqual({"socket", "exporter", "prometheus"},
                         {name for name, line in found.items() if line[0] == "WARN"} - OF_THE_HOST)
        self.assertIn("ailive sidecar", found["socket"][2])

    def test_the_kernel(self):
        if SANITIZED:
            self.skipTest("a sanitizer calls madvise itself, and does not run under strace")
        inject = ("strace", "-f", "-qq", "-o", "/dev/null", "-e")
        self.broken("kernel", "FAIL", "MADV_WIPEONFORK", "Linux 4.14", prefix=(*inject, "inject=madvise:error=EINVAL"))
        self.broken("kernel", "FAIL", "F_OFD_SETLK", "fcntl", prefix=(*inject, "inject=fcntl:error=EINVAL:when=1"))
        self.broken("inotify", "WARN", "Too many open files", "max_user_instances",
                    prefix=(*inject, "inject=inotify_init1:error=EMFILE"))
        for call in ("adjtimex", "clock_adjtime"):  # whichever the C library uses
            found = self.lines(prefix=(*inject, f"inject={call}:retval=5"))
            if found["clock"][0] == "WARN":
                break
        self.assertIn("chrony", found["clock"][2])
        self.broken("descriptors", "WARN", "only 100", "LimitNOFILE", prefix=("bash", "-c", 'ulimit -n 100; "$@"', "bash"))

    def test_the_runtime_folder(self):
        self.runtime.chmod(0o707)
        self.broken_now("runtime", "FAIL", r"open to every user \(mode 707\)", "chmod o-rwx")
        self.runtime.chmod(0o770)
        self.broken_now("runtime", "FAIL", "no setgid", "chmod 2770")
        self.runtime.chmod(0o2770)
        self.assertEqual("OK", self.lines()["runtime"][0])
        (self.folder / "disk").mkdir(mode=0o700)
        if os.stat(self.folder).st_dev != os.stat("/dev/shm").st_dev:
            self.broken("runtime", "WARN", "not on tmpfs", "/run", "--runtime", str(self.folder / "disk"))
        (self.folder / "file").touch()
        self.broken("runtime", "FAIL", "is no folder", "name a folder", "--runtime", str(self.folder / "file/below"),
                    "--ipc", self.ipc)

    def broken_now(self, check, verdict, detail, mend):
        found = self.lines(status=1)
        self.assertEqual(verdict, found[check][0])
        self.assertRegex(found[check][1], detail)
        self.assertIn(mend, found[check][2])

    def another_user(self):
        """A prefix that is not root, for whom modes count."""
        if os.geteuid() != 0:
            return ()
        self.folder.chmod(0o711)
        shutil.copy(AILIVE, self.folder / "ailive")
        (self.folder / "ailive").chmod(0o755)
        return ("bash", "-c", 'shift; exec setpriv --reuid 65534 --regid 65534 --clear-groups "$0" "$@"',
                str(self.folder / "ailive"))

    def test_folders_and_files_that_are_anothers(self):
        for name in ("spool", "state", "runtime"):
            closed = self.folder / f"closed-{name}"
            closed.mkdir()
            closed.chmod(0o500)
            found = self.lines(f"--{name}", str(closed / "below"), prefix=self.another_user(), status=1)
            self.assertEqual("FAIL", found[name][0])
            self.assertIn("Permission denied", found[name][1])
            self.assertIn("usermod -aG ailive", found[name][2])
        events = self.folder / "events.jsonl"
        events.touch()
        events.chmod(0)
        found = self.lines("--jsonl", str(events), prefix=self.another_user(), status=1)
        self.assertEqual("FAIL", found["events"][0])
        self.assertIn("chmod", found["events"][2])

    def test_free_space(self):
        if os.geteuid() != 0:
            self.skipTest("a small file system needs root")
        small = self.folder / "small"
        small.mkdir(mode=0o700)
        for size, name, verdict in (("8m", "runtime", "FAIL"), ("8m", "spool", "FAIL"), ("100m", "spool", "WARN"),
                                    ("8m", "state", "FAIL")):
            mounted = ("unshare", "--mount", "bash", "-c",
                       f'mount -t tmpfs -o mode=700,size={size} none "{small}" && exec "$@"', "bash")
            self.broken(name, verdict, r"has \d+ MiB left", "make room", f"--{name}", str(small), prefix=mounted)

    def test_the_socket(self):
        path = self.runtime / "sidecar.sock"
        path.touch()
        self.broken_now("socket", "FAIL", "Socket operation on non-socket", "move away")
        path.unlink()
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))  # nobody listens
            self.assertEqual("WARN", self.lines()["socket"][0])
        path.unlink()
        self.broken("socket", "FAIL", "107 bytes", "--ipc", "--ipc", f"ipc:///{'x' * 200}")
        self.assertEqual("OK", self.lines("--ipc", "tcp://127.0.0.1:5000")["socket"][0])
        Sidecar(self)
        found = self.lines(prefix=self.another_user(), status=None) if os.geteuid() == 0 else {"socket": ("FAIL",)}
        self.assertEqual("FAIL", found["socket"][0])

    def run_ok(self, *command, status=0, **rest):
        if status is None:
            command, status = ("bash", "-c", '"$@" || true', "bash", *command), 0
        return super().run_ok(*command, status=status, **rest)

    def test_the_event_file(self):
        self.broken("events", "WARN", "is not there yet", "PEAK_TRADE_AI_EVENTS_JSONL",
                    PEAK_TRADE_AI_EVENTS_JSONL=str(self.folder / "none/events.jsonl"))
        (self.folder / "events.jsonl").touch()
        self.assertEqual("OK", self.lines("--jsonl", str(self.folder / "events.jsonl"))["events"][0])

    def test_the_environment(self):
        for name, value, verdict in (("PEAK_TRADE_AI_EXPORTER_PORT", "http", "FAIL"),
                                     ("PEAK_TRADE_AI_COMPONENT", "c" * 300, "FAIL"),
                                     ("PEAK_TRADE_AI_RUN_ID", "r" * 300, "FAIL"), ("AILIVE_DISABLED", "1", "WARN")):
            self.broken("environment", verdict, ".", name, **{name: value})

    def test_the_exporter_and_prometheus(self):
        sidecar = Sidecar(self)
        self.assertEqual("FAIL", self.lines("--prom-url", sidecar.url, status=1)["prometheus"][0])  # no Prometheus
        nobody = f"http://127.0.0.1:{free_port()}"
        self.broken("exporter", "WARN", "connect", "systemctl start ailive", "--exporter-url", nobody)
        self.broken("prometheus", "WARN", "connect", "sidecar/ops/up.sh", "--prom-url", nobody)
        prometheus = Prometheus(self, free_port())
        wait_for("the scrape fails", lambda: prometheus.value('max(up{job="ai_live"})') == 0)
        found = self.lines(PROM_URL=prometheus.url, EXPORTER_URL=prometheus.url + "/other", status=1)
        self.assertRegex(found["prometheus"][1], "down")
        self.assertEqual(("FAIL", "HTTP status 404: this is no sidecar"), found["exporter"][:2])
        self.broken("exporter", "FAIL", "200: this is no sidecar", "ailive port", EXPORTER_URL=prometheus.url)

    def test_without_a_url_the_exporter_is_at_the_contracts_port(self):
        self.env.pop("EXPORTER_URL")
        self.assertEqual("OK", self.lines(PEAK_TRADE_AI_EXPORTER_PORT=str(Sidecar(self).port))["exporter"][0])
        self.assertEqual("WARN", self.lines(PEAK_TRADE_AI_EXPORTER_PORT=str(free_port()))["exporter"][0])

    def test_a_prometheus_that_scrapes_others_only(self):
        other = Prometheus(self, free_port(), edit=lambda config: re.sub(r"\bai_live\b", "another", config))
        self.assertEqual("no job ai_live", self.lines(PROM_URL=other.url, status=1)["prometheus"][1])

    def test_texts_of_others_do_not_look_like_lines_of_ours(self):
        found = self.lines("--jsonl", f"{self.folder}/a|b\nOK|forged|")
        self.assertIn("a b OK forged ", found["events"][1])


if __name__ == "__main__":
    main()
