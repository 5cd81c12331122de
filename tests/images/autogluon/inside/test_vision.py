"""torchvision: with the operators of its own library, or with declarations in their place."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

PROGRAM = """
import torch
{before}
from opt_ml_autogluon.vision import make_importable

make_importable()
import torchvision

boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9], [5.0, 5.0, 6.0, 6.0]])
scores = torch.tensor([0.5, 0.9, 0.1])
print(torchvision.extension._has_ops() and torchvision.ops.nms(boxes, scores, 0.5).tolist())
"""


def said(before: str = "") -> str:
    """What a process of its own says: an operator is declared once in each."""
    command = [sys.executable, "-c", PROGRAM.format(before=before)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.skipif(torch.version.cuda is not None, reason="PyTorch with CUDA loads torchvision's operators")
def test_torchvision_is_imported_where_its_operators_do_not_load():
    assert said() == "False"


@pytest.mark.skipif(
    torch.version.cuda is None, reason="the public torchvision's operators need CUDA's PyTorch"
)
@pytest.mark.parametrize("before", ["", "torch.version.cuda = None  # as in AWS's containers for CPUs"])
def test_torchvisions_own_operators_are_left_as_they_are_where_they_load(before):
    assert said(before) == "[1, 2]"
