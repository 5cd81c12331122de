"""Which parts a network is made of, and whether their pretrained weights are here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import timm
from autogluon.multimodal.utils.presets import automm_presets
from opt_ml.errors import UserError

from opt_ml_autogluon.multimodal.channels import CATEGORY, NUMBER, PICTURE, TEXT
from opt_ml_autogluon.multimodal.settings import Settings
from opt_ml_autogluon.pretrained import Weights

_CHECKPOINTS = {
    "timm_image": "model.timm_image.checkpoint_name",
    "hf_text": "model.hf_text.checkpoint_name",
}
# Words are exchanged at random with those of corpora that AutoGluon would download.
_WITHOUT_CORPORA = {"model.hf_text.text_trivial_aug_maxscale": 0.0}


def choose_network(kinds: Mapping[str, str], settings: Settings, weights: Weights) -> dict[str, Any]:
    """AutoGluon's configuration of a job: the preset's for what its columns need, and the job's own.

    Raises:
        UserError: weights that are not here, or a network that timm does not know.
    """
    present = set(kinds.values())
    parts = ["timm_image"] * (PICTURE in present) + ["hf_text"] * (TEXT in present)
    parts += ["ft_transformer"] * bool(present & {NUMBER, CATEGORY})
    overrides = settings.overrides(parts)
    preset, _ = automm_presets.create("default", presets=settings["presets"])
    names = [*parts, "fusion_mlp"] if len(parts) > 1 else parts
    found = {
        name: value
        for name, value in preset.items()
        if not name.startswith("model.") or name.split(".")[1] in parts
    }
    found |= {"model.names": names, **(_WITHOUT_CORPORA if "hf_text" in parts else {}), **overrides}
    for part in parts:
        if part in _CHECKPOINTS:
            _check(part, str(found[_CHECKPOINTS[part]]), settings["pretrained"], weights)
    return found


def _check(part: str, name: str, pretrained: bool, weights: Weights) -> None:
    if part == "hf_text":
        # Its vocabulary is needed also by a network that begins with random weights.
        if name not in weights:
            raise weights.missing(name, "The network for text")
        return
    if not timm.is_model(name):
        raise UserError(f"image_checkpoint is {name!r}, which timm does not know. Name one of its models.")
    if pretrained:
        source = timm.get_pretrained_cfg(name)
        hub_name = source.hf_hub_id if source is not None else None
        if not hub_name:
            raise UserError(
                f"There are no pretrained weights of {name!r}. Set pretrained to false, or name another."
            )
        if hub_name not in weights:
            missing = weights.missing(hub_name, f"The network {name} for images")
            raise UserError(f"{missing} Without any, set pretrained to false.")
