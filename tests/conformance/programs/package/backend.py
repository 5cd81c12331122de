"""A build backend of its own: the package can be built without a package index."""

import zipfile

NAME = "conformance_package-1.0"


def build_wheel(directory, settings=None, metadata=None):
    with zipfile.ZipFile(f"{directory}/{NAME}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("conformance_package.py", "INSTALLED = True\n")
        for name, text in {
            "METADATA": "Metadata-Version: 2.1\nName: conformance-package\nVersion: 1.0\n",
            "WHEEL": "Wheel-Version: 1.0\nGenerator: own\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            "RECORD": "",
        }.items():
            wheel.writestr(f"{NAME}.dist-info/{name}", text)
    return f"{NAME}-py3-none-any.whl"
