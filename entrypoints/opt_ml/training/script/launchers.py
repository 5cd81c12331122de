"""How a program of several processes or hosts is started, as the SDK's `distribution` asks (TT-70, TT-78).

The AWS toolkit's own `train` knows MPI only, and runs one plain process where anything else is asked for.
Here torchrun is known, MPI is handed to that toolkit, and everything else is refused.
"""

from __future__ import annotations

import os
import sys

from opt_ml.environment import Environment
from opt_ml.errors import UserError
from opt_ml.training.script.hardware import count_gpus, count_neurons, find_program, processes_per_host
from opt_ml.training.script.program import SCRIPT
from opt_ml.training.script.variables import (
    DISTRIBUTIONS,
    distribution_groups,
    distribution_hosts,
    framework_parameters,
)

MASTER_PORT = 7777
TORCH, MPI = "sagemaker_torch_distributed_enabled", "sagemaker_mpi_enabled"

_MISSING = {
    "sagemaker_parameter_server_enabled": "a parameter server, which needs the TensorFlow training container",
    "sagemaker_distributed_dataparallel_enabled": "smddp (SageMaker's data parallel library)",
    "sagemaker_pytorch_ddp_enabled": "DDP by mpirun, which needs the PyTorch training container",
    "sagemaker_pytorch_xla_multi_worker_enabled": "PyTorch/XLA, which needs a Neuron or XLA container",
    "sagemaker_multi_worker_mirrored_strategy_enabled": "MultiWorkerMirroredStrategy, which needs the "
    "TensorFlow training container",
}
# Instances with EFA, and those whose EFA can write to the memory of another host (TT-24).
_EFA = {"g4dn.8xlarge", "g4dn.12xlarge", "g5.48xlarge", "p3dn.24xlarge"}
_EFA_RDMA = {
    "p4d.24xlarge",
    "p4de.24xlarge",
    "p5.48xlarge",
    "p5e.48xlarge",
    "trn1.32xlarge",
    "p6e-gb200.36xlarge",
}


def chosen_distribution(environment: Environment) -> str | None:
    """TORCH, MPI, or None for one plain process on this host.

    Raises:
        UserError: a way that this image cannot go, instead of one process that trains alone on each host.
    """
    parameters = framework_parameters(environment)
    asked = [flag for flag in DISTRIBUTIONS if parameters.get(flag)]
    if environment.current_instance_group not in distribution_groups(environment):
        return None  # this host's group does not take part
    for flag in asked:
        if flag in _MISSING:
            raise UserError(
                f"The job asks for {_MISSING[flag]} ({flag}), and this image does not have it. "
                "Use torchrun (distribution={'torch_distributed': {'enabled': True}}) or an image with it."
            )
    return asked[0] if asked else None


def has_package(name: str) -> bool:
    """Whether the image has a Python package; the package itself is not imported."""
    from importlib.util import find_spec  # takes as long as all else here

    return find_spec(name) is not None


def check_mpi() -> None:
    """MPI is left to the AWS toolkit, where it can go (TT-71).

    Raises:
        UserError: the toolkit or mpirun is not in this image.
    """
    missing = [] if has_package("sagemaker_training") else ["the Python package sagemaker-training"]
    missing += [name for name in ("mpirun", "sshd") if not find_program(name) and not _in_sbin(name)]
    if missing:
        raise UserError(
            f"The job asks for MPI ({MPI}), and this image lacks {' and '.join(missing)}. "
            "Install it, or use torchrun (distribution={'torch_distributed': {'enabled': True}})."
        )


def torchrun(environment: Environment, program: str, kind: str) -> list[str]:
    """The torchrun command of this host, to which the program's arguments are added (TT-73).

    The rank is the host's place in the sorted list, not the number in its name (TRAIN-44).

    Raises:
        UserError: the program is no Python script, or torch is missing.
    """
    if kind != SCRIPT:
        raise UserError(f"torchrun starts a Python script, and {program} is none. Name a .py file ({TORCH}).")
    if not has_package("torch"):
        raise UserError(
            f"The job asks for torchrun ({TORCH}), and this image has no torch. Install torch in it."
        )
    instance_type = str(environment.resource_config.get("current_instance_type", "local"))
    processes = environment.reserved.get("sagemaker_mpi_num_of_processes_per_host") or processes_per_host(
        count_gpus(), count_neurons(instance_type)
    )
    hosts = sorted(distribution_hosts(environment))
    words = (
        ["neuron_parallel_compile"] if os.environ.get("RUN_NEURON_PARALLEL_COMPILE") == "1" else []
    )  # TT-74
    words += [sys.executable, "-m", "torch.distributed.run"]
    words += ["--nnodes", str(len(hosts)), "--nproc_per_node", str(processes)]
    if len(hosts) > 1:
        rank = hosts.index(environment.current_host)
        words += ["--master_addr", hosts[0], "--master_port", str(MASTER_PORT), "--node_rank", str(rank)]
    return [*words, program]


def torch_variables(environment: Environment) -> dict[str, str]:
    """What NCCL and Gloo need to find each other: the job's interface, and EFA where the instance has it."""
    instance_type = str(environment.resource_config.get("current_instance_type", "")).removeprefix("ml.")
    interface = environment.network_interface
    variables = {"NCCL_SOCKET_IFNAME": interface, "GLOO_SOCKET_IFNAME": interface, "NCCL_PROTO": "simple"}
    if instance_type in _EFA | _EFA_RDMA:
        variables["FI_PROVIDER"] = "efa"
    if instance_type in _EFA_RDMA:
        variables |= {"FI_EFA_USE_DEVICE_RDMA": "1", "RDMAV_FORK_SAFE": "1"}
    return variables


def _in_sbin(name: str) -> bool:
    return os.path.exists(f"/usr/sbin/{name}")  # noqa: PTH110 - the toolkit looks for sshd there
