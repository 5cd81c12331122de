"""What a verification makes of the results of tests."""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
import yaml

from tests.conformance import selection
from tests.conformance.profile import read_profile
from toolkit.building.images import ROOT
from toolkit.commands import verify
from toolkit.errors import ToolkitError
from toolkit.verify import peers_page, rules_page
from toolkit.verify.contract import causes, chosen, rules, within
from toolkit.verify.documents import write_badge, write_junit
from toolkit.verify.findings import findings, left_open, verdict
from toolkit.verify.profiles import Given, choose, settled, write_profile
from toolkit.verify.report import write_report
from toolkit.verify.results import TestResult, Verification, by_rule

CLAIMS = {
    "train": (True, ""),
    "serve": (True, ""),
    "script_mode": (False, "nothing says it"),
    "handlers": (False, "nothing says it"),
    "pipeline": (False, "no label"),
}


def verification(*tests, level="may", only=()):
    asked = by_rule(tests, chosen(only), within(level))
    return Verification("mine:1", {}, CLAIMS, tests, asked, 1.0, "2026-11-21T20:00:00+00:00", tuple(only))


def failed(name, *ids, seen="", findings=None):
    return TestResult(f"test_serve::test_{name}", ids, "failed", seen, findings or {})


def passed(name, *ids):
    return TestResult(f"test_serve::test_{name}", ids, "passed")


def statuses(result):
    return {one.rule.id: one.status for one in result.rules}


def test_one_failing_test_breaks_a_rule_that_others_pass():
    result = verification(failed("one", "HOST-30"), passed("two", "HOST-30", "HOST-31"))
    assert statuses(result) == {"HOST-30": "failed", "HOST-31": "passed"}
    assert not result.honours


def test_where_the_cause_is_known_the_other_rules_of_the_test_are_left_open():
    result = verification(failed("one", "HOST-31", "HOST-40", findings={"HOST-30": "on 127.0.0.1:5000"}))
    assert statuses(result) == {"HOST-30": "failed", "HOST-31": "could not tell", "HOST-40": "could not tell"}
    (finding,) = findings(result)
    assert (finding.rule.id, list(finding.seen)) == ("HOST-30", ["on 127.0.0.1:5000"])
    assert {reason for _, reason in left_open(result)} == {"HOST-30 must be mended first"}


def test_an_image_that_breaks_no_must_honours_the_contract_and_its_verdict_says_what_else():
    result = verification(failed("one", "HOST-55"), passed("two", "HOST-31"))
    assert result.honours
    assert (
        verdict(result) == "mine:1 breaks no MUST rule of the SageMaker contract, and breaks 1 SHOULD rule."
    )


def test_the_verdict_on_a_broken_image_says_how_much_is_left_open(tmp_path):
    untold = TestResult(
        "test_serve::test_two", ("HOST-31",), "could not tell", "HOST-30 must be mended first"
    )
    result = verification(failed("one", "HOST-30"), untold)
    assert verdict(result) == (
        "mine:1 breaks one MUST rule of the SageMaker contract; of 1 MUST rule nothing could be told."
    )
    write_report(tmp_path / "report.html", result)
    assert "MUST rules left open" in (tmp_path / "report.html").read_text()


def test_of_an_image_without_train_and_serve_the_verdict_is_that_it_is_no_image_for_sagemaker():
    result = replace(verification(failed("one", "TRAIN-02")), claims=dict.fromkeys(CLAIMS, (False, "")))
    assert verdict(result) == ("mine:1 is no SageMaker image: it has neither train nor serve.")
    assert not result.honours


def test_a_test_of_several_rules_is_told_once_under_the_gravest():
    result = verification(failed("one", "HOST-80", "HOST-81", seen="500"), failed("two", "HOST-81", seen="x"))
    (finding,) = findings(result)
    assert (finding.rule.id, finding.others) == ("HOST-81", ("HOST-80",))
    assert finding.seen == {"500": ["one"], "x": ["two"]}


def test_the_level_and_the_choice_leave_rules_out():
    tests = (passed("one", "HOST-30", "HOST-32", "TRAIN-02"),)
    assert set(statuses(verification(*tests, level="must", only=("HOST",)))) == {"HOST-30"}
    assert set(statuses(verification(*tests, only=("TRAIN-02",)))) == {"TRAIN-02"}


