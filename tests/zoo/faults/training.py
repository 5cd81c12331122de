"""Faults of the tiny image's `train`."""

import importlib
import json
import os
import signal
import sys
from pathlib import Path
from types import ModuleType

from .changes import after, before

BASE = Path("/opt/ml")
CONFIG = BASE / "input" / "config"
DATA = BASE / "input" / "data"
CHECKPOINTS = BASE / "checkpoints"
FAILURE = BASE / "output" / "failure"


def buffers_lines(program: ModuleType) -> None:
    """Its lines come with the end, whatever PYTHONUNBUFFERED says."""
    program.print = lambda *words, **_: print(*words)

    def use_buffer() -> None:
        sys.stdout = open(1, "w", buffering=65536, closefd=False)  # noqa: SIM115

    before(program, "train", use_buffer)


def exit_zero(program: ModuleType) -> None:
    """A failure ends with exit code 0."""
    usual = program.main

    def main() -> None:
        try:
            usual()
        except SystemExit as end:
            sys.exit(0 if end.code == 1 else end.code)

    program.main = main


def fails_in_the_end(program: ModuleType) -> None:
    """Good work ends with exit code 3, and no reason."""
    after(program, "train", lambda: sys.exit(3))


def failure_file_on_success(program: ModuleType) -> None:
    """Good work leaves a failure file."""
    after(program, "train", lambda: FAILURE.write_text("All is well."))


def no_failure_file(program: ModuleType) -> None:
    """The reason of a failure is only in the log."""
    program.explain = lambda error: None


def traceback_first(program: ModuleType) -> None:
    """The failure file begins with a long traceback."""
    frames = "Traceback (most recent call last):\n" + "  frame\n" * 300
    program.explain = lambda error: FAILURE.write_text(f"{frames}{error}\n")


def half_written_model(program: ModuleType) -> None:
    """What failed leaves the beginning of a model."""
    before(program, "train", lambda: (BASE / "model" / "model.json").write_text("{"))


def leaves_no_model(program: ModuleType) -> None:
    """No model is left."""
    after(program, "train", lambda: (BASE / "model" / "model.json").unlink())


def saves_a_link(program: ModuleType) -> None:
    """An absolute link lies beside the model."""
    after(program, "train", lambda: (BASE / "model" / "latest").symlink_to("/opt/ml/model/model.json"))


def saves_privately(program: ModuleType) -> None:
    """Only its owner can read the model."""
    after(program, "train", lambda: (BASE / "model" / "model.json").chmod(0o600))


def needs_content_type(program: ModuleType) -> None:
    """Indexes the ContentType of a channel."""
    before(program, "train", lambda: program.read_config("inputdataconfig")["train"]["ContentType"])


def needs_extra_file(program: ModuleType) -> None:
    """Reads a file of the platform that no document names."""
    before(program, "train", lambda: program.read_config("init-config"))


def needs_interface(program: ModuleType) -> None:
    """Wants the network interface that resourceconfig.json names."""

    def look() -> None:
        name = program.read_config("resourceconfig")["network_interface_name"]
        if not Path("/sys/class/net", name).exists():
            raise OSError(f"There is no interface {name}.")

    before(program, "train", look)


def train_needs_network(program: ModuleType) -> None:
    """Looks for a network before it begins."""

    def look() -> None:
        if not Path("/sys/class/net/eth0").exists():
            raise OSError("There is no network.")

    before(program, "train", look)


def lists_config(program: ModuleType) -> None:
    """Reads whatever lies in input/config."""
    before(program, "train", lambda: [json.loads(path.read_text()) for path in CONFIG.iterdir()])


def lists_channels(program: ModuleType) -> None:
    """Wants a directory for each channel that inputdataconfig.json names."""

    def look() -> None:
        if {path.name for path in DATA.iterdir()} != set(program.read_config("inputdataconfig")):
            raise OSError("The data is odd.")

    before(program, "train", look)


