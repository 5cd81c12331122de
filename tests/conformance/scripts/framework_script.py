"""SDK 3's files of a FrameworkProcessor; run by its Python: `framework_script.py REQUEST.json RESULT.json`.

The request's keys: `script`, what shall be run, and `code`, the directory that stands for
/opt/ml/processing/input/code and gets `runproc.sh` and `install_requirements.py`.
"""

import json
import shutil
import sys
from pathlib import Path

from sagemaker.core.processing import FrameworkProcessor
from sagemaker.core.utils import install_requirements


def main(request, result):
    code = Path(request["code"])
    # Without its constructor, which looks for an account: the text depends on nothing but the command.
    processor = FrameworkProcessor.__new__(FrameworkProcessor)
    processor.command = ["python3"]
    (code / "runproc.sh").write_text(processor._generate_framework_script(request["script"]))
    shutil.copy(install_requirements.__file__, code / "install_requirements.py")
    result.write_text("{}")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
