import subprocess
import sys

from toolkit.images import ROOT


def test_the_door_opens_with_any_python_and_no_dependency_of_its_own():
    probe = "import toolkit.bootstrap; assert not {'pydantic', 'docker', 'toolkit.images'} & set(sys.modules)"
    subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {probe}"], check=True
    )


def test_a_python_without_the_dependencies_is_told_to_run_setup(tmp_path):
    copy = tmp_path / "checkout"
    (copy / "toolkit").mkdir(parents=True)
    for name in ("build.py", "toolkit/__init__.py", "toolkit/bootstrap.py"):
        (copy / name).write_text((ROOT / name).read_text())
    bare = subprocess.run(
        [sys.executable, "-E", "-S", str(copy / "build.py")], capture_output=True, text=True, check=False
    )
    assert bare.returncode == 1
    assert "make setup" in bare.stderr
    assert "Traceback" not in bare.stderr
