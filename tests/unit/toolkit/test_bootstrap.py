import subprocess
import sys

from toolkit.building.images import ROOT


def test_the_door_opens_with_any_python_and_no_dependency_of_its_own():
    forbidden = "{'pydantic', 'docker', 'toolkit.building.images'}"
    probe = f"import toolkit.bootstrap; assert not {forbidden} & set(sys.modules)"
    subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {probe}"], check=True
    )


def test_an_environment_behind_a_link_is_entered_once(tmp_path):
    copy = tmp_path / "checkout"
    (copy / "toolkit").mkdir(parents=True)
    for name in ("build.py", "toolkit/__init__.py", "toolkit/bootstrap.py"):
        (copy / name).write_text((ROOT / name).read_text())
    (copy / "toolkit" / "cli.py").write_text("def main():\n    print('entered')\n")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "elsewhere")], check=True)
    (copy / ".venv").symlink_to(tmp_path / "elsewhere")
    shown = subprocess.run([sys.executable, "build.py"], cwd=copy, capture_output=True, text=True, timeout=60)
    assert shown.stdout == "entered\n"


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
