"""What containers/*/image.toml may say, as pydantic models: their descriptions are the documentation."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Platform = Literal["linux/amd64", "linux/arm64"]  # IMG-06, IMG-07
Registry = Literal["deep-learning-containers", "sagemaker-algorithms"]
BaseKind = Literal["slim", "dlc"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OperatingSystem(_Strict):
    """Where the lowest layer of a slim base comes from."""

    image: Annotated[str, Field(description="Image to pull where a registry answers.")]
    release: Annotated[str, Field(description="Debian release that debootstrap makes where none does.")]
    python: Annotated[str, Field(pattern=r"^3\.\d+$", description="Version of its Python, such as 3.11.")]


class DeepLearningContainer(_Strict):
    """One of AWS's images, as its registry names it."""

    repository: Annotated[str, Field(description="Repository, such as `pytorch`.")]
    tag: Annotated[str, Field(description="Tag, such as `2.13-cpu-amzn2023-sagemaker`.")]
    python: Annotated[str, Field(pattern=r"^3\.\d+$", description="Version of its Python, such as 3.12.")]
    registry: Annotated[Registry, Field(description="Accounts of toolkit/data/registries.toml.")] = (
        "deep-learning-containers"
    )
    packages: Annotated[
        str | None, Field(description="List in packages/ of what it brings, if not the variant's own.")
    ] = None


class Acknowledgement(_Strict):
    """Why a base is still used although nobody mends it any more, and how long that holds."""

    until: Annotated[date, Field(description="Last day on which it is built.")]
    reason: Annotated[str, Field(min_length=1, description="One line.")]


class Variant(_Strict):
    """One image of a family. It has exactly one of `base`, `os` and `dlc`."""

    platform: Annotated[
        Platform, Field(description="SageMaker runs linux/amd64, and arm64 on Graviton endpoints.")
    ]
    size_budget_mb: Annotated[int, Field(gt=0, description="Largest unpacked size in MB (1,000,000 bytes).")]
    base: Annotated[str | None, Field(description="Name of the image it is built on.")] = None
    os: Annotated[OperatingSystem | None, Field(description="A slim base's operating system layer.")] = None
    dlc: Annotated[
        DeepLearningContainer | None, Field(description="The Deep Learning Container that a base is.")
    ] = None
    end_of_support: Annotated[
        date | None, Field(description="For a base: last day on which its security holes are mended.")
    ] = None
    acknowledged: Annotated[
        Acknowledgement | None, Field(description="For a base whose support has ended: it is built still.")
    ] = None
    requirements: Annotated[
        str | None,
        Field(description="File in requirements/, without `.in`; its lock lies beside it."),
    ] = None
    cuda: Annotated[
        str | None,
        Field(pattern=r"^\d+\.\d+$", description="CUDA of its libraries; that of the base if not said."),
    ] = None


class Family(_Strict):
    """A folder of containers/ and its image.toml."""

    summary: Annotated[str, Field(description="What the image is for, one line.")]
    end_of_life: Annotated[
        str | None,
        Field(min_length=1, description="What in it nobody mends any more, and what to use, one line."),
    ] = None
    variants: Annotated[dict[str, Variant], Field(min_length=1, description="Variant name to variant.")]
    labels: Annotated[dict[str, str], Field(description="Image labels of every variant.")] = {}


def known_keys() -> set[str]:
    """Every key that some table of an image.toml may have."""
    models = (Family, Variant, OperatingSystem, DeepLearningContainer, Acknowledgement)
    return {key for model in models for key in model.model_fields}
