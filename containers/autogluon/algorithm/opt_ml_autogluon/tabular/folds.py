"""The folds of bagging side by side, on one host or on all of a job, which need share no file system.

AutoGluon fits the folds of a bag as tasks of Ray, on this host's CPUs. Its own mode for clusters
(AG_DISTRIBUTED_MODE) ends in an AttributeError with 1.6.3, and wants the models of folds on a network file
system or in S3, neither of which a job need have. Here its strategy for one host is given the CPUs of all,
and the model of a fold that was fitted elsewhere comes back as the task's own result.
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from autogluon.core.models.ensemble import bagged_ensemble_model, fold_fitting_strategy
from opt_ml.training import stopping


class FoldsOnAllHosts(fold_fitting_strategy.ParallelFoldFittingStrategy):  # type: ignore[misc]
    """AutoGluon's strategy for parallel folds, with all hosts' resources and the files of models in results.

    Attributes:
        fitted: folds by the address of the host that fitted them, of all bags together.
    """

    fitted: ClassVar[Counter[str]] = Counter()

    def __init__(self, **arguments: Any) -> None:
        import ray

        everything = ray.cluster_resources()
        self._hosts = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        arguments["num_cpus"] = int(everything["CPU"])
        if arguments["num_gpus"]:
            arguments["num_gpus"] = int(everything.get("GPU", 0))
        super().__init__(**arguments)
        # One process a fold, which is how AutoGluon has GPUs released for certain.
        self._ray_fit = self.ray.remote(max_calls=1)(fit_fold)

    def folds_to_fit_in_parallel_with_mem(self, user_specified_num_folds_parallel: int) -> int:
        """AutoGluon's own, with the memory of all hosts, which are alike."""
        self.mem_available *= len(self._hosts)
        folds: int = super().folds_to_fit_in_parallel_with_mem(user_specified_num_folds_parallel)
        return folds

    def _get_resource_suggestions(self, **arguments: Any) -> tuple[Any, ...]:
        """No task may ask for more than the largest host has: AutoGluon divides what all have together."""
        resources, of_model, *others = super()._get_resource_suggestions(**arguments)
        for name, resource in (("num_cpus", "CPU"), ("num_gpus", "GPU")):
            most = max(host.get(resource, 0) for host in self._hosts)
            for found in (resources, of_model):
                if found[name] > most:
                    found[name] = int(most)
        return (resources, of_model, *others)

    def _process_fold_results(self, finished: Any, unfinished: Any, fold_ctx: Any) -> None:
        try:
            result, address, files = self.ray.get(finished)
        except Exception:  # it raises again where AutoGluon takes it
            super()._process_fold_results(finished, unfinished, fold_ctx)
            return
        for name, content in files.items():
            path = Path(self.bagged_ensemble_model.path) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        type(self).fitted[address] += 1
        super()._process_fold_results(self.ray.put(result), unfinished, fold_ctx)


class FoldsOnThisHost(fold_fitting_strategy.ParallelLocalFoldFittingStrategy):  # type: ignore[misc]
    """AutoGluon's strategy for one host, under which a stop still reaches the job (TRAIN-94)."""

    def after_all_folds_scheduled(self) -> None:
        """AutoGluon's own, after the start of Ray."""
        if not self.ray.is_initialized():
            self.ray.init(**self._get_ray_init_args())
            stopping.install()  # Ray takes SIGTERM for itself: take it back
        super().after_all_folds_scheduled()


def fit_fold(**arguments: Any) -> tuple[Any, str, dict[str, bytes]]:
    """Fit one fold; a task of Ray.

    Args:
        arguments: those of AutoGluon's own task.

    Returns:
        AutoGluon's result, the address of this host, and the files of the model by their names below the
        bag, where this host is not the one that the bag is on.
    """
    import ray

    # Ray has shown the task its GPUs; AutoGluon would count them as if all were on one host.
    result = fold_fitting_strategy._ray_fit(**{**arguments, "task_gpu_ids": []})
    address = ray.util.get_node_ip_address()
    is_here = ray.get_runtime_context().get_node_id() == arguments["head_node_id"]
    if is_here or isinstance(result, dict):  # a dictionary tells of an error
        return result, address, {}
    bag = Path(arguments["bagged_ensemble_model_path"])
    directory = bag / result[0]
    files = {str(path.relative_to(bag)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    shutil.rmtree(directory)
    return result, address, files


@contextmanager
def folds_on_all_hosts() -> Iterator[Counter[str]]:
    """In this block AutoGluon's bags are fitted on Ray's cluster; yields the folds by host, as they come."""
    import ray

    ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
    stopping.install()  # Ray takes SIGTERM for itself: take it back
    FoldsOnAllHosts.fitted.clear()
    with folds_by(FoldsOnAllHosts):
        yield FoldsOnAllHosts.fitted


@contextmanager
def folds_by(strategy: type[fold_fitting_strategy.ParallelFoldFittingStrategy]) -> Iterator[None]:
    """In this block AutoGluon's bags are fitted by a strategy; Ray ends with it."""
    import ray

    original = bagged_ensemble_model.ParallelLocalFoldFittingStrategy
    bagged_ensemble_model.ParallelLocalFoldFittingStrategy = strategy
    try:
        yield
    finally:
        bagged_ensemble_model.ParallelLocalFoldFittingStrategy = original
        ray.shutdown()
