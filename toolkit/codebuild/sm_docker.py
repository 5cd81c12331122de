"""A folder with a Dockerfile, built in CodeBuild as `sm-docker build` does it: same options, same names.

What it takes from AWS is no more than `sm-docker` takes, so that a role made for that one is enough.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from toolkit.building.build_context import sent_files
from toolkit.codebuild import buildspec, ecr, project
from toolkit.codebuild.studio import Studio
from toolkit.errors import ToolkitError

_REGISTRY = re.compile(r"\b(\d{12})\.dkr\.ecr\.([\w${}-]+)\.amazonaws\.com(\.cn)?\b")
_ARGUMENT = re.compile(r"^\s*ARG\s+(\w+)=(\S+)", re.MULTILINE | re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{?(\w+)(?::-[^}]*)?\}?")


@dataclass(frozen=True)
class DockerBuild:
    """What `docker build` is asked for.

    Attributes:
        folder: that is sent; the working directory of the build.
        arguments: all of them, as they were written.
        dockerfile: path below `folder`.
        context: path below `folder`.
    """

    folder: Path
    arguments: Sequence[str]
    dockerfile: str
    context: str

    def names(self) -> list[str]:
        """The files to send: the context as docker sees it; the whole folder where it lies deeper."""
        if self.context != ".":
            return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))
        return sent_files(self.folder, self.dockerfile)

    def registries(self) -> list[str]:
        """Hosts of ECR that the Dockerfile or the arguments name: bases are pulled from there."""
        text = (self.folder / self.dockerfile).read_text(encoding="utf-8")
        values = dict(_ARGUMENT.findall(text)) | _build_arguments(self.arguments)
        named = _substituted("\n".join([text, *self.arguments]), values)
        hosts = [match[0] for match in _REGISTRY.finditer(named) if "$" not in match[0]]
        return list(dict.fromkeys(hosts))


def read_arguments(folder: Path, arguments: Sequence[str]) -> DockerBuild:
    """Understand as much of docker's arguments as has to be known here.

    Raises:
        ToolkitError: the Dockerfile is missing, or lies outside of `folder` (CB-14).
    """
    words = list(arguments) or ["."]
    contexts = [word for word in words if not word.startswith("-") and (folder / word).is_dir()]
    context = _below(folder, contexts[-1], "the context") if contexts else "."
    if not contexts:
        words.append(".")
    named = _value_of(words, "-f", "--file")
    dockerfile = _below(folder, named or str(Path(context) / "Dockerfile"), "-f")
    if not (folder / dockerfile).is_file():
        raise ToolkitError(
            f"there is no {dockerfile} in {folder}.", "-f PATH names the Dockerfile, below this directory."
        )
    return DockerBuild(folder, words, dockerfile, context)


def _below(folder: Path, name: str, what: str) -> str:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ToolkitError(
            f"{what} {name} lies outside of {folder}, which is all that is sent.", f"cd {path.parent}"
        )
    return str(path.relative_to(folder.resolve()))


def _value_of(words: Sequence[str], short: str, long: str) -> str | None:
    """Of an option in any of its forms: `-f A`, `-fA`, `--file A`, `--file=A`."""
    found = None
    for word, following in zip(words, [*words[1:], None], strict=True):
        if word in (short, long):
            found = following
        elif word.startswith(f"{long}="):
            found = word.partition("=")[2]
        elif word.startswith(short) and not word.startswith("--"):
            found = word.removeprefix(short).removeprefix("=")
    return found


def _build_arguments(words: Sequence[str]) -> dict[str, str]:
    pairs = [following for word, following in pairwise(words) if word == "--build-arg"]
    pairs += [word.partition("=")[2] for word in words if word.startswith("--build-arg=")]
    return {name: value for name, sign, value in (pair.partition("=") for pair in pairs) if sign}


def _substituted(text: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: values.get(match[1], match[0]), text)


def split_repository(text: str | None, studio: Studio | None) -> tuple[str, str]:
    """(Repository, tag) of `--repository NAME[:TAG]`, or as `sm-docker` chooses them (CB-04).

    Raises:
        ToolkitError: more than one colon.
    """
    if text is None:
        if studio is None:
            return "sagemaker-studio", "latest"
        return f"sagemaker-studio-{studio.domain}", studio.user or "latest"
    name, _, tag = text.partition(":")
    if not name or ":" in tag:
        raise ToolkitError(f"--repository {text}: this is not NAME or NAME:TAG.")
    return name, tag or "latest"


def project_name(studio: Studio | None) -> str:
    """A new name of a project, no longer than CodeBuild takes (CB-03)."""
    if studio is None:
        return project.temporary_name("sagemaker-studio-image-build-")
    return project.temporary_name(f"sagemaker-studio-{studio.domain}-{studio.user}-")


def make_buildspec(build: DockerBuild, host: str, repository: str, tag: str) -> str:
    """Log in where bases come from, build, log in once more, push.

    Without attestations the image stays one that SageMaker takes (CB-32).
    """
    uri = f"{host}/{repository}:{tag}"
    phases = {
        "install": buildspec.unpack(),
        "pre_build": [ecr.login(one) for one in dict.fromkeys([host, *build.registries()])],
        "build": [
            "export BUILDX_NO_DEFAULT_ATTESTATIONS=1",
            shlex.join(["docker", "build", "--tag", uri, *build.arguments]),
        ],
        "post_build": [
            ecr.login(host),  # the first may be twelve hours old
            shlex.join(["docker", "push", uri]),
            f"export {buildspec.URIS_VARIABLE}={shlex.quote(uri)}",
        ],
    }
    return buildspec.write(phases, exported=[buildspec.URIS_VARIABLE])
