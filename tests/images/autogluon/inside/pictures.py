"""Jobs on small pictures, which are red or blue."""

from __future__ import annotations

import io
from typing import ClassVar

import numpy as np
from opt_ml_autogluon.train import train
from PIL import Image

from tests.images import jobs

NETWORK = "mobilenetv3_small_050"


class Job(jobs.Job):
    """A job of one epoch on pictures of 32 pixels."""

    train = staticmethod(train)
    fast: ClassVar[dict[str, str]] = {
        "image_checkpoint": NETWORK,
        "text_checkpoint": "tiny/electra",
        "image_size": "32",
        "max_text_len": "16",
        "max_epochs": "1",
        "batch_size": "16",
        "per_gpu_batch_size": "16",
        "verbosity": "0",
    }


def picture(colour, seed=0):
    """16 x 16 pixels that are mostly of one colour."""
    noise = np.random.default_rng(seed).integers(0, 60, (16, 16, 3))
    noise[..., {"red": 0, "blue": 2}[colour]] += 180
    body = io.BytesIO()
    Image.fromarray(noise.astype(np.uint8)).save(body, "PNG")
    return body.getvalue()


def with_pictures(job, channel="train", each=16, colours=("red", "blue")):
    for colour in colours:
        for number in range(each):
            job.file(channel, f"{colour}/{number}.png", picture(colour, number))
    return job
