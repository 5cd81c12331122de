"""Which column of a table is meant."""

from __future__ import annotations

from opt_ml.errors import UserError
from opt_ml.nearest import nearest
from opt_ml.tables.files import Rows

LABEL_NAMES = ("label", "target", "y", "class")


def find_label(rows: Rows, wanted: str | None, role: str = "label") -> str:
    """The label column: as named, else by its usual names, else the last one.

    Where the channel says `label_size=1`, or is LIBSVM, it is the first one.

    Args:
        rows: the table.
        wanted: its name or position, or None.
        role: what the job calls it, for the error.

    Raises:
        UserError: there is no column `wanted`; lists those that are there.
    """
    columns = [str(name) for name in rows.frame.columns]
    if wanted is not None:
        return find_column(rows, wanted, role)
    if rows.label_first:
        return columns[0]
    usual = [name for name in columns if name.lower() in LABEL_NAMES] if rows.named else []
    return usual[0] if len(usual) == 1 else columns[-1]


def find_column(rows: Rows, wanted: str, role: str) -> str:
    """A column by name or by position from 0 (from the end where negative).

    Raises:
        UserError: there is no such column; lists those that are there.
    """
    columns = [str(name) for name in rows.frame.columns]
    if wanted in columns:
        return wanted
    if wanted.lstrip("-").isdigit() and -len(columns) <= int(wanted) < len(columns):
        return columns[int(wanted)]
    listed = ", ".join(columns[:20]) + (f", ... ({len(columns)} in all)" if len(columns) > 20 else "")
    raise UserError(
        f"The channel {rows.channel} has no column {wanted!r} for {role}.{nearest(wanted, columns)} "
        f"Its columns are: {listed}."
    )
