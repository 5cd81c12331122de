"""Jobs on several hosts: containers of the tiny image on a real network."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.test_jobs import leftovers
from toolkit.jobs.job import Channel, InstanceGroup, JobResult
from toolkit.machine.containers import Container

RunScript = Callable[..., JobResult]
Said = Callable[[JobResult], dict[str, list[str]]]


@pytest.mark.contract("TRAIN-38", "TRAIN-41", "TRAIN-42", "TRAIN-117")
def test_hosts_find_each_other_by_name_and_talk_on_any_port(run_script: RunScript, said: Said) -> None:
    result = run_script(
        """
        if host == hosts[0]:
            server = socket.create_server(("", 23456))
            for _ in hosts[1:]:
                with server.accept()[0] as peer:
                    print("heard", peer.recv(100).decode())
        else:
            deadline = time.monotonic() + 60
            while True:
                try:
                    with socket.create_connection((hosts[0], 23456)) as leader:
                        leader.sendall(host.encode())
                    break
                except OSError:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
        print(socket.gethostname() in hosts)
        """,
        hosts=2,
    )
    assert result.status == "Completed", result.summary()
    assert said(result) == {"algo-1": ["heard algo-2", "False"], "algo-2": ["False"]}
    assert leftovers("container", "a-job") == leftovers("network", "a-job") == ""


@pytest.mark.contract("TRAIN-44")
def test_eleven_hosts_see_one_list_that_is_sorted_as_text(run_script: RunScript, said: Said) -> None:
    result = run_script("print(json.dumps(hosts), hosts.index(host))", hosts=11)
    assert result.status == "Completed", result.summary()
    wanted = ["algo-1", "algo-10", "algo-11", *(f"algo-{number}" for number in range(2, 10))]
    assert list(result.host_dirs) == wanted
    assert said(result) == {host: [f"{json.dumps(wanted)} {rank}"] for rank, host in enumerate(wanted)}


@pytest.mark.contract("TRAIN-42")
def test_names_that_come_late_do_not_resolve_before(run_script: RunScript, said: Said) -> None:
    result = run_script(
        """
        def resolves(name):
            try:
                return bool(socket.gethostbyname(name))
            except OSError:
                return False
        print([resolves(name) for name in hosts])
        deadline = time.monotonic() + 60
        while not all(map(resolves, hosts)) and time.monotonic() < deadline:
            time.sleep(0.1)
        print([resolves(name) for name in hosts], os.listdir("/sys/class/net").count("eth0"))
        time.sleep(2)
        """,
        hosts=2,
        late_names=3.0,
    )
    assert set(map(tuple, said(result).values())) == {("[False, False]", "[True, True] 1")}


@pytest.mark.contract("TRAIN-24")
def test_isolated_hosts_reach_each_other_and_nothing_else(run_script: RunScript, said: Said) -> None:
    result = run_script(
        """
        routes = Path("/proc/net/route").read_text().splitlines()[1:]
        print("default route:", any(line.split()[1] == "00000000" for line in routes))
        time.sleep(1)
        print("peers:", len({socket.gethostbyname(name) for name in hosts}))
        time.sleep(1)
        """,
        hosts=2,
        isolated=True,
    )
    assert said(result)["algo-2"] == ["default route: False", "peers: 2"]


@pytest.mark.contract("TRAIN-75", "TRAIN-76")
def test_a_failed_host_fails_the_job_and_the_others_are_stopped(run_script: RunScript) -> None:
    seen: list[str] = []
    result = run_script(
        """
        if host == "algo-2":
            with socket.create_server(("", 23456)) as server:
                for _ in hosts[1:]:
                    server.accept()
            (base / "output/failure").write_text("No rows on algo-2.")
            sys.exit(7)
        def stop(*_):
            (base / "output/failure").write_text("Stopped.")
            sys.exit(3)
        signal.signal(signal.SIGTERM, stop)
        while True:
            try:
                connection = socket.create_connection(("algo-2", 23456))
                break
            except OSError:
                time.sleep(0.05)
        while True:
            time.sleep(0.05)
        """,
        hosts=3,
        on_line=seen.append,
    )
    assert (result.status, result.failure_reason, result.failed_host) == (
        "Failed",
        "No rows on algo-2.",
        "algo-2",
    )
    assert result.exit_code == 7
    assert result.exit_codes == {"algo-1": 3, "algo-2": 7, "algo-3": 3}
    assert any("algo-2 ended with exit code 7" in line for line in seen)
    assert "exit code 7 of algo-2" in result.summary()
    assert leftovers("container", "a-job") == ""


@pytest.mark.contract("TRAIN-94")
def test_a_host_that_does_not_listen_to_sigterm_is_killed_after_the_grace(run_script: RunScript) -> None:
    result = run_script(
        """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if host == "algo-1":
            time.sleep(1)
            sys.exit(1)
        time.sleep(600)
        """,
        hosts=2,
        stop_grace=1,
    )
    assert result.status == "Failed"
    assert result.exit_codes == {"algo-1": 1, "algo-2": 137}


@pytest.mark.contract("TRAIN-74")
def test_files_of_all_hosts_become_one_archive_and_a_clash_is_told(run_script: RunScript) -> None:
    result = run_script(
        """
        (base / "model" / f"part-{host}").write_text(host)
        (base / "model" / "model.json").write_text(host)
        """,
        hosts=2,
    )
    assert result.model
    with tarfile.open(result.model) as tar:
        assert sorted(tar.getnames()) == ["model.json", "part-algo-1", "part-algo-2"]
        member = tar.extractfile("model.json")
        assert member
        assert member.read() == b"algo-1"
    (warning,) = result.warnings
    assert "model.json of algo-2" in warning


@pytest.mark.contract("TRAIN-50", "TRAIN-51")
def test_a_sharded_channel_is_dealt_out_to_the_hosts(
    run_script: RunScript, said: Said, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    for key in ("a.csv", "b/one.csv", "b/two.csv", "c.csv", "d.csv"):
        (data / key).parent.mkdir(parents=True, exist_ok=True)
        (data / key).write_text(key)
    result = run_script(
        """
        root = base / "input/data/train"
        print(sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()))
        try:
            next(path for path in root.rglob("*") if path.is_file()).write_text("changed")
        except OSError as error:
            print(error.strerror)
        """,
        hosts=2,
        channels=(Channel("train", data, distribution="ShardedByS3Key"),),
    )
    assert said(result) == {
        "algo-1": ["['a.csv', 'b/two.csv', 'd.csv']", "Read-only file system"],
        "algo-2": ["['b/one.csv', 'c.csv']", "Read-only file system"],
    }
    assert (data / "a.csv").read_text() == "a.csv"
    assert not (result.log.parent / ".input").exists()


@pytest.mark.contract("TRAIN-39", "TRAIN-45", "TRAIN-46")
def test_a_channel_of_one_group_has_no_directory_on_the_others(
    run_script: RunScript, said: Said, data: Path
) -> None:
    result = run_script(
        """
        resources = config("resourceconfig")
        print(resources["current_group_name"], resources["current_instance_type"])
        print(sorted(config("inputdataconfig")), sorted(os.listdir(base / "input/data")))
        """,
        instance_groups=(InstanceGroup("gpu", "ml.g5.xlarge", 1), InstanceGroup("cpu", "ml.m5.large", 1)),
        channels=(Channel("all", data), Channel("rows", data, instance_groups=("cpu",))),
    )
    assert said(result) == {
        "algo-1": ["gpu ml.g5.xlarge", "['all', 'rows'] ['all']"],
        "algo-2": ["cpu ml.m5.large", "['all', 'rows'] ['all', 'rows']"],
    }


@pytest.mark.contract("TRAIN-78")
def test_the_log_names_the_host_and_each_host_has_its_stream(run_script: RunScript, said: Said) -> None:
    result = run_script("print('from', host); print('to stderr', file=sys.stderr)", hosts=2)
    lines = [line.split(maxsplit=1)[1] for line in result.log.read_text().splitlines()]
    assert sorted(lines) == sorted(
        f"{host}  {text}" for host in result.host_dirs for text in (f"from {host}", "to stderr")
    )
    streams = sorted(path.name for path in (result.log.parent / "logs").iterdir())
    assert [name.rpartition("-")[0] for name in streams] == ["algo-1", "algo-2"]
    assert all(name.rpartition("-")[2].isdigit() for name in streams)


def test_every_container_is_watched_from_its_start_to_its_end(run_script: RunScript) -> None:
    seen: list[str] = []

    @contextmanager
    def watch(host: str, container: Container) -> Iterator[None]:
        seen.append(f"{host} {'runs' if container.is_running() else 'does not run'}")
        yield
        seen.append(f"{host} ended")
        assert not container.is_running()

    run_script("time.sleep(1)", hosts=2, watch=watch)
    assert sorted(seen) == ["algo-1 ended", "algo-1 runs", "algo-2 ended", "algo-2 runs"]
    assert [line.endswith("runs") for line in seen] == [True, True, False, False]
