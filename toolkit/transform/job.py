"""A batch transform job on this machine: `.out` files for the files of a folder (BATCH-01 to BATCH-22)."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

from toolkit.errors import ToolkitError, WorkError
from toolkit.jobs.job_log import OnLine
from toolkit.serving.endpoint import Endpoint
from toolkit.transform.assembly import assembled
from toolkit.transform.output import OutputFile
from toolkit.transform.payloads import Payload, payloads
from toolkit.transform.processing import ProcessingError
from toolkit.transform.records import RecordError
from toolkit.transform.result import FileResult, TransformResult
from toolkit.transform.sender import Answer, RequestError, Sender
from toolkit.transform.settings import Resolved, TransformJob, resolve

_AHEAD = 2  # payloads in memory for each request under way
_PARAMETERS_LIMIT = 5.0  # seconds for /execution-parameters
_ENDING_LIMIT = 10.0  # seconds in which a container that answers nothing has either ended or is only slow


class _Sent(NamedTuple):
    """A request under way; without a payload it is the end of its file."""

    file: _File
    payload: Payload | None = None
    answer: Future[Answer] | None = None


class _File:
    """An input file, what has come of it, and the output that is being written."""

    def __init__(self, path: Path, name: str, output: OutputFile) -> None:
        self.path = path
        self.output = output
        self.result = FileResult(name, bytes_in=path.stat().st_size)

    @property
    def has_failed(self) -> bool:
        """BATCH-10: one request that fails takes the whole file with it."""
        return bool(self.result.cause)

    def fail(self, cause: str) -> None:
        """The file gets no output; the first cause stands."""
        old = f". {self.output.path} is of an earlier job" if self.output.path.exists() else ""
        self.result.cause = self.result.cause or f"{cause}{old}"
        self.output.discard()


def input_files(source: Path) -> dict[str, Path]:
    """Name below the input -> file; of a single file its own name.

    Raises:
        ToolkitError: there is none.
    """
    if source.is_file():
        return {source.name: source}
    files = {
        path.relative_to(source).as_posix(): path for path in sorted(source.rglob("*")) if path.is_file()
    }
    if not files:
        what = "holds no file" if source.is_dir() else "does not exist"
        raise ToolkitError(f"--input {source} {what}.", "Name a file, or a directory of files.")
    return files


def execute(job: TransformJob, say: Callable[[str], None], on_line: OnLine) -> TransformResult:
    """Run the job; the container is always removed, and no half output is left.

    Args:
        job: the request.
        say: receives lines of progress.
        on_line: receives the container's log.

    Raises:
        EndpointError: the container does not become healthy.
        WorkError: it ended before the job did.
        ToolkitError: no such input, image or model; or limits that are above the platform's together.
    """
    files = input_files(job.source)
    endpoint = Endpoint(
        job.image,
        job.model,
        environment=job.container_environment(),
        isolated=job.isolated,
        start_limit=job.start_limit,
        on_line=on_line,
    )
    with endpoint:
        how = resolve(job, _parameters(endpoint))
        limit = f"{how.max_payload >> 20} MB" if how.max_payload else "no limit"
        say(f"{how.strategy}, payload {limit}, {how.max_concurrent} at once")
        headers = {"Content-Type": job.content_type, "Accept": job.accept}
        sender = Sender(
            endpoint,
            {name: value for name, value in headers.items() if value is not None},
            job.timeout,
            job.max_retries,
            lambda cause: say(f"  again   {cause}"),
        )
        run = _Run(job, how, sender, say, lambda: _must_run(endpoint))
        began = time.monotonic()
        results = run.transform(files)
        return TransformResult(
            results, time.monotonic() - began, endpoint.started_in, sender.seconds, sender.retries
        )


def _parameters(endpoint: Endpoint) -> Mapping[str, Any]:
    """What the container wants, where it says so (BATCH-03, BATCH-04)."""
    try:
        response = endpoint.request("GET", "/execution-parameters", timeout=_PARAMETERS_LIMIT)
        found = json.loads(response.body) if response.status == 200 else {}
    except (OSError, HTTPException, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _must_run(endpoint: Endpoint) -> None:
    """A connection ends before the engine knows that the container does: who answers lives."""
    until = time.monotonic() + _ENDING_LIMIT
    while endpoint.container.is_running():
        if _answers(endpoint) or time.monotonic() > until:
            return
        time.sleep(0.05)
    code = endpoint.container.wait()
    tail = "\n".join(f"    {line}" for line in endpoint.logs().splitlines()[-10:])
    raise WorkError(f"The container ended in the middle of the job, exit code {code}:\n{tail}")


def _answers(endpoint: Endpoint) -> bool:
    try:
        endpoint.ping()
    except (OSError, HTTPException, ToolkitError):
        return False
    return True


class _Run:
    """The files one after another, their requests at once, the answers in order."""

    def __init__(
        self,
        job: TransformJob,
        how: Resolved,
        sender: Sender,
        say: Callable[[str], None],
        must_run: Callable[[], None],
    ) -> None:
        self._job, self._how, self._sender = job, how, sender
        self._say, self._must_run = say, must_run
        self._results: list[FileResult] = []

    def transform(self, files: Mapping[str, Path]) -> list[FileResult]:
        """All files; in their order."""
        threads = ThreadPoolExecutor(self._how.max_concurrent)
        window: deque[_Sent] = deque()
        try:
            for sent in self._requests(files, threads):
                window.append(sent)
                while len(window) >= _AHEAD * self._how.max_concurrent:
                    self._take(window.popleft())
            while window:
                self._take(window.popleft())
        finally:
            self._sender.cancel()
            for sent in window:
                sent.file.output.discard()
            threads.shutdown(wait=False, cancel_futures=True)
        return self._results

    def _requests(self, files: Mapping[str, Path], threads: ThreadPoolExecutor) -> Iterator[_Sent]:
        for name, path in files.items():
            file = _File(path, name, OutputFile(self._job.destination, name))
            try:
                for payload in payloads(path, self._job, self._how):
                    if file.has_failed:
                        break
                    yield _Sent(file, payload, threads.submit(self._sender.send, payload.body))
            except (RecordError, ProcessingError, OSError) as error:
                file.fail(str(error))
            yield _Sent(file)

    def _take(self, sent: _Sent) -> None:
        """The answer of the oldest request, or the end of its file."""
        file, result = sent.file, sent.file.result
        if sent.payload is None or sent.answer is None:
            if not file.has_failed:
                result.output = file.output.complete()
                result.bytes_out = result.output.stat().st_size
            self._results.append(result)
            self._say(result.line())
            return
        if file.has_failed:
            sent.answer.cancel()
            return
        try:
            with sent.answer.result() as answer:
                for part in assembled(sent.payload, answer, self._job):  # type: ignore[arg-type]
                    file.output.write(part)
        except (RequestError, ProcessingError, RecordError) as error:
            self._must_run()
            file.fail(f"{sent.payload.place}{error}")
        else:
            result.requests += 1
            result.records += sent.payload.records
