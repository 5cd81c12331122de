"""One build in CodeBuild, from the files here to the images in ECR, and cleaned up however it ends."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from toolkit.aws.errors import explained
from toolkit.aws.session import Session
from toolkit.codebuild import context, permissions, preflight, project, storage
from toolkit.codebuild.build_watch import BuildWatch, Outcome
from toolkit.codebuild.log_tail import LogTail
from toolkit.errors import ToolkitError, WorkError
from toolkit.interrupts import held_back


@dataclass(frozen=True)
class Order:
    """What is built, and where.

    Attributes:
        root: the directory that is sent.
        names: which of its files are, by paths below it.
        buildspec: its text.
        settings: of the project.
        bucket: for the archive; None for the account's default one.
        repositories: of ECR that the build pushes to.
        checked: whether IAM is asked first what is missing.
        temporary: name of a project that is made for this build and deleted after it, with the archive; None
            for the one that is kept.
    """

    root: Path
    names: Sequence[str]
    buildspec: str
    settings: project.Settings
    bucket: str | None = None
    repositories: Sequence[str] = ()
    checked: bool = True
    temporary: str | None = None


@dataclass(frozen=True)
class Listener:
    """Who hears of a build.

    Attributes:
        on_line: gets each line of the build's log.
        on_note: gets what is done from here.
    """

    on_line: Callable[[str], None]
    on_note: Callable[[str], None]


def run(order: Order, session: Session, listener: Listener) -> Outcome:
    """Send, build, and watch until the end; Ctrl-C stops the build and waits for its end.

    Raises:
        ToolkitError: something was not as it must be, before the build began.
        WorkError: CodeBuild took no build, or AWS was lost for long.
        KeyboardInterrupt: after a build was stopped.
    """
    definition = project.define(order.settings)
    name = order.temporary or project.kept_name(definition)
    preflight.check_role(session, order.settings.role)
    if order.checked:
        _check(order, name, session)
    codebuild = session.client("codebuild")
    with (
        _archive(order, session, listener) as stored,
        _project(order, name, definition, codebuild, stored, listener),
    ):
        return _build(order, name, stored, session, listener)


def _check(order: Order, name: str, session: Session) -> None:
    place = permissions.Place(
        partition=session.partition.name,
        region=session.region,
        account=session.account,
        role=order.settings.role,
        bucket=order.bucket or storage.default_bucket(session.region, session.account),
        projects=name,
    )
    build = [
        need
        for repository in order.repositories
        for need in permissions.of_push(replace(place, repositories=repository))
    ]
    caller = permissions.of_caller(place, temporary=order.temporary is not None)
    preflight.check(session, place, caller, build)


@contextmanager
def _archive(order: Order, session: Session, listener: Listener) -> Iterator[storage.Stored]:
    """What the build sees, in the bucket; that of a temporary build is deleted after the block."""
    s3 = session.client("s3")
    bucket = storage.find_bucket(s3, order.bucket, session.account)
    with tempfile.TemporaryDirectory(prefix="context-") as scratch:
        archive = context.pack(order.root, order.names, Path(scratch) / "context.zip")
        stored = storage.store(s3, bucket, archive, session.account, own=order.temporary is not None)
    try:
        done = "Sent" if stored.sent else "Already there:"
        size = f"{archive.files} files, {archive.size / 1e6:.1f} MB"
        listener.on_note(f"{done} {size}, s3://{stored.location}")
        yield stored
    finally:
        if order.temporary is not None:
            with held_back(), _noted(listener, f"s3://{stored.location} is left"):
                storage.remove(s3, stored)


@contextmanager
def _project(
    order: Order,
    name: str,
    definition: Mapping[str, Any],
    codebuild: Any,
    stored: storage.Stored,
    listener: Listener,
) -> Iterator[None]:
    """The project is there; a temporary one is deleted after the block."""
    try:
        made = project.ensure(codebuild, name, definition, stored.location)
        listener.on_note(f"{'New project' if made else 'Project'} {name}")
        yield
    finally:
        if order.temporary is not None:
            with held_back(), _noted(listener, f"the project {name} is left"), explained(codebuild):
                codebuild.delete_project(name=name)


@contextmanager
def _noted(listener: Listener, consequence: str) -> Iterator[None]:
    """A failure to clean up is told, and hides nothing of the build."""
    try:
        yield
    except ToolkitError as error:
        listener.on_note(f"{consequence}: {error.message}")


def _build(order: Order, name: str, stored: storage.Stored, session: Session, listener: Listener) -> Outcome:
    codebuild = session.client("codebuild")
    watch = BuildWatch(codebuild, LogTail(session.client("logs"), listener.on_line), listener.on_note)
    build_id = ""
    try:
        with held_back():  # a build whose id was not heard cannot be stopped
            build_id = _start(codebuild, name, stored, order.buildspec)
        listener.on_note(f"Build {build_id}")
        return watch.until_complete(build_id)
    except KeyboardInterrupt:
        if build_id:
            _stop(codebuild, build_id, listener)
            outcome = watch.until_complete(build_id)
            listener.on_note(f"The build ended as {outcome.status} after {outcome.seconds} s.")
        raise
    except ToolkitError as error:
        if build_id and order.temporary is None:  # nobody here sees it any more, but it may well succeed
            raise type(error)(
                f"{error.message} The build goes on unseen.",
                f"{error.cure}\n  aws codebuild batch-get-builds --ids {build_id}".lstrip(),
            ) from None
        if build_id:
            _stop(codebuild, build_id, listener)
        raise


def _start(codebuild: Any, name: str, stored: storage.Stored, buildspec: str) -> str:
    with explained(codebuild):
        try:
            answer = codebuild.start_build(
                projectName=name,
                sourceTypeOverride="S3",
                sourceLocationOverride=stored.location,
                buildspecOverride=buildspec,
            )
        except codebuild.exceptions.AccountLimitExceededException:
            raise WorkError(
                "the account runs as many builds as it may.",
                "Wait for one to end, or ask for a higher quota of CodeBuild in Service Quotas.",
            ) from None
    return str(answer["build"]["id"])


def _stop(codebuild: Any, build_id: str, listener: Listener) -> None:
    listener.on_note("Stopping the build ...")
    with held_back(), _noted(listener, "the build goes on"), explained(codebuild):
        codebuild.stop_build(id=build_id)
