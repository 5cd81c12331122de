"""Puts opt_ml.pth into site-packages, for which pyproject.toml has no word."""

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithStart(build_py):
    """The package, and beside it the line that every Python of the image runs at its start."""

    def run(self) -> None:
        """Build the package, then copy the line."""
        super().run()
        self.copy_file("opt_ml.pth", self.build_lib)


setup(cmdclass={"build_py": BuildWithStart})
