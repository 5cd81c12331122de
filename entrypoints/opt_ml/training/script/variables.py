"""The SM_* variables that tell the user's program what the job is (TT-40 to TT-53).

The names, the values and their JSON are those of `sagemaker-training` 5.1.4; tests/differential compares them
with the real one, and lists each wanted difference with its reason.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from opt_ml.environment import Environment
from opt_ml.resources import usable_cpus
from opt_ml.training.script.arguments import to_arguments
from opt_ml.training.script.hardware import count_gpus, count_neurons, find_program
from opt_ml.training.script.program import MODULE_VARIABLE, chosen_program

# What has a place of its own in the contract; every other `sagemaker_*` is for a framework (TT-34, TT-35).
_OWN = {
    "sagemaker_program",
    "sagemaker_submit_directory",
    "sagemaker_enable_cloudwatch_metrics",
    "sagemaker_region",
    "sagemaker_container_log_level",
    "sagemaker_job_name",
    "default_user_module_name",
    "_tuning_objective_metric",
    "sagemaker_s3_output",
}
DISTRIBUTIONS = (
    "sagemaker_mpi_enabled",
    "sagemaker_parameter_server_enabled",
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled",
    "sagemaker_torch_distributed_enabled",
)
INFO = 20
_LEVELS = {"CRITICAL": 50, "ERROR": 40, "WARNING": 30, "WARN": 30, "INFO": INFO, "DEBUG": 10, "NOTSET": 0}


def framework_parameters(environment: Environment) -> dict[str, Any]:
    """What the SDK sets for a framework: every `sagemaker_*` without a place of its own (TT-35)."""
    return {name: value for name, value in environment.reserved.items() if name not in _OWN}


def log_level(environment: Environment) -> Any:
    """`sagemaker_container_log_level`, a name as its number: INFO is 20 (TT-04, V3-29)."""
    level = environment.reserved.get("sagemaker_container_log_level", INFO)
    return _LEVELS.get(level.upper(), level) if isinstance(level, str) else level


def is_talkative(environment: Environment) -> bool:
    """Whether the job wants lines of the level INFO in its log."""
    level = log_level(environment)
    return not isinstance(level, int) or level <= INFO


def distribution_groups(environment: Environment) -> list[str]:
    """The instance groups that train together: named, or this host's where any distribution is asked for."""
    parameters = framework_parameters(environment)
    named = parameters.get("sagemaker_distribution_instance_groups")
    if named is not None:
        return list(named)
    asked = any(parameters.get(flag, False) for flag in DISTRIBUTIONS)
    return [environment.current_instance_group] if asked else []


def distribution_hosts(environment: Environment) -> list[str]:
    """The hosts of those groups; all hosts where the job has no groups, as in local mode (LOCAL-05)."""
    if not environment.instance_groups:
        return list(environment.hosts)
    groups = distribution_groups(environment)
    return [host for group in environment.instance_groups if group.name in groups for host in group.hosts]


def master_host(environment: Environment) -> str:
    """The first, by value, of the hosts that train together (TRAIN-43)."""
    return min(distribution_hosts(environment) or environment.hosts)


def program_variables(environment: Environment) -> dict[str, str]:
    """Name -> text of every variable, PYTHONPATH included (TT-52, TT-53)."""
    facts = _facts(environment)
    facts["training_env"] = _training_env(environment, facts)
    facts["user_args"] = to_arguments(environment.hyperparameters)
    if environment.resource_config.get("topology"):
        facts["topology"] = environment.resource_config["topology"]  # TT-51
    facts |= {f"channel_{name}": str(channel.directory) for name, channel in environment.channels.items()}
    facts |= {f"hp_{name}": value for name, value in environment.hyperparameters.items()}
    variables = {f"SM_{name.upper()}": _serialized(value) for name, value in facts.items()}  # TT-41
    reserved = environment.reserved
    region = os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION")
    return variables | {
        "CURRENT_HOST": environment.current_host,
        "SAGEMAKER_JOB_NAME": _serialized(reserved.get("sagemaker_job_name")),
        "SAGEMAKER_REGION": _serialized(reserved.get("sagemaker_region", region)),
        "PYTHONPATH": ":".join([str(environment.code_dir), *sys.path]),
        # A metric that waits in a buffer comes too late for a tuning job, and is lost by a kill (TRAIN-79).
        "PYTHONUNBUFFERED": os.environ.get("PYTHONUNBUFFERED") or "1",
    }


def _facts(environment: Environment) -> dict[str, Any]:
    """What both a variable of its own and SM_TRAINING_ENV tell."""
    base, resources = environment.base, environment.resource_config
    program = chosen_program(environment)
    instance_type = str(resources.get("current_instance_type", "local"))
    groups = resources.get("instance_groups") or []
    current_group = environment.current_instance_group
    return {
        "channels": sorted(environment.channels),
        "current_host": environment.current_host,
        "current_instance_group": current_group,
        "current_instance_group_hosts": next(
            (list(group.hosts) for group in environment.instance_groups if group.name == current_group), []
        ),
        "current_instance_type": instance_type,
        "distribution_instance_groups": distribution_groups(environment),
        "framework_module": os.environ.get(MODULE_VARIABLE),
        "framework_params": framework_parameters(environment),
        "hosts": list(environment.hosts),
        "hps": environment.hyperparameters,
        "input_config_dir": str(base / "input" / "config"),
        "input_data_config": environment.input_data_config,
        "input_dir": str(base / "input"),
        "instance_groups": [group.name for group in environment.instance_groups],
        "instance_groups_dict": {
            group["instance_group_name"]: group for group in groups if "instance_group_name" in group
        },
        "is_hetero": len(groups) > 1,
        "log_level": log_level(environment),
        "model_dir": str(environment.model_dir),
        "module_dir": str(environment.reserved.get("sagemaker_submit_directory", environment.code_dir)),
        "module_name": str(program).removesuffix(".py"),
        "network_interface_name": environment.network_interface,
        "num_cpus": usable_cpus(),
        "num_gpus": count_gpus(),
        "num_neurons": count_neurons(instance_type),
        "output_data_dir": str(environment.output_data_dir),
        "output_dir": str(base / "output"),
        "output_intermediate_dir": str(base / "output" / "intermediate"),
        "resource_config": resources,
        "user_entry_point": program,
    }


def _training_env(environment: Environment, facts: Mapping[str, Any]) -> dict[str, Any]:
    """All in one: what SM_TRAINING_ENV holds (TT-50)."""
    renamed = {"channels", "framework_params", "hps"}
    own_name = {name: value for name, value in facts.items() if name not in renamed}
    model_parallel = os.environ.get("SM_HP_MP_PARAMETERS")
    master = master_host(environment)
    return own_name | {
        "additional_framework_parameters": facts["framework_params"],
        "channel_input_dirs": {
            name: str(channel.directory) for name, channel in environment.channels.items()
        },
        "distribution_hosts": distribution_hosts(environment),
        "hyperparameters": facts["hps"],
        "is_master": environment.current_host == master,
        "is_modelparallel_enabled": model_parallel and model_parallel != "{}",
        "is_smddpmprun_installed": find_program("smddpmprun") is not None,
        "is_smddprun_installed": find_program("smddprun") is not None,
        "job_name": os.environ.get("TRAINING_JOB_NAME"),
        "master_hostname": master,
        "topology": environment.resource_config.get("topology", []),
    }


def _serialized(value: Any) -> str:
    """A text as it is, nothing for None, else compact JSON with sorted names (TT-40)."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))