def test_of_a_part_of_the_contract_each_report_says_that_it_is_one(tmp_path):
    result = verification(passed("one", "HOST-30", "IMG-19"), only=("HOST-30", "IMG"))
    assert (result.honours, result.as_document()["only"]) == (None, ["HOST-30", "IMG"])
    assert verdict(result) == (
        "mine:1 breaks no MUST rule of HOST-30 and IMG. The rest of the SageMaker contract was not tried."
    )
    for name, write in (("a.html", write_report), ("b.svg", write_badge), ("c.xml", write_junit)):
        write(tmp_path / name, result)
        assert "only" in (text := (tmp_path / name).read_text()) and "HOST-30 and IMG" in text
    assert 'class="verdict honours"' not in (tmp_path / "a.html").read_text()
    assert verification(failed("one", "HOST-30"), only=("HOST",)).honours is False


def test_what_a_test_has_seen_to_break_a_rule_has_a_cure_of_its_own_in_each_report(tmp_path):
    crowded = replace(failed("one", "HOST-30", seen="full"), cause="queue-full")
    for tests in ((crowded,), (crowded, failed("two", "HOST-30", seen="127.0.0.1"))):
        result = verification(*tests)
        cures = [rules()["HOST-30"].advice(test.cause).cure for test in tests]
        (finding,) = findings(result)
        assert [advice.cure for advice in finding.advice] == cures
        assert result.as_document()["rules"][0]["cure"] == "\n".join(cures)
        write_junit(tmp_path / "junit.xml", result)
        found = ElementTree.parse(tmp_path / "junit.xml").iter("failure")
        assert all(cure in failure.text for cure, failure in zip(cures, found, strict=True))


def test_every_cause_that_a_test_names_has_its_words():
    suite = (ROOT / "tests" / "conformance").glob("*.py")
    named = {cause for path in suite for cause in re.findall(r'CauseError\("([^"]+)"', path.read_text())}
    assert named == set(causes())


