"""The quick path: a small model answers in the server's own processes, without the way to a worker.

For a model that has said enough: OPT_ML_PYTORCH_BATCH that its rows may be joined, and OPT_ML_WARM_UP what a
request looks like. It must be a program of PyTorch's operators alone (TorchScript, torch.export), so that no
code of the user's runs in the server, on the CPU, and take well under 2 ms for such a request. Anything but
plain requests of that shape goes to the workers, which answer alike.

PyTorch is imported only where all of that holds: else the server needs neither its memory nor its time.
"""

from __future__ import annotations

from pathlib import Path

from opt_ml.serving.media import JSON, NPY
from opt_ml.serving.quick import Quick
from opt_ml.serving.warm_up import read_samples

from opt_ml_pytorch import files
from opt_ml_pytorch.settings import read_settings

_KINDS = (files.TORCHSCRIPT, files.EXPORTED)


def load_quick(model_dir: Path) -> Quick | None:
    """The quick path of a model; None where workers answer all.

    Raises:
        UserError: a setting or a model file that cannot be used.
    """
    settings = read_settings()
    sample = next(read_samples(model_dir), None)
    if sample is None or settings.most_rows == 1 or settings.compiler:
        return None
    if sample.content_type not in (JSON, NPY):
        return None
    if files.kind_of(files.find_model_file(model_dir)) not in _KINDS:
        return None
    from opt_ml_pytorch.inline import load_inline

    return load_inline(model_dir, settings, sample)
