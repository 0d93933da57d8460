"""What a reader of bundles refuses, and that it refuses by a GateletError every time."""

import contextlib
import copy
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gatelet.errors import BundleDamaged, BundleError, BundleNewer, BundleUnsafe, GateletError
from gatelet.runtime import bundle as bundle_module
from gatelet.runtime import load, open_bundle
from gatelet.runtime.bundle import MAX_MANIFEST_BYTES, BundleFile, is_bundle
from gatelet.runtime.contents import Contents
from gatelet.runtime.manifest import FORMAT_VERSION, MANIFEST, MAX_PATH_CHARACTERS

EditManifest = Callable[..., None]
PutPart = Callable[[Path, str, bytes], None]
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "bundle.schema.json").read_bytes())
ANYTHING: tuple[Any, ...] = (None, True, False, 0, -1, 7, 2**70, 0.5, -2.5, "", "x", [], [[]], {})


def manifest_of(bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bundle / MANIFEST).read_bytes())
    return found


def write(bundle: Path, manifest: object) -> None:
    (bundle / MANIFEST).write_text(json.dumps(manifest), "utf-8")


def files_of(bundle: Path) -> list[str]:
    manifest = manifest_of(bundle)
    return [entry["path"] for entry in (*manifest["files"], *manifest["artifacts"])]


def test_opens_a_bundle(bundle: Path) -> None:
    opened = open_bundle(str(bundle))
    assert opened.name == "small"
    assert opened.labels == ("0", "1")
    assert opened.threshold == 0.5
    assert [(a.target, a.scheme) for a in opened.artifacts] == [
        ("onnx", "float32"),
        ("onnx", "dynamic-int8"),
    ]
    assert opened.verdict == "pass"
    golden, vectorizer = opened.golden(), opened.vectorizer()
    assert golden is not None and golden.texts is not None and vectorizer is not None
    assert [vectorizer.pad(text) for text in golden.texts] == golden.inputs["ids"]
    assert opened.part("source") is None
    assert opened.graph().parameters == 50 * 3 + 16 * (3 + 4 + 1) + 5


def test_opens_a_bundle_that_was_moved_or_is_read_through_a_link(
    bundle: Path, tmp_path: Path
) -> None:
    moved = bundle.rename(tmp_path / "another name")
    (tmp_path / "link").symlink_to(moved)
    assert open_bundle(tmp_path / "link").name == "small"


def test_the_verdict_is_the_worst_of_the_artifacts(
    bundle: Path, edit_manifest: EditManifest
) -> None:
    artifacts = manifest_of(bundle)["artifacts"]
    for verdict in ("undecided", "fail", "not run"):
        artifacts[1]["parity"] = {"verdict": verdict}
        edit_manifest(bundle, artifacts=artifacts)
        assert open_bundle(bundle).verdict == verdict
    edit_manifest(bundle, artifacts=[])
    assert open_bundle(bundle).verdict == "not run"


@pytest.mark.parametrize("number", range(6))
def test_refuses_a_changed_byte_in_each_file(bundle: Path, number: int) -> None:
    assert len(files_of(bundle)) == 6
    name = files_of(bundle)[number]
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    with pytest.raises(BundleDamaged, match=f"'{name}' has sha256 .* the manifest says") as caught:
        load(bundle)
    assert caught.value.facts["path"] == name


@pytest.mark.parametrize("change", [-1, 1, 2**21])
def test_refuses_a_file_of_another_length(bundle: Path, change: int) -> None:
    name = files_of(bundle)[0]
    data = (bundle / name).read_bytes()
    (bundle / name).write_bytes(data[:change] if change < 0 else data + b"\0" * change)
    found = f"{len(data) - 1:,}" if change < 0 else "more"
    with pytest.raises(BundleDamaged, match=f"should have {len(data):,} bytes, has {found}: copy"):
        open_bundle(bundle)


def test_reads_no_more_of_a_file_than_it_should_have(bundle: Path) -> None:
    os.truncate(bundle / files_of(bundle)[0], 2**42)  # a hole: it takes no room, but hours to read
    with pytest.raises(BundleDamaged, match="bytes, has more: copy"):
        open_bundle(bundle)


