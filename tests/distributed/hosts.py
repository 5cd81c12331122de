"""Several hosts of one job, as containers on a network where the job's host names resolve."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from toolkit.machine.containers import engine
from toolkit.machine.run_spec import Bind, RunSpec


@dataclass(frozen=True)
class HostResult:
    """How one host ended; `directory` is its /opt/ml."""

    exit_code: int
    log: str
    directory: Path

    @property
    def reason(self) -> str:
        """The first line of its failure file."""
        return (self.directory / "output" / "failure").read_text().partition("\n")[0]


def run_hosts(
    image: str, program: Path, hyperparameters: Mapping[str, str], hosts: Sequence[str], directory: Path
) -> dict[str, HostResult]:
    """Run `train` on every host at once, each on one CPU at most, until all have ended."""
    network = f"opt-ml-hosts-{secrets.token_hex(3)}"
    specs = {}
    for host in hosts:
        base = directory / host
        for part in ("input/config", "model", "output", "code"):
            (base / part).mkdir(parents=True)
        shutil.copy(program, base / "code")
        documents = {
            "hyperparameters": {"sagemaker_program": json.dumps(program.name), **hyperparameters},
            "resourceconfig": {
                "current_host": host,
                "hosts": sorted(hosts),
                "network_interface_name": "eth0",
                "current_group_name": "homogeneousCluster",
            },
            "inputdataconfig": {},
        }
        for name, content in documents.items():
            (base / "input" / "config" / f"{name}.json").write_text(json.dumps(content))
        specs[host] = RunSpec(
            image=image,
            command=("train",),
            purpose=network,
            binds=(Bind(base.absolute(), "/opt/ml"),),
            network=network,
            aliases=(host,),
        )
    results = {}
    with ExitStack() as stack:
        stack.enter_context(engine().private_network(next(iter(specs.values()))))
        running = {host: stack.enter_context(engine().run(spec)) for host, spec in specs.items()}
        for host, container in running.items():
            log = "\n".join(container.lines())
            results[host] = HostResult(container.wait(), log, directory / host)
    return results
