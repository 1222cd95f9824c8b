#!/usr/bin/python3
"""Host and sidecar as two containers: sidecar/ops/containers/compose.yml with namespaces in place of an engine. Each has a
user, a pid namespace, mounts and (the host) a network of its own; in common they have a group and the volumes."""
import os
import pathlib
import re
import shutil
import signal
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import BIN, ROOT, StackTest, free_port, main, parse_series, total, wait_for  # noqa: E402
import urllib.request  # noqa: E402

COMPOSE = (ROOT / "sidecar/ops/containers/compose.yml").read_text()
DECISIONS = "peaktrade_ai_decisions_total"

# $1: the volumes' folder. $2: pairs NAME:PATH. $3, $4: user and group. The rest is the command.
# What the engine does: fresh folders where the image has empty ones, the volumes on them.
CONTAINER = r"""
set -e
volumes=$1 pairs=$2 user=$3 group=$4
shift 4
mount -t proc proc /proc
exec 3<"$volumes"
for folder in /run /var/spool /var/lib; do mount -t tmpfs none "$folder"; done
for pair in $pairs; do
    mkdir -p "${pair#*:}" && mount --bind "/proc/self/fd/3/${pair%%:*}" "${pair#*:}"
done
mkdir /run/bin && mount --bind /proc/self/fd/3/bin /run/bin
exec 3<&-
umask 0007
exec setpriv --reuid "$user" --regid "$group" --clear-groups env -i PATH=/run/bin:/usr/bin HOME=/nowhere "$@"
"""


def service(name):
    """Of the compose file: user, group, volumes as NAME:PATH, command."""
    text = re.search(rf"^  {name}:\n((?:    .*\n)+)", COMPOSE, re.M).group(1)
    user, group = re.search(r'user: "(\d+):(\d+)"', text).groups()
    volumes = re.findall(r'"(\w+:/[\w/]+)"', re.search(r"volumes: \[(.*)\]", text).group(1))
    return user, group, volumes, re.search(r"command: (.*)", text).group(1).split()


@unittest.skipUnless(os.geteuid() == 0, "needs root, for namespaces and other users")
class Containers(StackTest):
    def setUp(self):
        super().setUp()
        self.port = free_port()
        self.volumes = pathlib.Path(tempfile.mkdtemp(prefix="ailive-containers.", dir="/dev/shm"))
        self.volumes.chmod(0o755)  # for the users in the containers
        self.addCleanup(shutil.rmtree, self.volumes, ignore_errors=True)
        user, group = service("sidecar")[:2]
        mode = int(re.search(r"mode=(\d+)", COMPOSE).group(1), 8)
        for name, owner, of_group, bits in (("run", 0, group, mode), ("spool", 0, group, mode),
                                            ("state", user, group, 0o700), ("bin", 0, 0, 0o755)):
            (self.volumes / name).mkdir()
            os.chown(self.volumes / name, int(owner), int(of_group))
            (self.volumes / name).chmod(bits)
        shutil.copy(BIN / "ailive", self.volumes / "bin/ailive")

    def container(self, name, *options, command=None, unshare=()):
        user, group, volumes, said = service(name)
        return self.start("unshare", "--mount", "--pid", "--fork", *unshare, "bash", "-c", CONTAINER, "bash",
                             str(self.volumes), " ".join(volumes), user, group, *(command or said), *options,
                             stderr=open(self.folder / f"{name}-{len(self.processes)}.log", "wb"))

    def sidecar(self):
        command = service("sidecar")[3]
        command[command.index("--listen") + 1] = f"127.0.0.1:{self.port}"
        process = self.container("sidecar", command=command)
        log = self.folder / f"sidecar-{len(self.processes) - 1}.log"
        wait_for(f"it is ready: {log.read_text()}", lambda: self.page("/-/ready") is not None)
        return process

    def host(self, *options):
        return self.container("host", *options, unshare=("--net",))

    def page(self, path="/metrics"):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def decisions(self):
        return total(parse_series(self.page() or ""), DECISIONS)

    def value(self, family):
        return total(parse_series(self.page() or ""), family)

    def end(self, process):
        """As an engine ends a container: its first process goes, and with it all of its pid namespace."""
        if process.poll() is not None:
            return
        self.signal(process, signal.SIGKILL)
        process.wait(timeout=60)

    @staticmethod
    def signal(process, number):
        """To a container's first process."""
        for child in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.kill(int(child), number)

    def tearDown(self):
        for process in self.processes:
            self.end(process)
        super().tearDown()

    def test_records_of_another_user_in_another_pid_namespace_are_counted(self):
        self.sidecar()
        self.assertEqual(0, self.host("--n", "300", "--interval-ms", "0").wait(timeout=60))
        wait_for("300 are counted", lambda: self.decisions() == 300)
        self.assertEqual(0, self.value("ailive_events_dropped_total"))

    def test_hosts_that_live_are_not_taken_for_dead_although_their_pids_are_the_same(self):
        self.sidecar()
        hosts = [self.host("--interval-ms", "1") for _ in range(2)]
        wait_for("both are connected", lambda: self.value("ailive_producers_connected") == 2)
        wait_for("both go on", lambda: self.decisions() > 2000)
        self.assertEqual(0, self.value("ailive_salvaged_folders_total"))
        for host in hosts:
            self.end(host)
        wait_for("both are salvaged", lambda: self.value("ailive_salvaged_folders_total") == 2)

    def test_a_host_that_is_killed_is_salvaged_to_the_record(self):
        tally = self.volumes / "run/tally"
        self.sidecar()
        host = self.host("--interval-ms", "0", "--tally", "/run/ailive/tally")
        wait_for("it records", lambda: self.decisions() > 1000)
        self.end(host)
        wait_for("it is salvaged", lambda: self.value("ailive_salvaged_folders_total") == 1)
        returned = struct.unpack("<Q", tally.read_bytes()[:8])[0]
        dropped = self.value("ailive_events_dropped_total")
        wait_for(f"all {returned} are accounted for, {self.decisions()} + {dropped}",
                 lambda: self.decisions() + self.value("ailive_events_dropped_total") >= returned)
        self.assertLessEqual(self.decisions() + self.value("ailive_events_dropped_total"), returned + 1)

    def test_a_sidecar_container_that_is_replaced_goes_on_where_it_was(self):
        first = self.sidecar()
        tally = self.volumes / "run/tally"
        host = self.host("--interval-ms", "2", "--tally", "/run/ailive/tally")  # until it is told to end
        wait_for("it records", lambda: self.decisions() > 100)
        self.end(first)
        wait_for("it spools", lambda: list((self.volumes / "spool").iterdir()))
        self.sidecar()
        self.signal(host, signal.SIGTERM)
        self.assertEqual(0, host.wait(timeout=60))
        recorded, = struct.unpack("<Q", tally.read_bytes())
        wait_for("each is counted", lambda: self.decisions() >= recorded)
        self.assertEqual(recorded, self.decisions(), "each is counted once")


if __name__ == "__main__":
    main()
