"""The packages in an image, as its own package managers name them: Debian's or RPM's, and Python's."""

from __future__ import annotations

import json

from toolkit.building.ledger import entries
from toolkit.building.ledger.entries import Entry, Package
from toolkit.errors import WorkError
from toolkit.machine.containers import engine
from toolkit.machine.run_spec import RunSpec

# Run by the image's own Python; it needs nothing beside the standard library, and works from Python 3.8 on.
_PROGRAM = r"""
import importlib.metadata, json, pathlib, re, shutil, subprocess
found = []
for distribution in importlib.metadata.distributions():
    facts = distribution.metadata
    licence = facts["License-Expression"] or facts["License"] or ""
    found.append(("python", facts["Name"], distribution.version, licence.strip().partition("\n")[0]))
status = pathlib.Path("/var/lib/dpkg/status")
for block in status.read_text(errors="replace").split("\n\n") if status.exists() else ():
    fields = dict(re.findall(r"^(\S+): (.*)$", block, re.MULTILINE))
    if fields.get("Status", "").endswith(" installed"):
        found.append(("debian", fields["Package"], fields["Version"], ""))
if shutil.which("rpm"):
    form = "rpm\t%{NAME}\t%{VERSION}-%{RELEASE}\t%{LICENSE}\n"
    listed = subprocess.run(["rpm", "-qa", "--qf", form], stdout=subprocess.PIPE, text=True).stdout
    found += [line.split("\t") for line in listed.splitlines()]
print(json.dumps(found))
"""


def packages_of(entry: Entry) -> list[Package]:
    """The packages of a built image, sorted; asked of the image itself once, and then kept in its entry.

    Raises:
        WorkError: the image is gone, or its Python cannot tell.
    """
    if entry.packages is not None:
        return entry.packages
    spec = RunSpec(image=entry.digest, command=("python", "-c", _PROGRAM), purpose="packages", network="none")
    with engine().run(spec) as container:
        lines = list(container.lines())
        exit_code = container.wait()
    try:
        rows = json.loads(lines[-1])
    except (IndexError, ValueError):
        cause = lines[-1] if lines else f"exit code {exit_code}"
        raise WorkError(f"{entry.reference} does not tell its packages: {cause}") from None
    # A distribution may be found twice where two folders of packages hold it: the first one is imported.
    found = {
        (manager, name): Package(manager=manager, name=name, version=version, licence=licence)
        for manager, name, version, licence in reversed(rows)
    }
    packages = [found[key] for key in sorted(found)]
    entries.write(entry.model_copy(update={"packages": packages}))
    return packages