@pytest.mark.parametrize("number", range(6))
def test_refuses_a_missing_file(bundle: Path, number: int) -> None:
    name = files_of(bundle)[number]
    (bundle / name).unlink()
    with pytest.raises(BundleDamaged, match=f"'{name}' is missing: copy or convert it again"):
        open_bundle(bundle)


def test_refuses_a_newer_format_and_tells_both_numbers(
    bundle: Path, edit_manifest: EditManifest
) -> None:
    edit_manifest(bundle, format_version=FORMAT_VERSION + 1, files=..., labels=...)
    with pytest.raises(BundleNewer, match=r"format_version 2, this gatelet reads up to 1") as error:
        open_bundle(bundle)
    assert error.value.facts == {"found": 2, "known": 1}


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "1", None, [], ...])
def test_refuses_a_format_version_that_is_no_positive_integer(
    bundle: Path, edit_manifest: EditManifest, version: object
) -> None:
    edit_manifest(bundle, format_version=version)
    with pytest.raises(BundleError, match=r"format_version is .*, expected an integer from 1"):
        open_bundle(bundle)


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "/etc/passwd",
        "a/../../secret",
        "a/..",
        "..",
        ".",
        "",
        "./graph.json",
        "a//b",
        "a/",
        "a\\b",
        "..\\secret",
        "C:secret",
        "a\0b",
        "a\nb",
        "\x1b[2J",
        "\ud800",
        MANIFEST,
        "a" * (MAX_PATH_CHARACTERS + 1),
        "~/../../x",
    ],
)
@pytest.mark.parametrize("kind", ["files", "artifacts"])
def test_refuses_a_path_that_is_not_plain(
    bundle: Path, edit_manifest: EditManifest, path: str, kind: str
) -> None:
    entries = manifest_of(bundle)[kind]
    entries[-1]["path"] = path
    edit_manifest(bundle, **{kind: entries})
    with pytest.raises(BundleUnsafe, match="no plain path inside the bundle: do not use") as caught:
        open_bundle(bundle)
    assert caught.value.facts["path"] == path
    assert len(str(caught.value).splitlines()) == 1


def test_refuses_a_link_out_of_the_bundle(bundle: Path, tmp_path: Path) -> None:
    name = files_of(bundle)[0]
    (bundle / name).rename(tmp_path / "outside")
    (bundle / name).symlink_to(tmp_path / "outside")
    with pytest.raises(BundleUnsafe, match=f"'{name}' is a link out of the bundle"):
        open_bundle(bundle)


def test_refuses_a_linked_folder_out_of_the_bundle(
    bundle: Path, tmp_path: Path, edit_manifest: EditManifest
) -> None:
    manifest = manifest_of(bundle)
    entry = manifest["artifacts"][0]
    (tmp_path / "elsewhere").mkdir()
    (bundle / entry["path"]).rename(tmp_path / "elsewhere" / "model.onnx")
    (bundle / "sub").symlink_to(tmp_path / "elsewhere")
    entry["path"] = "sub/model.onnx"
    edit_manifest(bundle, artifacts=manifest["artifacts"])
    with pytest.raises(BundleUnsafe, match="is a link out of the bundle"):
        open_bundle(bundle)


def test_opens_links_and_folders_that_stay_inside(
    bundle: Path, edit_manifest: EditManifest
) -> None:
    manifest = manifest_of(bundle)
    entry = manifest["artifacts"][0]
    (bundle / "sub").mkdir()
    (bundle / entry["path"]).rename(bundle / "sub" / "real")
    (bundle / "sub" / "model.onnx").symlink_to("real")
    entry["path"] = "sub/model.onnx"
    edit_manifest(bundle, artifacts=manifest["artifacts"])
    assert load(bundle, target="onnx", scheme="float32").predict(["w1"])


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to itself", "link to a device"])
@pytest.mark.parametrize("which", ["a file", "the manifest"])
def test_refuses_what_is_no_regular_file_without_waiting(
    bundle: Path, kind: str, which: str
) -> None:
    path = bundle / (MANIFEST if which == "the manifest" else files_of(bundle)[0])
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path.name if kind == "link to itself" else "/dev/zero")
    with pytest.raises(BundleError, match=r"cannot be read: |is a link out of the bundle"):
        open_bundle(bundle)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("nothing", "it does not exist"),
        ("small/manifest.json", "it is not a folder: give the folder that holds its files"),
        ("folder", "it has no manifest.json"),
        ("a\0b", "its manifest.json cannot be read: embedded null byte"),
        ("long" * 200, "its manifest.json cannot be read: File name too long"),
    ],
)
def test_tells_why_a_place_is_no_bundle(
    bundle: Path, tmp_path: Path, path: str, expected: str
) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(BundleError, match=f"is no bundle: {expected}"):
        open_bundle(tmp_path / path)


