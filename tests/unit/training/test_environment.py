import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opt_ml.environment import decode_hyperparameter, read_environment
from opt_ml.errors import UserError


@pytest.fixture
def config(tmp_path):
    directory = tmp_path / "input" / "config"
    directory.mkdir(parents=True)
    return directory


def write(config, name, content):
    (config / f"{name}.json").write_text(json.dumps(content))


@pytest.mark.contract("TRAIN-31", "TRAIN-36", "TRAIN-40", "TRAIN-48")
def test_a_job_without_any_config_file_is_a_job(tmp_path):
    environment = read_environment(tmp_path)
    assert environment.hyperparameters == {}
    assert environment.channels == {}
    assert environment.current_host == "algo-1"
    assert environment.is_leader


@pytest.mark.contract("TRAIN-30", "TRAIN-32")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10),
        ("0.1", 0.1),
        ("1e5", 100000.0),
        ("true", True),
        ("True", "True"),
        ('"abc"', "abc"),
        ("abc", "abc"),
        ("007", "007"),
        ("[1, 2]", [1, 2]),
        ("", ""),
        ("reg:squarederror", "reg:squarederror"),
    ],
)
def test_a_hyperparameter_is_decoded_where_it_is_json_and_kept_where_it_is_not(text, value):
    assert decode_hyperparameter(text) == value


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_what_an_sdk_encodes_as_json_comes_back(value):
    assert decode_hyperparameter(json.dumps(value)) == value


@pytest.mark.contract("TRAIN-113", "TT-34")
def test_names_that_sagemaker_adds_are_not_hyperparameters_of_the_algorithm(config, tmp_path):
    write(
        config, "hyperparameters", {"eta": "0.1", "_tuning_objective_metric": "x", "sagemaker_program": '"a"'}
    )
    environment = read_environment(tmp_path)
    assert environment.hyperparameters == {"eta": 0.1}
    assert environment.raw_hyperparameters == {"eta": "0.1"}
    assert environment.reserved == {"_tuning_objective_metric": "x", "sagemaker_program": "a"}


@pytest.mark.contract("TRAIN-34", "TRAIN-35", "TRAIN-37")
def test_what_a_channel_leaves_out_has_a_default(config, tmp_path):
    write(config, "inputdataconfig", {"my.data-1": {"TrainingInputMode": "File"}, "odd": None})
    channel = read_environment(tmp_path).channels["my.data-1"]
    assert channel.content_type is None
    assert channel.distribution == "FullyReplicated"
    assert channel.directory == tmp_path / "input" / "data" / "my.data-1"
    assert channel.files() == []


@pytest.mark.contract("TRAIN-51")
def test_files_of_a_channel_come_sorted_from_all_its_folders_without_markers(config, tmp_path):
    write(config, "inputdataconfig", {"train": {}})
    data = tmp_path / "input" / "data" / "train"
    for name in ("b.csv", "a/z.csv", "_SUCCESS", ".hidden", "_temporary/x.csv"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).touch()
    files = read_environment(tmp_path).channels["train"].files()
    assert [str(path.relative_to(data)) for path in files] == ["a/z.csv", "b.csv"]


@pytest.mark.contract("TRAIN-43", "TRAIN-44")
def test_the_leader_is_the_first_of_the_sorted_hosts(config, tmp_path):
    write(config, "resourceconfig", {"current_host": "algo-10", "hosts": ["algo-2", "algo-10"]})
    assert read_environment(tmp_path).is_leader


@pytest.mark.contract("LOCAL-22")
def test_an_interface_that_does_not_exist_is_replaced_by_one_that_does(config, tmp_path):
    write(config, "resourceconfig", {"current_host": "algo-1", "network_interface_name": "ethwe"})
    assert read_environment(tmp_path).network_interface != "ethwe"


@pytest.mark.parametrize("content", [b"{not json", b"[1]", b'{"name": "caf\xe9"}'])
def test_a_broken_config_file_is_named(config, tmp_path, content):
    path = config / "hyperparameters.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"hyperparameters\.json") as caught:
        read_environment(tmp_path)
    assert "\n" not in str(caught.value)


def test_without_a_config_file_each_directory_is_a_channel(tmp_path):
    (tmp_path / "input" / "data" / "train").mkdir(parents=True)
    (tmp_path / "input" / "data" / "train-manifest").touch()
    assert list(read_environment(tmp_path).channels) == ["train"]


@pytest.mark.contract("TRAIN-53")
def test_with_a_config_file_only_what_it_names_is_a_channel(config, tmp_path):
    (tmp_path / "input" / "data" / "other").mkdir(parents=True)
    write(config, "inputdataconfig", {"train": {}})
    assert list(read_environment(tmp_path).channels) == ["train"]
