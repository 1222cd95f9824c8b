#!/usr/bin/python3
"""The local stack as an operator uses it: up.sh, verify, local-verify, down.sh with the real Prometheus; and what each
does when something is in the way."""
import http.server
import os
import pathlib
import re
import signal
import socket
import sys
import threading
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import AILIVE, BIN, OperatorTest, Prometheus, Sidecar, main, wait_for  # noqa: E402


class WebService(http.server.BaseHTTPRequestHandler):
    """A real peak_trade_web, as far as Prometheus is concerned."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"web_real 1\n")

    def log_message(self, *arguments):
        pass


class Stack(OperatorTest):
    def test_up_verify_local_verify_and_down_succeed_one_after_another(self):
        web = http.server.ThreadingHTTPServer(("127.0.0.1", self.ports["AILIVE_WEB_PORT"]), WebService)
        self.addCleanup(web.server_close)
        self.addCleanup(web.shutdown)
        threading.Thread(target=web.serve_forever, args=(0.02,), daemon=True).start()

        self.assertIn("peak_trade_web: the one that runs", self.script("up"))  # and no mock in its place
        pids = self.started()
        self.assertEqual({"sidecar", "mock", "prometheus"}, set(pids))
        self.assertEqual(3, self.script("status").count(" up "))
        self.assertIn("up already", self.script("up", status=1))

        self.assertIn("FAIL|decisions_sum|decisions_sum=0, wanted > 0", self.ailive("verify", "--wait-s", "0", status=1))
        env = {**self.env, "RUN_ID": "Paper 7/x", "COMPONENT": "risk_gate"}
        lines = self.ailive("local-verify", env=env)
        self.assertEqual("RESULT=PASS", lines[-1])
        self.assertEqual(["PASS"] * 8, [line.split("|")[0] for line in lines[:-1]])
        self.local_verify_left_its_folders()
        self.assertEqual("RESULT=PASS", self.ailive("verify", "--wait-s", "0")[-1])

        os.kill(pids["sidecar"], signal.SIGKILL)
        wait_for("the status tells of it", lambda: "sidecar    DOWN" in self.script("status", status=None))
        target_down = lambda: "FAIL|target_ai_live|" in "\n".join(  # noqa: E731
            self.ailive("verify", "--wait-s", "0", status=None))
        wait_for("Prometheus has noticed", target_down)
        self.assertIn("sidecar", self.script("down"))
        for pid in pids.values():
            self.assertFalse(self.runs(pid))
        self.assertIn("down: no stack", self.script("status", status=1))

    def runs(self, pid):
        status = pathlib.Path(f"/proc/{pid}/status")
        return status.exists() and "State:\tZ" not in status.read_text()

    def local_verify_left_its_folders(self):
        demo, own = self.evidence("ai_live_activity_demo"), self.evidence("ai_live_local_verify")
        summary = (demo / "AI_ACTIVITY_DEMO_SUMMARY.txt").read_text()
        for line in ("accepts_before=0", "accepts_after=1", "rejects_before=0", "rejects_after=1", "RESULT=PASS"):
            self.assertIn(line + "\n", summary)
        self.assertIn('run_id="paper_7_x"', (demo / "metrics_after.txt").read_text())
        self.assertIn('component="risk_gate"', (demo / "metrics_after.txt").read_text())
        self.assertNotIn('run_id="paper_7_x"', (demo / "metrics_before.txt").read_text())
        self.assertEqual({"OPERATOR_NOTE.txt", "MANIFEST_SHA256.txt", "KEY_MATERIAL_SCAN.txt", "LATEST_DIRS.txt",
                          "PROOF.txt", "PROOF_EXIT_STATUS.txt"}, {path.name for path in own.iterdir()})
        self.assertEqual("NO_HITS\n", (own / "KEY_MATERIAL_SCAN.txt").read_text())
        self.assertEqual("0\n", (own / "PROOF_EXIT_STATUS.txt").read_text())
        self.assertIn(f"ai_live_activity_demo=.local_tmp/{demo.name}\n", (own / "LATEST_DIRS.txt").read_text())
        checked = self.run_ok("bash", "-c", f"cd {own} && sha256sum -c MANIFEST_SHA256.txt").stdout.decode()
        self.assertEqual(5, checked.count(": OK"))
        for word in ("who:", "why:", "what changed:", "result:"):
            self.assertIn(word, (own / "OPERATOR_NOTE.txt").read_text())


class Broken(OperatorTest):
    def test_a_real_prometheus_without_a_job_and_rules_fails_just_these_two(self):
        sidecar = Sidecar(self)
        self.emit("--ipc", self.ipc, "--n", "3")

        def edit(config):
            self.assertIn("rule_files", config)
            return re.sub(r"rule_files:\n.*\n", "", config).split("  - job_name: shadow_mvs")[0]
        prometheus = Prometheus(self, sidecar.port, edit=edit)
        wait_for("a scrape", lambda: prometheus.value("sum(peaktrade_ai_decisions_total)") == 3)
        wait_for("the other target's first", lambda: len(prometheus.query("up")) == 2)
        lines = self.ailive("verify", "--prom-url", prometheus.url, "--exporter-url", sidecar.url, "--wait-s", "0",
                            status=1)
        self.assertEqual(["up_jobs_rc", "alerts_loaded"],
                         [line.split("|")[1] for line in lines if line.startswith("FAIL|")])


class InTheWay(OperatorTest):
    def test_each_busy_port_is_named_with_its_holder_and_nothing_is_started(self):
        for name, port in self.ports.items():
            with socket.socket() as holder:
                holder.bind(("127.0.0.1", port))
                holder.listen()
                said = self.script("up", status=1)
            self.assertIn(f"port {port} on 127.0.0.1 is in use by pid {os.getpid()} (python3)", said, name)
            self.assertFalse((self.stack / "processes").exists())

    def test_up_without_the_program_says_so(self):
        self.env["AILIVE_BIN"] = "/nonexistent"
        self.assertEqual("up: there is no program /nonexistent/ailive: build it, or leave $AILIVE_BIN out\n",
                         self.script("up", status=1))

    def test_down_ends_no_process_that_up_did_not_start(self):
        stranger = self.start("sleep", "60")
        self.stack.mkdir()
        # Its pid was ours once: the start time says that it is not the same process.
        (self.stack / "processes").write_text(f"sidecar {stranger.pid} 1 9110\n")
        self.assertIn("has ended already", self.script("down"))
        self.assertIsNone(stranger.poll())
        self.assertIn("Nothing to end", self.script("down"))

    def test_without_a_stack_local_verify_fails_and_still_files_it(self):
        lines = self.ailive("local-verify", "--wait-s", "0", status=1)
        self.assertIn("NEXT|activity: left out, the exporter does not answer: bash sidecar/ops/up.sh", lines)
        self.assertEqual("RESULT=FAIL", lines[-1])
        own = self.evidence("ai_live_local_verify")
        self.assertEqual("1\n", (own / "PROOF_EXIT_STATUS.txt").read_text())
        self.assertIn("ai_live_activity_demo=none\n", (own / "LATEST_DIRS.txt").read_text())
        self.run_ok("bash", "-c", f"cd {own} && sha256sum -c MANIFEST_SHA256.txt")

    def test_key_material_in_the_evidence_is_found_and_masked(self):
        self.key_material_is_found({})

    def test_a_file_system_that_tells_no_types_hides_nothing(self):
        self.key_material_is_found({"LD_PRELOAD": f"{BIN.parent}/lib/libuntyped.so",
                                    "ASAN_OPTIONS": "verify_asan_link_order=0"})
        own = self.evidence("ai_live_local_verify")
        self.assertEqual(5, len((own / "MANIFEST_SHA256.txt").read_text().splitlines()))

    def key_material_is_found(self, environment):
        secret = "ghp_" + "a1B2" * 9
        sidecar = Sidecar(self, "--run-id", secret)
        env = {**self.env, "EXPORTER_URL": sidecar.url, "RUN_ID": secret, **environment}
        self.ailive("local-verify", "--wait-s", "0", status=1, env=env)
        hits = (self.evidence("ai_live_local_verify") / "KEY_MATERIAL_SCAN.txt").read_text()
        self.assertRegex(hits, r"AI_ACTIVITY_DEMO_SUMMARY.txt:\d+: GitHub token: ghp_\*\*\*\*\n")
        self.assertNotIn("a1B2", hits)


class Activity(OperatorTest):
    def test_by_the_event_file_both_events_are_counted(self):
        events = self.folder / "events.jsonl"
        sidecar = Sidecar(self, "--jsonl", str(events))
        env = {**self.env, "EXPORTER_URL": sidecar.url + "/metrics", "PEAK_TRADE_AI_EVENTS_JSONL": str(events)}
        lines = self.ailive("activity", env=env)
        self.assertIn("road=jsonl", lines)
        self.assertEqual("RESULT=PASS", lines[-1])
        self.assertEqual(2, len(events.read_text().splitlines()))
        self.assertIn("accepts_before=1", self.ailive("activity", env=env))  # counted on from what is there

    def test_one_event_of_the_two_is_not_enough(self):
        """By an exporter of the test's own, on which one kind of decision rises and the other does not."""
        for rising, steady in (("accept", "reject"), ("reject", "accept")):
            class Exporter(http.server.BaseHTTPRequestHandler):
                asked = 0

                def do_GET(self):
                    type(self).asked += 1
                    self.send_response(200)
                    self.end_headers()
                    for decision, value in ((rising, self.asked), (steady, 1)):
                        self.wfile.write(b'peaktrade_ai_decisions_total{decision="%s",run_id="r"} %d\n'
                                         % (decision.encode(), value))

                log_message = WebService.log_message
            exporter = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Exporter)
            threading.Thread(target=exporter.serve_forever, args=(0.02,), daemon=True).start()
            lines = self.ailive("activity", "--exporter-url", f"http://127.0.0.1:{exporter.server_address[1]}",
                                "--run-id", "r", "--jsonl", "events.jsonl", "--wait-s", "1", status=1)
            self.assertEqual("RESULT=FAIL", lines[-1])
            self.assertIn("NEXT|the events were not counted", lines[-2])
            exporter.shutdown()
            exporter.server_close()

    def test_without_an_exporter_it_says_so_and_leaves_nothing(self):
        done = self.run_ok(AILIVE, "activity", status=1)
        self.assertIn("start it, or name it with --exporter-url", done.stderr.decode())
        self.assertFalse((self.folder / ".local_tmp").exists())