def test_a_folder_is_a_bundle_by_its_manifest(bundle: Path, tmp_path: Path) -> None:
    assert is_bundle(bundle)
    assert not is_bundle(tmp_path)
    assert not is_bundle(bundle / MANIFEST)


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
        (b'{"format_version": ' + b"9" * 4000 + b"}", "this gatelet reads up to 1"),
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


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("golden", b'{"texts": "abc", "inputs": {"a": []}, "outputs": {"b": []}}', "a list"),
        ("golden", b'{"texts": null, "inputs": {"a": [1]}, "outputs": {"b": []}}', "not as many"),
        ("golden", b'{"texts": ["x"], "inputs": {"a": []}, "outputs": {"b": []}}', "not as many"),
        ("golden", b'{"texts": null, "inputs": {}, "outputs": {}}', "not as many"),
        ("golden", b'{"inputs": {}, "outputs": {}}', "'texts' is missing"),
        ("golden", b"[]", "'texts' is missing"),
        ("golden", b"\xff", "utf-8"),
    ],
)
def test_refuses_golden_vectors_that_are_none(
    bundle: Path, put_part: PutPart, key: str, text: bytes, expected: str
) -> None:
    put_part(bundle, key, text)
    with pytest.raises(BundleDamaged, match=f"holds no golden vectors: .*{expected}"):
        open_bundle(bundle).golden()


def test_a_part_that_vanishes_after_opening_is_a_named_error(bundle: Path) -> None:
    opened = open_bundle(bundle)
    for name in files_of(bundle):
        (bundle / name).unlink()
    for read in (opened.graph, opened.golden, opened.vectorizer):
        with pytest.raises(GateletError, match="No such file or directory"):
            read()


def test_looks_again_when_the_bundle_is_replaced_between_two_reads(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, put_part: PutPart
) -> None:
    old = (bundle / MANIFEST).read_bytes()
    put_part(bundle, "golden", b'{"texts": null, "inputs": {"ids": []}, "outputs": {"s": []}}')
    new, answers = ((bundle / MANIFEST).read_bytes(), (2,)), [(old, (1,))]
    assert old != new[0]
    monkeypatch.setattr(
        bundle_module, "_read_manifest", lambda path: answers.pop() if answers else new
    )
    golden = open_bundle(bundle).golden()
    assert golden is not None and golden.texts is None


def test_looks_again_when_the_bundle_is_replaced_twice_and_is_as_it_was(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old, new, old: the manifest says the same as before, yet it is another one."""
    real, failures = Contents._verify, [BundleDamaged("missing for a moment")]

    def verify(contents: Contents, file: BundleFile, digest: Any, buffer: bytearray) -> Any:
        if failures:
            again = bundle / "again"
            again.write_bytes((bundle / MANIFEST).read_bytes())
            again.replace(bundle / MANIFEST)
            raise failures.pop()
        return real(contents, file, digest, buffer)

    monkeypatch.setattr(Contents, "_verify", verify)
    assert open_bundle(bundle).artifacts


def test_the_schema_accepts_what_is_written(bundle: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(manifest_of(bundle), SCHEMA)


def test_the_schema_refuses_what_the_reader_refuses(bundle: Path) -> None:
    """Whatever the schema accepts opens, or fails for a reason that no schema can tell."""
    manifest = manifest_of(bundle)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    refused = 0
    for place in places_of(manifest):
        for value in ANYTHING:
            spoiled = copy.deepcopy(manifest)
            put(spoiled, place, value)
            write(bundle, spoiled)
            try:
                open_bundle(bundle)
            except BundleDamaged:
                continue
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
