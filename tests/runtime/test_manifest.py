"""What a reader refuses in a manifest, field by field and at random, and that the schema agrees.

Not the files that it lists: see test_bundle.py.
"""

import contextlib
import copy
import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gatelet.errors import BundleDamaged, BundleError, GateletError
from gatelet.runtime import load, open_bundle
from gatelet.runtime.bundle.manifest import MANIFEST
from gatelet.runtime.bundle.opening import MAX_MANIFEST_BYTES
from gatelet.runtime.bundle.sections import check_sections
from tests.fixture_types import EditManifest, PutPart
from tests.runtime.bundle_files import manifest_of, write
from tests.runtime.test_sections import SECTION

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "bundle.schema.json").read_bytes())
ANYTHING: tuple[Any, ...] = (None, True, False, 0, -1, 7, 2**70, 0.5, -2.5, "", "x", [], [[]], {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "no valid JSON"),
        (b"not JSON", "no valid JSON"),
        (b"{} {}", "no valid JSON"),
        (b"\xff\xfe{}", "no valid JSON"),
        (b"\xef\xbb\xbf{}", "no valid JSON"),
        ('{"format_version": 1}'.encode("utf-16-le"), "no valid JSON"),
        (b"[" * 100_000, "no valid JSON: it is nested too deeply"),
        (b'{"a":' * 100_000, "no valid JSON: it is nested too deeply"),
        (b'{"format_version": 1, "format_version": 2}', "has the same key twice"),
        (b'{"format_version": 1, "x": {"y": 1, "y": 1}}', "has the same key twice"),
        (b'{"format_version": 1, "threshold": NaN}', "NaN is no JSON number"),
        (b'{"format_version": 1, "threshold": -Infinity}', "-Infinity is no JSON number"),
        (b'{"format_version": 1, "threshold": 1e999}', "a number is too large"),
        (b'{"format_version": ' + b"9" * 5000 + b"}", "no valid JSON"),
        (b'{"format_version": ' + b"9" * 4000 + b"}", "this gatelet reads up to 2"),
        (b"[]", "no JSON object"),
        (b"null", "no JSON object"),
        (b" " * (MAX_MANIFEST_BYTES + 1), "larger than 16,777,216 bytes"),
    ],
    ids=range(18),
)
def test_refuses_a_manifest_that_is_not_one_json_object(
    bundle: Path, text: bytes, expected: str
) -> None:
    (bundle / MANIFEST).write_bytes(text)
    with pytest.raises(BundleError, match=expected) as caught:
        open_bundle(bundle)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"labels": ...}, "'labels' is missing"),
        ({"labels": "01"}, "'labels' is '01', expected a list"),
        ({"labels": {"a": 1, "b": 2}}, "expected a list"),
        ({"labels": ["a", 1]}, "'labels' is 1, expected text"),
        ({"labels": ["a", "a"]}, "expected none, or two or more, each once"),
        ({"labels": ["a"]}, "expected none, or two or more, each once"),
        ({"threshold": ...}, "'threshold' is missing"),
        ({"threshold": "0.5"}, "expected a number"),
        ({"threshold": True}, "'threshold' is True, expected a number"),
        ({"threshold": None}, "expected a number"),
        ({"threshold": 1.5}, "'threshold' is 1.5, expected a number from 0 to 1"),
        ({"threshold": -0.1}, "expected a number from 0 to 1"),
        ({"threshold": 10**400}, "expected a number from 0 to 1"),
        ({"name": 3}, "'name' is 3, expected text"),
        ({"artifacts": {}}, "'artifacts' is {}, expected a list"),
        ({"artifacts": ["x"]}, "'an entry of artifacts' is 'x', expected an object"),
        ({"files": None}, "'files' is None, expected a list"),
        ({"graph": ...}, "'graph' is missing"),
        ({"graph": None}, "'graph' is None, expected text"),
        ({"weights": "other"}, "'weights' is 'other', which is not among its files"),
        ({"vectorizer": "other"}, "'vectorizer' is 'other', which is not among its files"),
        ({"vectorizer": ["x"]}, "'vectorizer' is .*, expected text or null"),
        ({"golden": {}}, "'golden' is {}, expected text or null"),
    ],
)
def test_refuses_a_manifest_with_a_wrong_field(
    bundle: Path, edit_manifest: EditManifest, fields: dict[str, object], expected: str
) -> None:
    edit_manifest(bundle, **fields)
    with pytest.raises(BundleError, match=f"manifest.json is damaged: .*{expected}"):
        open_bundle(bundle)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"target": ...}, "'target' is missing"),
        ({"target": 3}, "'target' is 3, expected text"),
        ({"scheme": None}, "'scheme' is None, expected text"),
        ({"ops": "LSTM"}, "'ops' is 'LSTM', expected a list"),
        ({"ops": [1]}, "'ops' is 1, expected text"),
        ({"max_batch": 0}, "'max_batch' is 0, expected an integer from 1"),
        ({"max_batch": True}, "'max_batch' is True, expected an integer or null"),
        ({"parity": "pass"}, "'parity' is 'pass', expected an object"),
        ({"parity": {}}, "'verdict' is missing"),
        ({"parity": {"verdict": "PASS"}}, "expected one of fail, undecided, not run, pass"),
        ({"bytes": -1}, "'bytes' is -1, expected an integer from 0"),
        ({"bytes": 1.0}, "'bytes' is 1.0, expected an integer"),
        ({"bytes": 2**63}, "'bytes' is .*, expected an integer from 0"),
        ({"sha256": "0" * 63}, "expected 64 hexadecimal digits"),
        ({"sha256": "G" * 64}, "expected 64 hexadecimal digits"),
        ({"sha256": "0" * 10**7}, "expected 64 hexadecimal digits"),
        ({"sha256": 5}, "'sha256' is 5, expected text"),
        ({"revision": -1}, "'revision' is -1, expected an integer from 0"),
        ({"revision": None}, "'revision' is None, expected an integer"),
    ],
    ids=lambda value: None if isinstance(value, str) else next(iter(value)),
)
def test_refuses_an_artifact_with_a_wrong_field(
    bundle: Path, edit_manifest: EditManifest, fields: dict[str, object], expected: str
) -> None:
    artifacts = manifest_of(bundle)["artifacts"]
    artifacts[0] = {k: v for k, v in {**artifacts[0], **fields}.items() if v is not ...}
    edit_manifest(bundle, artifacts=artifacts)
    with pytest.raises(BundleError, match=f"manifest.json is damaged: .*{expected}") as caught:
        open_bundle(bundle)
    assert len(str(caught.value)) < 1000


