"""A network fitted by several processes, as with several GPUs: one for each of them, here on CPUs."""

from __future__ import annotations

import os
import pickle
import signal

import pytest
from opt_ml.training import stopping
from opt_ml_autogluon.vision import make_importable

from tests.images.autogluon.inside.pictures import Job, with_pictures


@pytest.fixture
def job(tmp_path):
    make_importable()
    return Job(tmp_path / "ml")


def of_two_processes(monkeypatch):
    """Have Lightning fit in two processes, as it does with two GPUs."""
    from autogluon.multimodal.learners import base

    one = base.pl.Trainer

    def trainer(**arguments):
        if arguments.get("max_epochs", -1) > 0:  # others predict
            several = {"accelerator": "cpu", "devices": 2, "strategy": "ddp_fork_find_unused_parameters_true"}
            arguments |= several
        return one(**arguments)

    monkeypatch.setattr(base.pl, "Trainer", trainer)


def test_two_processes_fit_one_network_and_their_epochs_are_told(job, monkeypatch, capfd):
    of_two_processes(monkeypatch)
    (job.base / "checkpoints").mkdir(parents=True)
    with_pictures(job).run({"task": "image", "pretrained": "false", "max_epochs": "2"})
    assert len(job.metrics["epochs"]) == 2
    assert capfd.readouterr().out.count("validation-epoch-") == 2, "each process told of its own"


def test_a_stop_reaches_the_processes_that_fit(job, monkeypatch):
    from opt_ml_autogluon.multimodal import fitting

    of_two_processes(monkeypatch)
    told = fitting.Epochs.on_train_epoch_end
    main = os.getpid()

    def stop(self, *arguments):
        told(self, *arguments)
        if len(self.scores) == 1:
            os.kill(main, signal.SIGTERM)  # which the platform sends to that one alone

    monkeypatch.setattr(fitting.Epochs, "on_train_epoch_end", stop)
    monkeypatch.setattr(stopping._State, "arrived", False)
    with_pictures(job)
    before = signal.getsignal(signal.SIGTERM)
    try:
        stopping.install()
        with pytest.raises(stopping.Stopped):
            job.run({"task": "image", "pretrained": "false", "max_epochs": "500"})
    finally:
        signal.signal(signal.SIGTERM, before)
    assert job.model["stopped"]
    assert 1 <= len(job.metrics["epochs"]) < 500


def test_what_each_process_gets_can_be_sent_to_it(tmp_path):
    make_importable()
    from opt_ml_autogluon.multimodal.fitting import Epochs

    (tmp_path / "scores.json").write_text("[0.5]")
    assert pickle.loads(pickle.dumps(Epochs(None, tmp_path))).scores == [0.5]
