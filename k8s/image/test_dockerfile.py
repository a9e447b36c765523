"""The Dockerfile is built by hand, as README.md says: that it goes on to say the same as `build` is known by this."""

import re
import unittest
from pathlib import Path

HERE = Path(__file__).parent
BINARIES = HERE.parent.parent / "tests/lab/lib/binaries.sh"
# What people have in `build`'s image from busybox and libbpfcc's dependencies, by its package in a whole Debian.
INSTEAD = {"busybox": {"kmod", "xz-utils"}, "base-files": set()}


def found(pattern: str, text: str) -> str:
    """What the group of a pattern matches, which must be there once."""
    (match,) = re.findall(pattern, text)
    return match


def read(path: Path) -> str:
    return path.read_text().replace("\\\n", " ")


class Dockerfile(unittest.TestCase):
    """Held against `build`, `unpacked` and what the lab builds with."""

    def setUp(self) -> None:
        self.dockerfile = read(HERE / "Dockerfile")
        self.build = read(HERE / "build")
        self.unpacked = read(HERE / "unpacked")

    def test_its_tools_are_those_of_the_image(self) -> None:
        ours = found(r"(?m)^tools=\((\w[\w ]*)\)$", self.unpacked).split()
        theirs = re.findall(r"(\w+)-bpfcc\b", found(r"cp -t /chosen/usr/sbin ([^\n]*)", self.dockerfile))
        self.assertEqual(ours, theirs)

    def test_its_programs_come_out_of_the_same_packages(self) -> None:
        self.assertEqual(
            found(r"apt-get -qq .*download ([\w -]+)\)", self.unpacked),
            found(r"apt-get download ([\w -]+?) +&&", self.dockerfile),
        )

    def test_its_packages_are_those_of_the_image(self) -> None:
        ours = set(found(r'(?m)^  echo "(base-files [^"]*)"$', self.build).replace("$release_python", "3").split())
        for package, instead in INSTEAD.items():
            ours = ours - {package} | instead
        words = found(r"install -y --no-install-recommends (kmod [^&]*)", self.dockerfile)
        # The version of Python is asked for, as it is in no list: `build` has it from the lab.
        packages, asked = words.split("$(", 1)
        self.assertIn("libpython3-dev", asked)
        # x-agent's own; here it comes with libbpfcc.
        self.assertEqual(ours | {"libelf1"}, set(packages.split()) | {"libpython3"})

    def test_its_builder_has_what_the_labs_has(self) -> None:
        ours = set(found(r"(?m)^  packages=(.*)$", read(BINARIES)).replace("$release_clang", "clang").split(","))
        theirs = set(found(r"install -y --no-install-recommends +(ca-certificates [^\n]*)", self.dockerfile).split())
        # The lab binds the host's toolchain where this one fetches its own.
        self.assertEqual(ours, theirs - {"curl"})

    def test_what_runs_in_it_is_the_same(self) -> None:
        oci = read(HERE / "oci.py")
        self.assertEqual(found(r"--entrypoint (\S+)", self.build), found(r'ENTRYPOINT \["([^"]*)"\]', self.dockerfile))
        self.assertIn(found(r"(?m)^ENV (LANG=\S+)$", self.dockerfile), oci)


if __name__ == "__main__":
    unittest.main()
