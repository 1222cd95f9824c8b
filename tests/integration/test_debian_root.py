#!/usr/bin/python3
"""The Debian packages in a fresh Debian: installed, run as the service's user, used by a member of the group, upgraded and
purged. Needs root and Debian's mirror, and takes two minutes: tests/run.sh --full."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import BIN, ROOT, free_port, main  # noqa: E402

UNIT = (ROOT / "sidecar/ops/systemd/ailive.service").read_text()
INSTALL = (ROOT / "docs/install.md").read_text()

# What stands around each script: functions that it uses. The root has no systemd: the unit's command is run by hand.
PRELUDE = """
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C PEAK_TRADE_AI_EXPORTER_PORT=@PORT@
page() { curl -sf --max-time 5 http://127.0.0.1:@PORT@/"$1"; }
bounded() { for i in $(seq 100); do "$@" && return 0; sleep 0.2; done; echo "not in time: $*" >&2; return 1; }
ready() { page -/ready >/dev/null; }
serve() { # as the unit says: user, environment, umask, command
    (umask 0007; exec setpriv --reuid ailive --regid ailive --init-groups --no-new-privs --inh-caps=-all \\
        env -i PATH=/usr/bin @ENVIRONMENT@ PEAK_TRADE_AI_EXPORTER_PORT=@PORT@ @COMMAND@) >>/tmp/log 2>&1 &
    server=$!
    bounded ready || { cat /tmp/log >&2; return 1; }
}
halt() { kill "$server"; wait "$server"; }
as() { user=$1; shift; setpriv --reuid "$user" --regid "$user" --init-groups env -i PATH=/usr/bin HOME=/tmp "$@"; }
decisions() { page metrics | awk '/^peaktrade_ai_decisions_total/ {s += $NF} END {print s + 0}'; }
counted() { [ "$(decisions)" = "$1" ]; }
refused() { if "$@"; then echo "not refused: $*" >&2; return 1; fi; } # set -e overlooks a mere !
"""

INSTALLED = """
getent passwd ailive | grep -q ':/var/lib/ailive:/usr/sbin/nologin$'
for each in '/run/ailive 2770' '/var/spool/ailive 2770' '/var/lib/ailive 700'; do
    [ "${each#* } ailive:ailive" = "$(stat -c '%a %U:%G' "${each% *}")" ]
done
useradd trader
useradd stranger
@USERMOD@
serve
as trader ailive emit --ipc ipc:///run/ailive/sidecar.sock --n 30 --interval-ms 0 | grep -q '"shipped": *30'
bounded counted 30
refused as stranger test -w /run/ailive/sidecar.sock
halt
as trader ailive emit --ipc ipc:///run/ailive/sidecar.sock --n 30 --interval-ms 0 | grep -q '"spooled": *30'
ls -l /var/spool/ailive | grep -q 'trader *ailive'
serve
bounded counted 60
as trader env AILIVE_DEMO_BIN=/usr/bin PEAK_TRADE_AI_EXPORTER_PORT=@OTHER@ \\
    bash /usr/share/doc/ailive/examples/demo.sh --for 3 | grep 'The series moved'
as trader python3 -c 'import ailive
with ailive.open() as client:
    client.decision("reject", reason="risk_limit", latency=0.002)'
bounded counted 61
halt
mkdir /away && mv /usr/lib/*/libcurl*.so.4* /away/ # curl brought it along
refused ailive verify --wait-s 0 --out /tmp/proof 2>/tmp/without
grep -q 'apt-get install libcurl3-gnutls' /tmp/without
"""

UPGRADED = """
serve
bounded counted 61
halt
grep -q '^AILIVE_OPTIONS=--created-series$' /etc/default/ailive
dpkg -s ailive | grep -q '^Version: .*-2$'
"""

PURGED = """
refused sh -c "dpkg -l | grep ailive"
[ -z "$(find / -xdev -path /proc -prune -o -path /tmp -prune -o -path /debs -prune -o -name '*ailive*' -print)" ]
"""


def line_of(beginning):
    """A command of docs/install.md."""
    return re.search(rf"^({re.escape(beginning)}[^#\n]*)", INSTALL, re.M).group(1).strip()


@unittest.skipUnless(os.environ.get("AILIVE_FULL"), "needs Debian's mirror: AILIVE_FULL=1, as tests/run.sh --full sets")
@unittest.skipUnless(os.geteuid() == 0, "needs root, for a chroot and another user")
class DebianRoot(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ailive-root."))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.root = self.folder / "root"
        self.debs = self.root / "debs"
        self.ports = free_port(), free_port()

    def run_ok(self, *command, seconds=600, **rest):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, **rest)
        self.assertEqual(0, done.returncode, f"{command}\n{done.stdout.decode()[-4000:]}\n{done.stderr.decode()[-4000:]}")
        return done.stdout.decode()

    def inside(self, script):
        """In the root, with processes of its own: none outlives the script. Not in a network of its own: apt's."""
        environment = " ".join(" ".join(re.findall(r"^Environment=(.*)", UNIT, re.M)).split())
        command = "/usr/bin/" + re.search(r"^ExecStart=(.*)", UNIT, re.M).group(1).replace("$AILIVE_OPTIONS", "")
        text = (PRELUDE + script).replace("@ENVIRONMENT@", environment).replace("@COMMAND@", command) \
            .replace("@PORT@", str(self.ports[0])).replace("@OTHER@", str(self.ports[1])).replace("@USERMOD@", line_of("usermod"))
        return self.run_ok("unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c",
                           'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && exec chroot "$1" bash -c "$2"',
                           "bash", str(self.root), text)

    def apt(self, line):
        return self.inside(line.replace("apt-get", "apt-get -y -q --no-install-recommends"))

    def packages(self):
        self.debs.mkdir()
        self.run_ok("cpack", "--config", str(BIN.parent / "CPackConfig.cmake"), "-B", str(self.debs), cwd=BIN.parent)
        shutil.rmtree(self.debs / "_CPack_Packages", ignore_errors=True)

    def raise_version(self):
        """The same packages as the next revision."""
        for path in list(self.debs.glob("*.deb")):
            unpacked = self.folder / path.stem
            self.run_ok("dpkg-deb", "-R", str(path), str(unpacked))
            control = unpacked / "DEBIAN/control"
            control.write_text(re.sub(r"(\d+\.\d+\.\d+)-1\b", r"\1-2", control.read_text(), flags=re.M))
            path.unlink()
            self.run_ok("dpkg-deb", "-b", str(unpacked), str(self.debs / path.name.replace("-1_", "-2_")))

    def test_installed_run_upgraded_and_purged(self):
        self.run_ok("debootstrap", "--variant=minbase", "--include=ca-certificates,curl", "bookworm", str(self.root))
        self.packages()
        install = line_of("apt-get install").replace("./build/release/packages/", "/debs/")
        self.apt("apt-get update && " + install)
        self.inside(INSTALLED + "mv /away/* /usr/lib/$(uname -m)-linux-gnu/\n")
        with open(self.root / "etc/default/ailive", "r+") as settings:
            text = settings.read().replace("AILIVE_OPTIONS=", "AILIVE_OPTIONS=--created-series")
            settings.seek(0)
            settings.write(text)
        self.raise_version()
        self.apt(install)
        self.inside(UPGRADED)
        self.apt(line_of("apt-get purge"))
        self.inside(PURGED)


if __name__ == "__main__":
    main()
