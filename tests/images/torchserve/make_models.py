"""Writes the weights that the handlers of this folder load; runs in the image, which has PyTorch.

Usage: python make_models.py HANDLERS OUTPUT
"""

import sys
import zipfile
from pathlib import Path

import numpy as np
import torch

handlers, output = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(handlers))

from sentiment import Sentiment  # noqa: E402 - its directory is an argument
from small_cnn import SmallCnn  # noqa: E402

torch.manual_seed(11)
cnn = SmallCnn().eval()
torch.jit.trace(cnn, torch.rand(2, 1, 8, 8)).save(output / "cnn.pt")
torch.save(cnn.state_dict(), output / "cnn.pth")
with zipfile.ZipFile(output / "weights.zip", "w") as archive:
    archive.write(output / "cnn.pth", "cnn.pth")
torch.save(Sentiment().state_dict(), output / "sentiment.pth")
np.save(output / "picture.npy", np.zeros((1, 1, 8, 8), dtype=np.float32))