def test_refuses_an_artifact_or_a_path_that_is_listed_twice(
    bundle: Path, edit_manifest: EditManifest
) -> None:
    artifacts = manifest_of(bundle)["artifacts"]
    edit_manifest(bundle, artifacts=[artifacts[0], artifacts[1] | {"scheme": "float32"}])
    with pytest.raises(BundleError, match=r"\('onnx', 'float32'\) is listed twice"):
        open_bundle(bundle)
    edit_manifest(bundle, artifacts=[artifacts[0], artifacts[0] | {"scheme": "other"}])
    with pytest.raises(BundleError, match=r"'onnx-float32.* is listed twice"):
        open_bundle(bundle)


def test_optional_fields_may_be_missing_and_unknown_ones_are_kept(
    bundle: Path, edit_manifest: EditManifest
) -> None:
    artifacts = manifest_of(bundle)["artifacts"]
    for artifact in artifacts:
        del artifact["ops"], artifact["max_batch"], artifact["parity"]
    edit_manifest(
        bundle, artifacts=artifacts, name=..., golden=..., source=..., provenance=..., new=[1]
    )
    opened = open_bundle(bundle)
    assert (opened.name, opened.golden(), opened.verdict) == ("small", None, "not run")
    assert opened.manifest["new"] == [1]


def test_any_value_in_any_field_opens_or_is_a_gatelet_error(bundle: Path) -> None:
    manifest = manifest_of(bundle)
    places = list(places_of(manifest))
    assert len(places) > 50
    for place in places:
        for value in ANYTHING:
            spoiled = copy.deepcopy(manifest)
            put(spoiled, place, value)
            write(bundle, spoiled)
            opens_or_refuses(bundle)


