"""Faults of the tiny image's `serve` in what it answers to requests."""

import gzip
import json
import os
from types import ModuleType
from typing import Any

from .changes import before, change_answers


def garbage_500(program: ModuleType) -> None:
    """A wrong request is the server's fault."""
    change_answers(program, lambda handler, status, body: (500 if status == 400 else status, body))


def bad_type_500(program: ModuleType) -> None:
    """A type that nobody reads is the server's fault."""
    change_answers(program, lambda handler, status, body: (500 if status == 415 else status, body))


def traceback(program: ModuleType) -> None:
    """A wrong request is answered with a traceback."""
    change_answers(
        program,
        lambda handler, status, body: (
            status,
            json.dumps({"error": "Traceback (most recent call last):"}).encode() if status == 400 else body,
        ),
    )


def dies_at_garbage(program: ModuleType) -> None:
    """A body without a comma ends the process."""
    usual = program.Handler.body

    def body(handler: Any) -> Any:
        read = usual(handler)
        if handler.path == "/invocations" and b"," not in read:
            os._exit(5)
        return read

    program.Handler.body = body


def ignores_accept(program: ModuleType) -> None:
    """Answers CSV to whoever wants something else."""
    before(program.Handler, "invoke", lambda handler, body: handler.headers.__delitem__("Accept"))


def accept_is_one_type(program: ModuleType) -> None:
    """Takes the header Accept for one media type."""

    def compare(handler: Any, body: bytes) -> bool:
        if "," not in (handler.headers.get("Accept") or ""):
            return False
        handler.answer(406, b"{}")
        return True

    before(program.Handler, "invoke", compare)


def no_parameters(program: ModuleType) -> None:
    """Compares the whole Content-Type."""

    def compare(handler: Any, body: bytes) -> bool:
        told = handler.headers.get("Content-Type") or ""
        if told == told.partition(";")[0].lower():
            return False
        handler.answer(415, b"{}")
        return True

    before(program.Handler, "invoke", compare)


def needs_content_type_header(program: ModuleType) -> None:
    """A request without a Content-Type ends the process."""
    before(
        program.Handler,
        "invoke",
        lambda handler, body: handler.headers.get("Content-Type") or os._exit(4),
    )


def refuses_long_headers(program: ModuleType) -> None:
    """A header that it does not know, and finds too long, is refused."""

    def refuse(handler: Any, body: bytes) -> bool:
        if all(len(value) < 2000 for value in handler.headers.values()):
            return False
        handler.answer(431, b"{}")
        return True

    before(program.Handler, "invoke", refuse)


def small_limit(program: ModuleType) -> None:
    """Takes no more than 5 MB, as the nginx of AWS's sample does."""

    def weigh(handler: Any, body: bytes) -> bool:
        if len(body) <= 5_000_000:
            return False
        handler.answer(413, b'{"error": "too large"}')
        return True

    before(program.Handler, "invoke", weigh)


def no_chunked(program: ModuleType) -> None:
    """Reads as many bytes as Content-Length says."""
    before(program.Handler, "body", lambda handler: handler.headers.__delitem__("Transfer-Encoding"))


def refuses_to_expect(program: ModuleType) -> None:
    """`Expect: 100-continue` is an error."""
    program.Handler.handle_expect_100 = lambda handler: handler.send_error(417)


def one_answer(program: ModuleType) -> None:
    """Predicts the first record only."""
    change_answers(
        program,
        lambda handler, status, body: (
            status,
            body.partition(b"\n")[0] if (handler.path, status) == ("/invocations", 200) else body,
        ),
    )


def unknown_path_500(program: ModuleType) -> None:
    """An unknown path is the server's fault."""
    change_answers(
        program,
        lambda handler, status, body: (
            500 if status == 404 and handler.path != "/execution-parameters" else status,
            body,
        ),
    )


def unknown_path_kills(program: ModuleType) -> None:
    """An unknown path ends the process."""

    def end(handler: Any, status: int, body: bytes) -> tuple[int, bytes]:
        if status == 404 and handler.path != "/execution-parameters":
            os._exit(3)
        return status, body

    change_answers(program, end)


def execution_parameters_500(program: ModuleType) -> None:
    """/execution-parameters is the server's fault."""
    change_answers(
        program,
        lambda handler, status, body: (500 if handler.path == "/execution-parameters" else status, body),
    )


def metrics_a_request(program: ModuleType) -> None:
    """/metrics has a line for each request that there ever was."""
    seen: list[str] = []
    before(program.Handler, "invoke", lambda handler, body: seen.append(f"request_{len(seen)} 1\n"))

    def count(handler: Any) -> bool:
        if handler.path != "/metrics":
            return False
        handler.answer(200, "".join(seen).encode())
        return True

    before(program.Handler, "do_GET", count)


def refuses_go_client(program: ModuleType) -> None:
    """/ping takes the client of batch transform for a robot."""

    def refuse(handler: Any) -> bool:
        if not (handler.headers.get("User-Agent") or "").startswith("Go-http-client"):
            return False
        handler.answer(403, b"{}")
        return True

    before(program.Handler, "do_GET", refuse)


def compresses_answers(program: ModuleType) -> None:
    """Whoever may take gzip gets it, batch transform as well."""
    usual = program.Handler.answer

    def answer(handler: Any, status: int, body: bytes, *media_type: str) -> None:
        if "gzip" not in (handler.headers.get("Accept-Encoding") or ""):
            return usual(handler, status, body, *media_type)
        handler.send_response(status)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(packed := gzip.compress(body))))
        handler.end_headers()
        return handler.wfile.write(packed)

    program.Handler.answer = answer


def large_metrics(program: ModuleType) -> None:
    """/metrics has 100 kB."""

    def tell(handler: Any) -> bool:
        if handler.path != "/metrics":
            return False
        handler.answer(200, b"a_long_name_of_a_metric 1\n" * 4000)
        return True

    before(program.Handler, "do_GET", tell)


def malformed_500(program: ModuleType) -> None:
    """What is no request is the server's fault."""
    usual = program.Handler.send_error
    program.Handler.send_error = lambda handler, code, *rest: usual(handler, 500, *rest)


def needs_accept(program: ModuleType) -> None:
    """A request without Accept is refused."""

    def refuse(handler: Any, body: bytes) -> bool:
        if handler.headers.get("Accept"):
            return False
        handler.answer(406, b"{}")
        return True

    before(program.Handler, "invoke", refuse)


def batch_500(program: ModuleType) -> None:
    """Bad data of a batch transform job is the server's fault."""
    change_answers(
        program,
        lambda handler, status, body: (
            500 if status == 400 and "SAGEMAKER_BATCH" in os.environ else status,
            body,
        ),
    )