def test_a_pipe_for_what_is_read_often_is_refused_before_anything_is_looked_at(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    parser = argparse.ArgumentParser()
    verify.add_arguments(parser)
    for option in (["--model", str(pipe)], ["--channel", f"train={pipe}"]):
        with pytest.raises(ToolkitError, match="is no file and no directory, and many tests read it"):
            verify.run(parser.parse_args(["mine:1", *option]))


def test_a_word_that_is_no_rule_is_named():
    with pytest.raises(ToolkitError, match="--only HOTS is no rule and no section"):
        chosen(("HOTS",))


def test_every_rule_that_an_image_must_keep_says_what_is_seen_and_what_mends_it():
    assert [
        rule.id for rule in rules().values() if rule.section != "CB" and not (rule.shows and rule.cure)
    ] == []


def test_the_sentence_of_a_test_is_its_name():
    assert TestResult("test_http::test_a_fact_holds[two]", (), "passed").sentence == "a fact holds (two)"


def test_a_profile_is_chosen_by_name_then_by_what_the_image_is_made_of(tmp_path):
    scripts = {**CLAIMS, "script_mode": (True, ""), "handlers": (True, "")}
    assert choose("registry.example/ensemble-cpu:3", CLAIMS, Given()) == "ensemble-cpu"
    assert choose("mine:1", scripts, Given()) == "script-mode"
    assert choose("mine:1", CLAIMS, Given()) == ""
    with pytest.raises(ToolkitError, match="There is no profile mien"):
        choose("mine:1", CLAIMS, Given(profile="mien"))


def test_what_the_caller_says_of_an_image_is_in_its_profile(tmp_path):
    path = tmp_path / "profile.json"
    given = Given(
        payload=b"[[1, 2]]", content_type="application/json", channels={"data": tmp_path}, only="serve"
    )
    write_profile(path, "", settled(CLAIMS, "", given), given)
    profile = read_profile(str(path))
    assert (profile.train, profile.serve, profile.pipeline, profile.records) == (False, True, False, False)
    assert profile.payload(7) == profile.large_payload(10).rstrip() == b"[[1, 2]]"
    assert len(profile.large_payload(10)) == 10
    assert profile.growable
    assert profile.channel == "data"
    assert profile.lacks["train"] == "only `serve` is asked for"


def test_lines_of_a_payload_are_repeated_as_often_as_they_are_asked_for(tmp_path):
    path = tmp_path / "profile.json"
    given = Given(payload=b"1,2\n3,4")
    write_profile(path, "", CLAIMS, given)
    assert read_profile(str(path)).payload(3) == b"1,2\n3,4\n1,2\n"


def test_an_image_without_python_is_not_asked_where_only_python_could(tmp_path):
    path = tmp_path / "profile.json"
    write_profile(path, "tiny", CLAIMS, Given(), has_python=False)
    profile = read_profile(str(path))
    assert not selection.has(profile, "python")
    assert selection.why_not(profile, "python").startswith("could not tell: there is no python3")
    assert selection.why_not(profile, "handlers") == "not claimed: nothing says it"


def test_a_profile_that_is_like_another_changes_what_it_names(tmp_path):
    path = tmp_path / "profile.json"
    write_profile(path, "tiny", {**CLAIMS, "script_mode": (True, "")}, Given(hyperparameters={"epochs": "9"}))
    profile, tiny = read_profile(str(path)), read_profile("tiny")
    assert profile.hyperparameters == {"epochs": "9"}
    assert profile.script_mode
    assert (profile.faults, profile.wrong_requests) == (tiny.faults, tiny.wrong_requests)


@pytest.mark.parametrize("made", [rules_page, peers_page])
def test_the_pages_of_contract_and_peers_are_up_to_date(made):
    for path, text in made.generate().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is out of date: ./build.py generate"


def test_of_a_verification_is_kept_what_the_page_of_peers_says():
    seen = ("status 500\ninstead of 200", "It hangs.", "It hangs.", "Short.", "x" * 200, "y" * 200)
    tests = passed("one", "HOST-30", "HOST-31"), *(failed("two", "HOST-31", seen=one) for one in seen)
    kept = peers_page.shortened(verification(*tests).as_document())
    assert kept["sections"] == {"HOST": {"must": {"passed": 1, "failed": 1}}}
    reasons = ["status 500 instead of 200", "It hangs.", "Short.", "x" * 200, "y" * 200]
    assert kept["broken"] == {"HOST-31": reasons}
    assert peers_page.in_short(reasons) == "status 500 instead of 200; It hangs. Short. (and 2 more)"
    assert (kept["date"], kept["tests"]) == ("2026-11-21", 7)


def test_the_page_has_every_rule():
    text = rules_page.page_text()
    assert [rule for rule in rules() if f"| {rule} |" not in text] == []


def test_every_input_of_the_action_is_an_option_of_the_command():
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    step = action["runs"]["steps"][-1]
    assert sorted(f"${{{{ inputs.{name} }}}}" for name in action["inputs"]) == sorted(step["env"].values())
    assert [
        name for name in step["env"] if f'"${name}' not in step["run"] and f"${name};" not in step["run"]
    ] == []
    parser = argparse.ArgumentParser()
    verify.add_arguments(parser)
    known = {option for one in parser._actions for option in one.option_strings}
    assert set(re.findall(r"--[a-z-]+", step["run"])) <= known


def test_junit_names_each_failure_with_its_cure_and_holds_any_text(tmp_path):
    result = verification(failed("one", "HOST-30", seen="\x00\x1b[31m <&>"), passed("two", "HOST-31"))
    write_junit(tmp_path / "junit.xml", result)
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "0")
    failure = suite.find("testcase/failure")
    assert failure.get("message") == "HOST-30: [31m <&>"
    assert rules()["HOST-30"].cure in failure.text


def test_the_page_shows_what_was_seen_as_text_and_not_as_html(tmp_path):
    write_report(
        tmp_path / "report.html", verification(failed("one", "HOST-30", seen="<script>alert()</script>"))
    )
    text = (tmp_path / "report.html").read_text()
    assert "&lt;script&gt;alert()" in text
    assert "<script" not in text
    assert "http-equiv" not in text and "src=" not in text


def test_the_badge_counts_the_must_rules(tmp_path):
    write_badge(tmp_path / "badge.svg", verification(failed("one", "HOST-30"), passed("two", "HOST-31")))
    svg = ElementTree.parse(tmp_path / "badge.svg").getroot()
    assert "1 of 2 MUST" in [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
