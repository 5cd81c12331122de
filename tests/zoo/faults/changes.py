"""How a fault changes a program: something is done before one of its functions, or after it."""

from collections.abc import Callable
from typing import Any


def before(owner: Any, name: str, action: Callable[..., Any]) -> None:
    """Call `action` with the arguments of each call of `owner.name` first; True ends the call there."""
    usual = getattr(owner, name)

    def changed(*arguments: Any, **options: Any) -> Any:
        return None if action(*arguments) is True else usual(*arguments, **options)

    setattr(owner, name, changed)


def after(owner: Any, name: str, action: Callable[[], Any]) -> None:
    """Call `action` when a call of `owner.name` has returned."""
    usual = getattr(owner, name)

    def changed(*arguments: Any, **options: Any) -> Any:
        value = usual(*arguments, **options)
        action()
        return value

    setattr(owner, name, changed)


def change_answers(program: Any, new: Callable[[Any, int, bytes], tuple[int, bytes]]) -> None:
    """Answer what `new` makes of the handler, the status and the body of each answer."""
    usual = program.Handler.answer

    def changed(handler: Any, status: int, body: bytes, *media_type: str) -> None:
        usual(handler, *new(handler, status, body), *media_type)

    program.Handler.answer = changed
