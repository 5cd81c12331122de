import pytest

from toolkit.errors import ToolkitError
from toolkit.machine import network


def test_no_variable_means_no_ca_bundle():
    assert network.find_ca_bundle({}) is None


def test_pips_own_variable_wins(tmp_path):
    for name in ("company.pem", "other.pem"):
        (tmp_path / name).touch()
    environment = {"SSL_CERT_FILE": str(tmp_path / "other.pem"), "PIP_CERT": str(tmp_path / "company.pem")}
    found = network.find_ca_bundle(environment)
    assert found.path == tmp_path / "company.pem"
    assert found.variable == "PIP_CERT"


def test_a_ca_bundle_that_is_not_there_is_told_with_its_variable(tmp_path):
    with pytest.raises(ToolkitError, match="REQUESTS_CA_BUNDLE names"):
        network.find_ca_bundle({"REQUESTS_CA_BUNDLE": str(tmp_path / "missing.pem")})


def test_the_wheelhouse_must_be_a_folder(tmp_path):
    assert network.find_wheelhouse({"WHEELHOUSE": str(tmp_path)}) == tmp_path
    with pytest.raises(ToolkitError, match="WHEELHOUSE names"):
        network.find_wheelhouse({"WHEELHOUSE": str(tmp_path / "missing")})


def test_weights_to_bake_in_must_be_a_folder(tmp_path):
    assert network.find_weights({}) is None
    assert network.find_weights({"PRETRAINED": str(tmp_path)}) == tmp_path
    with pytest.raises(ToolkitError, match="PRETRAINED names"):
        network.find_weights({"PRETRAINED": str(tmp_path / "missing")})


def test_pips_find_links_is_the_wheelhouse_when_it_is_one_folder(tmp_path):
    assert network.find_wheelhouse({"PIP_FIND_LINKS": str(tmp_path)}) == tmp_path
    assert network.find_wheelhouse({"PIP_FIND_LINKS": "https://wheels.example/simple"}) is None


def test_proxies_are_found_in_either_case():
    environment = {"https_proxy": "http://proxy:3128", "NO_PROXY": "localhost", "HTTP_PROXY": ""}
    assert network.find_proxies(environment) == {"https_proxy": "http://proxy:3128", "NO_PROXY": "localhost"}
