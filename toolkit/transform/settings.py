"""What a transform job is asked to do, as CreateTransformJob has it; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.errors import ToolkitError
from toolkit.hosting.limits import VARIABLE
from toolkit.transform.json_path import JsonPath, parse

MB = 1 << 20

SPLIT_TYPES = ("None", "Line", "RecordIO", "TFRecord")  # BATCH-12
COMPRESSION_TYPES = ("None", "Gzip")
STRATEGIES = ("SingleRecord", "MultiRecord")
_MOST_MB = 100  # of one payload, and of all that are under way (BATCH-06)
_OF_CONTAINER = {"SINGLE_RECORD": "SingleRecord", "MULTI_RECORD": "MultiRecord"}  # BATCH-03
_ENVIRONMENT_LIMITS = (16, 1024, 10240)  # entries, length of a name, of a value (BATCH-18)
_FORMATS = {
    "text/csv": "csv",
    "application/json": "json",
    "application/jsonlines": "jsonlines",
    "application/x-jsonlines": "jsonlines",
    "application/jsonlines+json": "jsonlines",
}


@dataclass(frozen=True)
class TransformJob:
    """The request.

    Attributes:
        image: local reference.
        model: what `model_directory` takes; None for no model.
        source: file, or directory whose files are taken with those below.
        destination: directory of the `.out` files.
        content_type, accept: headers of each request; None leaves one out (BATCH-15).
        compression_type: of the files, `None` or `Gzip`; the container gets their content.
        split_type: what ends a record.
        strategy: records in one request; None for what the container says, or MultiRecord.
        assemble_with: `None` puts answers together as they are, `Line` ends each with a newline.
        max_payload: MB of one request, 0 for no limit (chunked encoding); None for what the container says,
            or 6.
        max_concurrent: requests at once; 0 and None for what the container says, or 1.
        join_source: `Input` puts each record beside its prediction (BATCH-17).
        input_filter, output_filter: what of each record is sent, and what of each result is kept.
        environment: of the container.
        timeout: seconds for one answer.
        max_retries: further tries of a request.
        isolated: no network.
        start_limit: seconds until /ping must be 200.

    Raises:
        ToolkitError: values that CreateTransformJob refuses; names the option.
    """

    image: str
    model: Path | None
    source: Path
    destination: Path
    content_type: str | None = None
    accept: str | None = None
    compression_type: str = "None"
    split_type: str = "None"
    strategy: str | None = None
    assemble_with: str = "None"
    max_payload: int | None = None
    max_concurrent: int | None = None
    join_source: str = "None"
    input_filter: JsonPath = field(default_factory=lambda: parse("--input-filter", "$"))
    output_filter: JsonPath = field(default_factory=lambda: parse("--output-filter", "$"))
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout: int = 600
    max_retries: int = 3
    isolated: bool = False
    start_limit: float = 480.0

    def __post_init__(self) -> None:
        if not 1 <= self.timeout <= 3600:  # BATCH-08
            raise ToolkitError(f"--timeout {self.timeout}: SageMaker takes 1 to 3600 seconds.")
        if not 0 <= self.max_retries <= 3:
            raise ToolkitError(f"--max-retries {self.max_retries}: SageMaker takes 0 to 3.")
        if self.max_payload is not None and not 0 <= self.max_payload <= _MOST_MB:
            raise ToolkitError(f"--max-payload {self.max_payload}: SageMaker takes 0 to {_MOST_MB} MB.")
        if self.max_concurrent is not None and self.max_concurrent < 0:
            raise ToolkitError(f"--max-concurrent {self.max_concurrent}: 0 or more.")
        if self.strategy == "MultiRecord" and self.split_type == "None":
            raise ToolkitError("--strategy MultiRecord needs records.", "Add --split-type Line, for example.")
        self._check_destination()
        self._check_environment()
        self._check_processing()

    @property
    def is_processed(self) -> bool:
        """Records or results are read here, not only passed on."""
        return self.join_source == "Input" or not (self.input_filter.is_root and self.output_filter.is_root)

    @property
    def format(self) -> str:
        """`csv`, `json` or `jsonlines`: how records are read."""
        found = _format_of(self.content_type)
        return "jsonlines" if found == "json" and self.split_type == "Line" else found

    def container_environment(self) -> dict[str, str]:
        """What the container is told (BATCH-01, BATCH-02)."""
        given = {
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": self.max_payload,
            "SAGEMAKER_BATCH_STRATEGY": self.strategy
            and {value: name for name, value in _OF_CONTAINER.items()}[self.strategy],
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": self.max_concurrent or None,
        }
        told = {name: str(value) for name, value in given.items() if value is not None}
        return {**self.environment, "SAGEMAKER_BATCH": "true", **told}

    def _check_destination(self) -> None:
        if self.destination.exists() and not self.destination.is_dir():
            raise ToolkitError(f"--output {self.destination} is a file.", "Name a directory.")
        source, destination = self.source.resolve(), self.destination.resolve()
        if source.is_dir() and (source == destination or source in destination.parents):
            raise ToolkitError(
                f"--output {self.destination} lies in --input {self.source}: the next job would take its "
                "outputs for inputs.",
                "Name a directory of its own.",
            )

    def _check_environment(self) -> None:
        entries, longest_name, longest_value = _ENVIRONMENT_LIMITS
        if len(self.environment) > entries:
            raise ToolkitError(
                f"--environment: {len(self.environment)} entries; batch transform takes {entries}, "
                "unlike hosting."
            )
        for name, value in self.environment.items():
            if not VARIABLE.fullmatch(name):
                raise ToolkitError(
                    f"--environment {name}: SageMaker refuses the name.",
                    "A name has letters, digits and underscores, and no digit at its start.",
                )
            if len(name) > longest_name or len(value) > longest_value:
                raise ToolkitError(f"--environment {name[:40]}: the name or the value is too long.")

    def _check_processing(self) -> None:
        if self.is_processed and not self.format:
            raise ToolkitError(
                "--input-filter, --output-filter and --join-source read records: they need --content-type "
                f"text/csv, application/json or application/jsonlines, not {self.content_type or 'none'}."
            )
        accepted = _format_of(self.accept)
        if self.is_processed and (not accepted or (accepted == "csv") != (self.format == "csv")):
            raise ToolkitError(
                "--input-filter, --output-filter and --join-source need --accept of the same format as "
                f"--content-type {self.content_type}, not {self.accept or 'none'}.",
                f"Add --accept {self.content_type}.",
            )
        if self.is_processed and self.format == "csv" and self.split_type != "Line":
            raise ToolkitError(
                "Filters and joins of CSV work on lines.", "Add --split-type Line --assemble-with Line."
            )
        if self.is_processed and self.split_type in ("RecordIO", "TFRecord"):
            raise ToolkitError(f"Filters and joins read CSV and JSON, not {self.split_type}.")


@dataclass(frozen=True)
class Resolved:
    """How much at once: payload in bytes (0 for no limit), requests under way, strategy."""

    max_payload: int
    max_concurrent: int
    strategy: str


def resolve(job: TransformJob, parameters: Mapping[str, Any]) -> Resolved:
    """The request's values, before the container's, before the defaults (BATCH-05).

    Args:
        job: the request.
        parameters: what /execution-parameters answered; empty for nothing.

    Raises:
        ToolkitError: together they are above 100 MB.
    """
    payload = _first(job.max_payload, _number(parameters, "MaxPayloadInMB"), 6)
    concurrent = _first(job.max_concurrent or None, _number(parameters, "MaxConcurrentTransforms"), 1)
    named = parameters.get("BatchStrategy")
    strategy = job.strategy or _OF_CONTAINER.get(str(named).upper()) or "MultiRecord"
    if payload * concurrent > _MOST_MB:
        raise ToolkitError(
            f"{concurrent} requests of {payload} MB at once: SageMaker allows {_MOST_MB} MB together.",
            "Lower --max-payload or --max-concurrent.",
        )
    return Resolved(
        payload * MB, max(1, concurrent), "SingleRecord" if job.split_type == "None" else strategy
    )


def _format_of(media_type: str | None) -> str:
    """`csv`, `json`, `jsonlines`, or empty for what is not read here; parameters do not count (HOST-58)."""
    return _FORMATS.get((media_type or "").partition(";")[0].strip().lower(), "")


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _number(parameters: Mapping[str, Any], name: str) -> int | None:
    value = parameters.get(name)
    return value if isinstance(value, int) and value >= 0 else None
