import pytest

from toolkit.machine import docker, doctor, engine
from toolkit.machine.doctor import Check, Finding


@pytest.fixture
def no_docker(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


def test_a_machine_without_docker_is_told_so_with_a_cure(no_docker):
    findings = {finding.name: finding for finding in doctor.examine()}
    for name in ("docker client", "docker engine", "buildx"):
        assert findings[name].severity == "error"
        assert findings[name].cure
    assert docker.find_engine() is None


def test_where_nothing_can_be_installed_the_cure_names_what_to_install(no_docker):
    findings = {finding.name: finding for finding in doctor.examine()}
    assert findings["docker engine"].cure == doctor.ENGINE_ADVICE


def test_an_engine_that_does_not_answer_is_not_an_engine(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    assert docker.find_engine() is None


def test_a_ca_bundle_that_is_missing_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "gone.pem"))
    finding = next(finding for finding in doctor.examine() if finding.name == "CA bundle")
    assert finding.severity == "error"
    assert "gone.pem" in finding.message


def test_repair_mends_what_is_wrong_and_looks_again(monkeypatch):
    mended = []
    broken = Check(
        "thing", lambda: Finding("thing", "ok" if mended else "error", "", ""), lambda: mended.append(1)
    )
    sound = Check("other", lambda: Finding("other", "ok", ""), lambda: mended.append("never"))
    monkeypatch.setattr(doctor, "CHECKS", (broken, sound))
    monkeypatch.setattr(engine, "can_install", lambda: True)
    assert [finding.severity for finding in doctor.repair()] == ["ok", "ok"]
    assert mended == [1]


def test_nothing_is_mended_where_we_may_not_install(monkeypatch):
    broken = Check("thing", lambda: Finding("thing", "error", "", "cure"), lambda: pytest.fail("mended"))
    monkeypatch.setattr(doctor, "CHECKS", (broken,))
    monkeypatch.setattr(engine, "can_install", lambda: False)
    assert doctor.repair()[0].severity == "error"


@pytest.mark.parametrize(("status", "installed"), [("install ok installed", ["buildx"]), ("", [])])
def test_a_plugin_is_only_added_to_the_distributions_own_engine(monkeypatch, tmp_path, status, installed):
    # docker-ce conflicts with docker.io: apt would remove the engine that is in use.
    query = tmp_path / "dpkg-query"
    query.write_text(f"#!/bin/sh\nprintf '%s' '{status}'\n")
    query.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(engine, "can_install", lambda: True)
    added = []
    monkeypatch.setattr(engine, "add_plugin", added.append)
    next(check for check in doctor.CHECKS if check.name == "buildx").fix()
    assert added == installed


def test_sources_for_a_base_carry_updates_and_security_fixes():
    sources = engine.DebianSources("http://mirror.example/debian", "http://mirror.example/security")
    assert sources.as_list("bookworm").splitlines() == [
        "deb http://mirror.example/debian bookworm main",
        "deb http://mirror.example/debian bookworm-updates main",
        "deb http://mirror.example/security bookworm-security main",
    ]


def test_a_user_outside_the_docker_group_is_told_how_to_enter_it(monkeypatch, tmp_path):
    client = tmp_path / "docker"
    client.write_text(
        "#!/bin/sh\necho 'permission denied while trying to connect to the Docker daemon' >&2\nexit 1\n"
    )
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    finding = next(finding for finding in doctor.examine() if finding.name == "docker engine")
    assert "usermod -aG docker" in finding.cure


def test_an_engine_elsewhere_is_never_replaced_by_one_here(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    assert not engine.can_install()
    finding = next(finding for finding in doctor.examine() if finding.name == "docker engine")
    assert "tcp://127.0.0.1:9" in finding.cure