def needs_identifiers(program: ModuleType) -> None:
    """Takes only names of channels that are identifiers."""

    def look() -> None:
        if not all(name.isidentifier() for name in program.read_config("inputdataconfig")):
            raise ValueError("That is no identifier.")

    before(program, "train", look)


def needs_a_channel(program: ModuleType) -> None:
    """Takes the first channel, and does not ask whether there is one."""
    before(program, "train", lambda: next(iter(program.read_config("inputdataconfig"))))


def needs_hyperparameters(program: ModuleType) -> None:
    """Indexes a hyperparameter that has a default."""
    before(program, "train", lambda: program.read_config("hyperparameters")["epochs"])


def passes_tuning_name(program: ModuleType) -> None:
    """Knows nothing of the name that a tuning job adds."""

    def look() -> None:
        if "_tuning_objective_metric" in program.read_config("hyperparameters"):
            raise program.UserError("Hyperparameter _tuning_objective_metric is unknown.")

    before(program, "train", look)


def locks_channels(program: ModuleType) -> None:
    """Writes a lock beside the data of a FastFile channel."""

    def lock() -> None:
        for name, channel in program.read_config("inputdataconfig").items():
            if channel.get("TrainingInputMode") == "FastFile":
                (DATA / name / ".lock").write_text("")

    before(program, "train", lock)


def seeks_in_pipes(program: ModuleType) -> None:
    """Goes back to the beginning of a pipe, which has none."""

    def seek() -> None:
        if (DATA / "train_0").exists():
            with (DATA / "train_0").open("rb") as pipe:
                pipe.readline()
                pipe.seek(0)

    before(program, "train", seek)


def finds_only_new_checkpoints(program: ModuleType) -> None:
    """Ends where it finds a checkpoint, its own of the last start included."""

    def begin() -> None:
        if CHECKPOINTS.is_dir():
            (CHECKPOINTS / "begun").open("x").close()

    before(program, "train", begin)


def metrics_without_form(program: ModuleType) -> None:
    """Prints no metric in the form that a tuning job looks for."""
    program.print = lambda *words, **options: print(*(str(word).replace(":", " is ") for word in words))


def needs_scratch_of_its_own(program: ModuleType) -> None:
    """Makes a directory of a fixed name in /tmp, which may be there."""
    before(program, "train", lambda: os.mkdir("/tmp/of-the-job"))  # noqa: PTH102


def failure_on_sigterm(program: ModuleType) -> None:
    """A stop is told as a failure."""
    usual = program.train

    def train() -> None:
        try:
            usual()
        except SystemExit:
            FAILURE.write_text("Stopped.")
            raise

    program.train = train


def train_ignores_sigterm(program: ModuleType) -> None:
    """Goes on after SIGTERM, as PID 1 does without a handler."""
    program.signal = type("Deaf", (), {"SIGTERM": signal.SIGTERM, "signal": lambda *_: None})
    before(program, "train", lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN))


def every_host_saves(program: ModuleType) -> None:
    """Each host leaves a model of the same name."""
    program.is_leader = lambda: True


def scratch_in_home(program: ModuleType) -> None:
    """Its scratch files are in /root."""
    before(program, "train", lambda: Path("/root/scratch").write_text(""))


def half_checkpoints(program: ModuleType) -> None:
    """A checkpoint grows under its name."""

    def say(*words: object, **options: object) -> None:
        if CHECKPOINTS.is_dir():
            with (CHECKPOINTS / "state").open("a") as state:
                state.write("one epoch\n")
        print(*words, **options)

    program.print = say


def owns_output(program: ModuleType) -> None:
    """Wants /opt/ml/output for itself."""

    def look() -> None:
        if others := {path.name for path in FAILURE.parent.iterdir()} - {"data", "failure", "metrics"}:
            raise OSError(f"What is {', '.join(others)}?")

    before(program, "train", look)


def needs_pythonpath(program: ModuleType) -> None:
    """Finds a module of its own by the image's PYTHONPATH."""
    before(program, "train", lambda: importlib.import_module("settings_of_mine"))
