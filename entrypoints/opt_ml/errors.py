"""The two kinds of mistake that are not ours: the user's job, and the client's request.

Everything else is a bug of the container and may show a traceback.
"""

from __future__ import annotations


class UserError(Exception):
    """A mistake in the job: data, hyperparameters or script.

    The text is one line, the cause first and then the cure; it becomes the first line of
    /opt/ml/output/failure (TRAIN-75, TRAIN-77), so it names the file, the key or the column.
    """


class RequestError(Exception):
    """A request that gets a 4xx or 503 answer instead of a prediction (HOST-55).

    Args:
        status: HTTP status code: 400 bad data, 406 Accept, 413 size, 415 content type, 503 overload.
        message: one line, what is wrong and where (row and column counted from 1), and what to do.
        details: further machine-readable facts for the JSON body, such as `row` and `column`.
    """

    def __init__(self, status: int, message: str, **details: object) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = details


def is_out_of_memory(cause: str) -> bool:
    """True for the text of an exception that says that memory, of the machine or of a GPU, is used up.

    Frameworks have classes of their own for it (`torch.cuda.OutOfMemoryError`, `std::bad_alloc` from C++).
    """
    text = cause.lower()
    return any(sign in text for sign in ("memoryerror", "out of memory", "outofmemory", "bad_alloc"))
