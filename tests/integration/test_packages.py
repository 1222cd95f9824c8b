#!/usr/bin/python3
"""The Debian packages: what is in them, and that Debian's own checker finds no error. test_debian_root.py installs them."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import BIN, ROOT, StackTest, free_port, main  # noqa: E402

# What each must have at least: a part of a path.
CONTENTS = {
    "libailive0": ["/libailive.so.0", "usr/share/doc/libailive0/copyright"],
    "libailive-nng0": ["/libailive-nng.so.0", "usr/share/doc/libailive-nng0/copyright"],
    "libailive-dev": ["usr/include/ailive/ailive.h", "usr/include/ailive/ailive.hpp", "/libailive.so", "/libailive.a",
                      "/pkgconfig/ailive.pc", "/cmake/ailive/ailive-config.cmake"],
    "ailive": ["usr/bin/ailive", "usr/bin/ailive-demo-watch", "/systemd/system/ailive.service",
               "/systemd/system/ailive.socket", "usr/lib/sysusers.d/ailive.conf", "usr/lib/tmpfiles.d/ailive.conf",
               "etc/default/ailive", "usr/share/man/man1/ailive.1.gz", "usr/share/man/man1/ailive-sidecar.1.gz",
               "bash-completion/completions/ailive", "zsh/vendor-completions/_ailive", "examples/demo.sh",
               "examples/prometheus/rules/ai_live_ops_pack_v1.yml"],
    "python3-ailive": ["usr/lib/python3/dist-packages/ailive/__init__.py",
                       "usr/lib/python3/dist-packages/ailive/_native.abi3.so"],
}


class Packages(StackTest):
    @classmethod
    def setUpClass(cls):
        """Packed once for all tests."""
        super().setUpClass()
        out = pathlib.Path(tempfile.mkdtemp(prefix="ailive-packages."))
        cls.addClassCleanup(shutil.rmtree, out)
        subprocess.run(["cpack", "--config", str(BIN.parent / "CPackConfig.cmake"), "-B", str(out)], check=True,
                       capture_output=True, cwd=BIN.parent, timeout=120)
        cls.debs = {path.name.split("_")[0]: path for path in out.glob("*.deb")}

    def field(self, package, name):
        return self.run_ok("dpkg-deb", "-f", str(self.debs[package]), name).stdout.decode().strip()

    def unpack(self, *packages):
        root = self.folder / "root"
        for package in packages:
            self.run_ok("dpkg-deb", "-x", str(self.debs[package]), str(root))
        return root

    def test_each_package_has_its_part(self):
        self.assertLessEqual(set(CONTENTS), set(self.debs))
        for package, parts in CONTENTS.items():
            listed = self.run_ok("dpkg-deb", "-c", str(self.debs[package])).stdout.decode()
            for part in parts:
                self.assertRegex(listed, re.escape(part) + r"( ->.*)?\n", package)
            self.assertNotRegex(listed, r" (?!root/root)\w+/\w+ ")
        self.assertNotIn("\n/libailive.so ", self.run_ok("dpkg-deb", "-c", str(self.debs["libailive0"])).stdout.decode())

    def test_python_imports_the_unpacked_module(self):
        root = self.unpack("python3-ailive", "libailive0")
        env = {**self.env, "PYTHONPATH": str(root / "usr/lib/python3/dist-packages"),
               "LD_LIBRARY_PATH": str(next(root.rglob("libailive.so.0")).parent)}
        done = self.run_ok("/usr/bin/python3", "-c", "import ailive; print(ailive.__file__)", env=env)
        self.assertIn(str(root), done.stdout.decode())

    def test_no_package_needs_more_than_it_uses(self):
        self.assertRegex(self.field("libailive0", "Depends"), r"^libc6 \([^,]*\)$")
        self.assertNotIn("curl", self.field("ailive", "Depends"))
        self.assertIn("libcurl3-gnutls", self.field("ailive", "Recommends"))
        self.assertIn("libailive0 (= ", self.field("libailive-dev", "Depends"))
        self.assertIn("libnng1", self.field("libailive-nng0", "Depends"))

    def test_the_symbols_file_is_what_the_library_exports(self):
        for package, name, listed in (("libailive0", "libailive.so.0", "symbols"),
                                      ("libailive-nng0", "libailive-nng.so.0", "nng/symbols")):
            library = next(self.unpack(package).rglob(name))
            exported = self.run_ok("nm", "-D", "--defined-only", str(library)).stdout.decode()
            listed = (ROOT / "sidecar/ops/package" / listed).read_text()
            self.assertEqual(set(re.findall(r" [A-Z] (\w+)$", exported, re.M)),
                             set(re.findall(r"^ (\w+)@", listed, re.M)), package)

    def test_lintian_finds_no_error(self):
        done = subprocess.run(["lintian", "--fail-on", "error", *map(str, self.debs.values())], capture_output=True,
                              timeout=120)
        self.assertEqual(0, done.returncode, done.stdout.decode())

    def test_the_copyright_file_gives_no_licence(self):
        for package in self.debs:
            copyright_file = self.unpack(package) / f"usr/share/doc/{package}/copyright"
            self.assertIn("No licence is given", copyright_file.read_text())

    def test_the_demo_runs_from_unpacked_packages(self):
        root = self.unpack("ailive", "libailive0")
        library = next(root.rglob("libailive.so.0")).parent
        env = {**self.env, "AILIVE_DEMO_BIN": str(root / "usr/bin"), "LD_LIBRARY_PATH": str(library),
               "PEAK_TRADE_AI_EXPORTER_PORT": str(free_port()), "TMPDIR": str(self.folder)}
        demo = root / "usr/share/doc/ailive/examples/demo.sh"
        self.assertIn("The series moved", self.run_ok("bash", str(demo), "--for", "2", env=env).stdout.decode())


if __name__ == "__main__":
    main()
