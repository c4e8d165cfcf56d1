"""Builds the wheel out of the whole source tree: the extension and the three programs come from the Makefile beside it.

Everything else is in pyproject.toml.
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PACKAGE = "pylua_bioxen_vm"
PROGRAMS = ("bioxend", "bioxen-jailer", "bioxen-vm")


def make(*targets):
    if not (ROOT / "Makefile").exists():
        sys.exit("pylua-bioxen-vm is built from the whole source tree of bioxen, of which this is the folder python/")
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    subprocess.run(["make", "-C", str(ROOT), f"-j{os.cpu_count()}", f"PYTHON={sys.executable}", *targets], check=True,
                   env=environment)


class BuildProgramsToo(build_py):
    """The wheel carries the programs, so that to install it is all there is to do."""

    def run(self):
        super().run()
        if getattr(self, "editable_mode", False):
            return  # a source tree finds them in build/
        make("programs")
        target = Path(self.build_lib) / PACKAGE / "programs"
        target.mkdir(parents=True, exist_ok=True)
        for name in PROGRAMS:
            shutil.copy2(ROOT / "build" / name, target / name)
            subprocess.run(["strip", str(target / name)], check=True)


class MakeExtension(build_ext):
    def build_extension(self, extension):
        make("python")
        built = HERE / PACKAGE / "_core.abi3.so"
        target = Path(self.get_ext_fullpath(extension.name))
        if target.resolve() != built:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(built, target)
            subprocess.run(["strip", "--strip-unneeded", str(target)], check=True)


class NoSdist(sdist):
    def run(self):
        sys.exit("a source distribution of python/ alone could not be built; take the whole source tree, or a wheel")


setup(
    ext_modules=[Extension(f"{PACKAGE}._core", sources=[], py_limited_api=True)],
    cmdclass={"build_py": BuildProgramsToo, "build_ext": MakeExtension, "sdist": NoSdist},
    options={"bdist_wheel": {"py_limited_api": "cp39"}},
)
