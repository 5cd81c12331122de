"""Whose turn it is: the models of one shared process that have waiting requests."""

from __future__ import annotations

from opt_ml.serving.multi_model.host_link import Group
from opt_ml.serving.multi_model.shared import SharedModel
from opt_ml.serving.workers.jobs import Job

_MOST_JOINED = 64  # requests given to a process at once
_JOINED_BYTES = 1 << 18  # of their bodies
_TOGETHER = 0.005  # seconds that predictions of several models may take at once: the first waits for the last


class Turns:
    """A queue of models, each of which has a queue of requests."""

    def __init__(self) -> None:
        self._models: dict[SharedModel, None] = {}

    def add(self, model: SharedModel) -> None:
        """The model has requests; it keeps its place if it has one."""
        self._models[model] = None

    def remove(self, model: SharedModel) -> None:
        """The model is not here any more."""
        self._models.pop(model, None)

    def next_groups(self) -> list[Group]:
        """The requests to work on next: of the first model, and of those after it while they are fast.

        With a thousand models there are hardly two requests to the same one; one message for many small
        predictions costs a fraction of one each. A model that nobody has measured is alone.
        """
        groups: list[Group] = []
        count, size, seconds = 0, 0, 0.0
        while self._models and count < _MOST_JOINED and size < _JOINED_BYTES:
            model = next(iter(self._models))
            if model.queue:
                if groups and (seconds + model.cost > _TOGETHER or model.queue[0].is_alone):
                    break
                jobs = _take(model)
                groups.append(Group(model, jobs))
                count, size = count + len(jobs), size + sum(len(job.body) for job in jobs)
                seconds += _TOGETHER if jobs[0].is_alone else model.cost
            del self._models[model]
            if model.queue:
                self._models[model] = None  # behind the others
        return groups


def _take(model: SharedModel) -> list[Job]:
    """One request, or for a model that joins all that have arrived meanwhile, up to a limit."""
    jobs = [model.queue.popleft()]
    size = len(jobs[0].body)
    while model.joins and model.queue and not jobs[0].is_alone and len(jobs) < _MOST_JOINED:
        size += len(model.queue[0].body)
        if size > _JOINED_BYTES or model.queue[0].is_alone:
            break
        jobs.append(model.queue.popleft())
    model.running += len(jobs)
    return jobs
