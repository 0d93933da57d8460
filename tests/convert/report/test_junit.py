"""The JUnit file is valid, counts right, and holds whatever a note says."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema

from gatelet.convert.parity import Check
from gatelet.convert.parity.files.verdict import Finding, not_run
from gatelet.convert.report import Story, junit_xml
from tests.convert.report.conftest import HOSTILE

SCHEMA = Path(__file__).with_name("junit.xsd")
TIME = "2026-01-31T12:00:00"


@pytest.fixture(scope="module")
def schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(SCHEMA)


def _with_verdicts(story: Story, *verdicts: str) -> Story:
    first, second = story.report.artifacts
    checks = tuple(Check(f"check{i}", 0.5, 0.1, v) for i, v in enumerate(verdicts))
    return replace(
        story, report=replace(story.report, artifacts=(replace(first, checks=checks), second))
    )


def test_a_suite_is_an_artifact_and_a_case_a_check(
    judged: Story, schema: xmlschema.XMLSchema
) -> None:
    written = junit_xml(judged.report, name="demo", timestamp=TIME)
    schema.validate(written.decode())
    *suites, files = ElementTree.fromstring(written)
    assert [suite.get("name") for suite in suites] == ["onnx float32", "onnx dynamic-int8"]
    assert files.get("name") == "files"
    for suite, one in zip(suites, judged.report.artifacts, strict=True):
        cases = suite.findall("testcase")
        assert [case.get("name") for case in cases] == [check.name for check in one.checks]
        assert suite.get("tests") == str(len(cases)) and suite.get("failures") == "0"
        assert all(len(case) == 0 for case in cases)
        assert float(suite.get("time", "0")) == pytest.approx(one.seconds, abs=1e-3)
        assert one.seconds > 0


def test_verdicts_are_failures_and_skips(judged: Story, schema: xmlschema.XMLSchema) -> None:
    story = _with_verdicts(judged, "pass", "fail", "undecided")
    written = junit_xml(story.report, name="demo", timestamp=TIME)
    schema.validate(written.decode())
    suite = ElementTree.fromstring(written)[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    failure = suite.find("testcase/failure")
    assert failure is not None and "check1 is 0.5, the limit is 0.1" in failure.get("message", "")
    strict = ElementTree.fromstring(
        junit_xml(story.report, name="demo", timestamp=TIME, strict=True)
    )[0]
    assert (strict.get("failures"), strict.get("skipped")) == ("2", "0")


def test_an_artifact_that_was_not_run_is_one_skipped_case(
    judged: Story, schema: xmlschema.XMLSchema
) -> None:
    first, second = judged.report.artifacts
    report = replace(judged.report, artifacts=(replace(first, checks=(), note="no engine"), second))
    written = junit_xml(report, name="demo", timestamp=TIME)
    schema.validate(written.decode())
    suite = ElementTree.fromstring(written)[0]
    assert (suite.get("tests"), suite.get("skipped")) == ("1", "1")
    skipped = suite.find("testcase/skipped")
    assert skipped is not None and skipped.get("message") == "no engine"


@pytest.mark.parametrize("text", [*HOSTILE, " \n ", "  a  b  "])
def test_any_name_and_note_gives_a_valid_file(
    judged: Story, schema: xmlschema.XMLSchema, text: str
) -> None:
    first, second = judged.report.artifacts
    checks = (Check(text, None, 0.0, "fail", unit=text), *first.checks)
    report = replace(
        judged.report,
        artifacts=(replace(first, checks=checks, note=text, engine=text), second),
    )
    written = junit_xml(report, name=text, timestamp=TIME)
    schema.validate(written.decode())
    assert len(ElementTree.fromstring(written)) == 3


@pytest.mark.parametrize(
    ("strict", "failures", "skipped"), [(False, "1", "1"), (True, "2", "0")], ids=["", "strict"]
)
def test_a_file_is_a_case_and_what_was_not_run_is_skipped(
    judged: Story, schema: xmlschema.XMLSchema, *, strict: bool, failures: str, skipped: str
) -> None:
    first, second, *others = judged.report.files
    files = (
        replace(first, finding=Finding("fail", "compared", "it is another's\0")),
        replace(second, finding=not_run("there is no compiler")),
        *others,
    )
    report = replace(judged.report, files=files)
    written = junit_xml(report, name="demo", timestamp=TIME, strict=strict)
    schema.validate(written.decode())
    suite = ElementTree.fromstring(written)[-1]
    assert [case.get("name") for case in suite.findall("testcase")] == [one.path for one in files]
    counts = (suite.get("tests"), suite.get("failures"), suite.get("skipped"))
    assert counts == (str(len(files)), failures, skipped)
    told = [element.get("message", "") for element in suite.findall("testcase/*")]
    assert "it is another's\\x00" in told[0] and "there is no compiler" in told[1]


def test_a_report_without_files_has_no_suite_of_them(judged: Story) -> None:
    written = junit_xml(replace(judged.report, files=()), name="demo", timestamp=TIME)
    assert len(ElementTree.fromstring(written)) == len(judged.report.artifacts)


def test_the_schema_refuses_what_readers_refuse(judged: Story, schema: xmlschema.XMLSchema) -> None:
    written = junit_xml(judged.report, name="demo", timestamp=TIME).decode()
    for wrong in (
        written.replace(TIME, "yesterday"),
        written.replace(' name="ids"', ""),
        written.replace("<system-err />", ""),
        written.replace('failures="0"', 'failures="none"'),
    ):
        assert wrong != written
        assert not schema.is_valid(wrong)