def test_any_two_values_in_any_parts_load_or_are_a_gatelet_error(
    bundle: Path, put_part: PutPart
) -> None:
    generator = random.Random(5)
    opened = open_bundle(bundle)
    for key in ("graph", "golden", "vectorizer"):
        path = opened.part(key)
        assert path is not None
        content = json.loads(path.read_bytes())
        places = list(places_of(content))
        for _ in range(120):
            spoiled = copy.deepcopy(content)
            for place in generator.sample(places, 2):
                put(spoiled, place, generator.choice(ANYTHING))
            put_part(bundle, key, json.dumps(spoiled).encode())
            opens_or_refuses(bundle, target="reference")
        put_part(bundle, key, json.dumps(content).encode())


def test_any_changed_bytes_in_any_parts_load_or_are_a_gatelet_error(
    bundle: Path, put_part: PutPart
) -> None:
    generator = random.Random(6)
    opened = open_bundle(bundle)
    for key in ("graph", "weights", "golden", "vectorizer"):
        path = opened.part(key)
        assert path is not None
        content = path.read_bytes()
        for _ in range(60):
            spoiled = bytearray(content)
            for _ in range(generator.choice((1, 3))):
                spoiled[generator.randrange(min(len(spoiled), 600))] = generator.randrange(256)
            put_part(bundle, key, bytes(spoiled))
            opens_or_refuses(bundle, target="reference")
        put_part(bundle, key, content)


def opens_or_refuses(bundle: Path, target: str | None = None) -> None:
    try:
        opened = open_bundle(bundle)
        assert opened.verdict
        opened.golden()
        if target is not None:
            load(bundle, target=target).predict(["w1 w2", ""])
    except GateletError as error:
        assert len(str(error)) < 2000


def places_of(value: object, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the way to each value in nested lists and objects; of long lists, the first three."""
    found = [place] if place else []
    items = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value))
        if isinstance(value, list)
        else []
    )
    for key, item in items[:12] if isinstance(value, dict) else items[:3]:
        found += places_of(item, (*place, key))
    return found


def put(value: Any, place: tuple[Any, ...], new: object) -> None:
    with contextlib.suppress(KeyError, IndexError, TypeError):  # the place may be gone
        for key in place[:-1]:
            value = value[key]
        value[place[-1]] = copy.deepcopy(new)


def test_an_artifact_without_a_revision_has_the_first(bundle: Path) -> None:
    manifest = manifest_of(bundle)
    for entry, revision in zip(manifest["artifacts"], (..., 7), strict=False):
        entry.pop("revision", None)
        if revision is not ...:
            entry["revision"] = revision
    write(bundle, manifest)
    assert [one.revision for one in open_bundle(bundle).artifacts][:2] == [0, 7]


def test_the_schema_accepts_what_is_written(bundle: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(manifest_of(bundle), SCHEMA)


def test_the_schema_refuses_what_the_reader_refuses(bundle: Path) -> None:
    """Whatever the schema accepts opens, or fails for a reason that no schema can tell."""
    manifest = manifest_of(bundle)
    first = manifest["artifacts"][0]
    manifest["artifacts"][0] = {"sections": [SECTION], "revision": 1, **first}
    validator = jsonschema.Draft202012Validator(SCHEMA)
    assert validator.is_valid(manifest)
    refused = 0
    for place in places_of(manifest):
        for value in ANYTHING:
            spoiled = copy.deepcopy(manifest)
            put(spoiled, place, value)
            write(bundle, spoiled)
            try:
                for artifact in open_bundle(bundle).artifacts:
                    check_sections(artifact.entry)
            except BundleDamaged:
                continue
            except ValueError:
                assert not validator.is_valid(spoiled), (place, value)
                refused += 1
            except BundleError as error:
                beyond = ("not among its files", "listed twice", "no plain path")
                if not any(reason in str(error) for reason in beyond):
                    assert not validator.is_valid(spoiled), (place, value)
                refused += 1
            else:
                assert validator.is_valid(spoiled), (place, value)
    assert refused > 200


@pytest.mark.parametrize("path", ["../x", "/x", "a/../b", "a\\b", "C:x", "", ".", "a//b", "a\nb"])
def test_the_schema_refuses_unsafe_paths(bundle: Path, path: str) -> None:
    manifest = manifest_of(bundle)
    manifest["files"][0]["path"] = path
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(manifest)