class Mock(OperatorTest):
    def get(self, port, path):
        return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60).read().decode()

    def test_the_mock_says_what_it_is_and_never_changes(self):
        web, shadow = self.ports["AILIVE_WEB_PORT"], self.ports["AILIVE_SHADOW_PORT"]
        mock = self.start(AILIVE, "mock", "--web", f"127.0.0.1:{web}", "--shadow", f"127.0.0.1:{shadow}")
        for port, service in ((web, "peak_trade_web"), (shadow, "shadow_mvs")):
            wait_for("the mock listens", lambda: not self.free(port))
            page = self.get(port, "/metrics")
            self.assertIn("# HELP peaktrade_mock_service MOCK", page)
            self.assertIn(f'peaktrade_mock_service{{service="{service}"}} 1', page)
            self.assertEqual(page, self.get(port, "/metrics"))
            self.assertIn(f"MOCK of {service}", self.get(port, "/"))
        self.assertRegex(self.run_ok(AILIVE, "port", str(web), status=1).stdout.decode(),
                         rf"^port {web} .* in use by pid {mock.pid} \(ailive\)\n$")
        mock.terminate()
        self.assertEqual(0, mock.wait(timeout=60))
        self.run_ok(AILIVE, "port", str(web), str(shadow))
        for wrong in ([], ["x"], ["0"], ["65536"]):
            self.run_ok(AILIVE, "port", *wrong, status=2)

    def free(self, port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0


if __name__ == "__main__":
    main()
