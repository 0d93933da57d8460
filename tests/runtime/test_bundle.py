"""What a reader of bundles refuses, and that it refuses by a GateletError every time."""

import os
from pathlib import Path
from typing import Any

import pytest

from gatelet.errors import BundleDamaged, BundleError, BundleNewer, BundleUnsafe, GateletError
from gatelet.runtime import load, open_bundle
from gatelet.runtime.bundle import opening as bundle_module
from gatelet.runtime.bundle.contents import Contents
from gatelet.runtime.bundle.manifest import FORMAT_VERSION, MANIFEST, MAX_PATH_CHARACTERS
from gatelet.runtime.bundle.opening import BundleFile, is_bundle
from tests.fixture_types import EditManifest, PutPart
from tests.runtime.bundle_files import files_of, manifest_of


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
    with pytest.raises(BundleNewer, match=r"format_version 3, this gatelet reads up to 2") as error:
        open_bundle(bundle)
    assert error.value.facts == {"found": 3, "known": 2}


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
        with pytest.raises(GateletError, match="is missing: copy or convert it again"):
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

    def verify(contents: Contents, file: BundleFile, digest: Any) -> Any:
        if failures:
            again = bundle / "again"
            again.write_bytes((bundle / MANIFEST).read_bytes())
            again.replace(bundle / MANIFEST)
            raise failures.pop()
        return real(contents, file, digest)

    monkeypatch.setattr(Contents, "_verify", verify)
    assert open_bundle(bundle).artifacts
