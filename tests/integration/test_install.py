#!/usr/bin/python3
"""What `cmake --install` leaves, moved elsewhere, is enough for hosts: by find_package, by pkg-config, and the tree
itself by add_subdirectory."""
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import BIN, ROOT, StackTest, main  # noqa: E402

C = """
#include <ailive/ailive.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    struct ailive_options options = AILIVE_OPTIONS_INIT;
    struct ailive_record record;
    struct ailive *telemetry;

    options.memory_sink = 1;
    if (ailive_abi() != AILIVE_ABI || ailive_open(&options, &telemetry) != AILIVE_OK)
        return 1;
    ailive_record_decision(telemetry, AILIVE_ACCEPT, AILIVE_REASON_NONE, AILIVE_SUBMIT, 1000);
    if (ailive_memory_read(telemetry, &record) != 1 || strcmp(record.reason, "none") != 0)
        return 1;
    puts(ailive_version());
    return ailive_close(telemetry, 1000) == AILIVE_OK ? 0 : 1;
}
"""
CPP = """
#include <ailive/ailive.hpp>

int main()
{
    return ailive_abi() == AILIVE_ABI ? 0 : 1;
}
"""
FIND = """
cmake_minimum_required(VERSION 3.25)
project(consumer C CXX)
find_package(ailive 0.1 REQUIRED)
add_executable(shared main.c)
target_link_libraries(shared PRIVATE ailive::ailive)
add_executable(static main.c)
target_link_libraries(static PRIVATE ailive::ailive_static)
add_executable(cpp main.cc)
target_link_libraries(cpp PRIVATE ailive::ailive)
set_target_properties(cpp PROPERTIES CXX_STANDARD 17)
"""
SUBDIRECTORY = """
cmake_minimum_required(VERSION 3.25)
project(consumer C CXX)
add_subdirectory(@ROOT@ ailive EXCLUDE_FROM_ALL)
add_executable(shared main.c)
target_link_libraries(shared PRIVATE ailive::ailive)
add_executable(static main.c)
target_link_libraries(static PRIVATE ailive::ailive_static)
"""


class Install(StackTest):
    def setUp(self):
        super().setUp()
        (self.folder / "main.c").write_text(C)
        (self.folder / "main.cc").write_text(CPP)

    def install(self):
        """Into one folder, then moved: nothing in it may know where it was made."""
        self.run_ok("cmake", "--install", str(BIN.parent), "--prefix", str(self.folder / "made"))
        return (self.folder / "made").rename(self.folder / "moved")

    def build(self, text, *options):
        (self.folder / "CMakeLists.txt").write_text(text)
        self.run_ok("cmake", "-S", str(self.folder), "-B", str(self.folder / "build"), "-G", "Ninja", *options)
        self.run_ok("cmake", "--build", str(self.folder / "build"), "-j2", seconds=300)
        return self.folder / "build"

    def prints_the_version(self, program, **env):
        version = re.search(r"project\(ailive VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
        done = self.run_ok(str(program), env={**self.env, **env})
        self.assertEqual(version, done.stdout.decode().strip())

    def test_find_package_from_an_installed_and_moved_tree(self):
        build = self.build(FIND, f"-DCMAKE_PREFIX_PATH={self.install()}")
        self.prints_the_version(build / "shared")
        self.prints_the_version(build / "static")
        self.run_ok(str(build / "cpp"))
        self.assertIn("libailive.so.0", self.run_ok("readelf", "-d", str(build / "shared")).stdout.decode())
        self.assertNotIn("libailive", self.run_ok("readelf", "-d", str(build / "static")).stdout.decode())

    def test_pkg_config_from_an_installed_and_moved_tree(self):
        library = next(self.install().rglob("libailive.so.0")).parent
        env = {**self.env, "PKG_CONFIG_PATH": str(library / "pkgconfig")}
        flags = self.run_ok("pkg-config", "--cflags", "--libs", "ailive", env=env).stdout.decode().split()
        program = self.folder / "program"
        self.run_ok("cc", str(self.folder / "main.c"), "-o", str(program), *flags)
        self.prints_the_version(program, LD_LIBRARY_PATH=str(library))
        static = self.run_ok("pkg-config", "--cflags", "--libs", "--static", "ailive", env=env).stdout.decode()
        self.run_ok("cc", str(self.folder / "main.c"), "-o", str(program),
                    *static.replace("-lailive", "-l:libailive.a").split())
        self.prints_the_version(program)

    def test_add_subdirectory_needs_what_the_library_needs_and_no_more(self):
        (self.folder / "modules").mkdir()
        found = subprocess.run(["pkg-config", "--variable=pcfiledir", "msgpack"], capture_output=True, check=True)
        os.symlink(found.stdout.decode().strip() + "/msgpack.pc", self.folder / "modules/msgpack.pc")
        self.env["PKG_CONFIG_LIBDIR"] = str(self.folder / "modules")  # none of the sidecar's
        build = self.build(SUBDIRECTORY.replace("@ROOT@", str(ROOT)))
        self.prints_the_version(build / "shared")
        self.prints_the_version(build / "static")

    def test_the_installed_archive_has_no_names_that_could_meet_a_hosts(self):
        archive = next(self.install().rglob("libailive.a"))
        symbols = self.run_ok("nm", "-g", "--defined-only", str(archive)).stdout.decode()
        names = re.findall(r"^[0-9a-f]+ \w (\w+)$", symbols, re.M)
        self.assertIn("ailive_open", names)
        self.assertEqual([], [name for name in names if not name.startswith("ailive_")])

    def test_an_install_stays_below_its_prefix(self):
        self.env["DESTDIR"] = str(self.folder / "root")
        self.run_ok("cmake", "--install", str(BIN.parent), "--prefix", "/opt/ailive")
        self.assertEqual(["opt"], os.listdir(self.folder / "root"))


if __name__ == "__main__":
    main()
