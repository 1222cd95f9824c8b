#!/usr/bin/python3
"""The recording call, seen from outside in the build that is installed: no system call, no lock, no call but the slow
path's, and a library that needs nothing but libc. (release preset only: sanitizers add all of these.)"""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import BIN, StackTest, main  # noqa: E402

LOOP = str(BIN / "hot_loop")
LIBRARY = str(BIN.parent / "lib/libailive.so")


class HotPath(StackTest):
    def calls_between_marks(self, n):
        """System calls of the recording thread while it records n times."""
        trace = self.folder / "trace"
        done = self.run_ok("strace", "-f", "-o", str(trace), LOOP, self.ipc, str(n), seconds=120)
        thread = done.stdout.decode().split()[0]
        lines = [line.split(None, 1)[1] for line in trace.read_text().splitlines() if line.split(None, 1)[0] == thread]
        marks = [i for i, line in enumerate(lines) if line.startswith("getppid(")]
        self.assertEqual(2, len(marks))
        return lines[marks[0] + 1:marks[1]]

    def test_a_recording_call_makes_no_system_call(self):
        self.assertEqual([], self.calls_between_marks(20000))

    def test_a_full_ring_costs_at_most_the_wake_up_of_a_parked_shipper(self):
        calls = self.calls_between_marks(1000000)
        calls = [call for call in calls if "resumed>" not in call]
        self.assertTrue(all(call.startswith("futex(") and "WAKE" in call for call in calls), calls[:5])
        self.assertLess(len(calls), 1000)

    def disassembly(self):
        text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", LOOP], capture_output=True, check=True).stdout.decode()
        return re.search(r"<hot_record>:\n(.*?)\n\n", text, re.S).group(1)

    def test_the_call_holds_no_lock_and_calls_nothing_but_the_slow_path(self):
        code = self.disassembly()
        self.assertIn("rdtsc", code)
        self.assertNotRegex(code, r"\block\b|\bxchg\b|\bmfence\b|\bsyscall\b")
        called = set(re.findall(r"(?:call|jmp)\s+\S+ <([a-z_]+)@?\w*>", code))
        self.assertLessEqual(called, {"ailive_record_slow"})

    def test_the_library_needs_only_libc_and_exports_only_its_own(self):
        dynamic = subprocess.run(["readelf", "-d", LIBRARY], capture_output=True, check=True).stdout.decode()
        needed = re.findall(r"NEEDED.*\[(.*?)\]", dynamic)
        self.assertLessEqual(set(needed), {"libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}, needed)
        self.assertRegex(dynamic, r"FLAGS_1.*NODELETE")
        self.assertIn("libailive.so.0", dynamic)
        symbols = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], capture_output=True, check=True).stdout.decode()
        names = [line.split()[-1] for line in symbols.splitlines()]
        self.assertTrue(names)
        self.assertEqual([], [name for name in names if not name.startswith("ailive_")])


if __name__ == "__main__":
    main()
