"""The command `devices`, and `convert --device`."""

import hashlib
import json
from pathlib import Path

import pytest

from gatelet.convert.bundle.writer import BundleWriter
from gatelet.convert.onboard.deliver import deliver
from gatelet.devices import profile_names, read_profile
from gatelet.errors import ConversionError
from gatelet.runtime.bundle.opening import Bundle, open_bundle
from tests.cli.conftest import RunCli
from tests.convert.reading.hostile_files import write_keras
from tests.devices.conftest import PROFILES, device_or_skip
from tests.fixture_types import WriteBundle


def test_devices_are_listed_and_shown(cli: RunCli) -> None:
    listed = cli("devices").out
    assert [line.split()[0] for line in listed.splitlines()[1:]] == list(profile_names())
    shown = cli("devices", "raspberry-pi-4").out
    assert "platform   aarch64-linux, 4 processors\ntargets    c, litert, onnx" in shown
    assert json.loads(cli("devices", "raspberry-pi-4", "--json").out)["platform"] == "aarch64-linux"
    assert len(json.loads(cli("devices", "--json").out)) == len(profile_names())


def test_a_name_that_is_not_known_is_one_line(cli: RunCli, tmp_path: Path) -> None:
    for words in ("devices", "pi"), ("convert", "m", "--out", tmp_path / "b", "--device", "pi"):
        done = cli(*words)
        assert done.code == 2
        assert (
            "device 'pi' is not known: did you mean 'pico'? known are arduino-zero, "
        ) in done.err


def test_a_conversion_for_a_device_puts_its_library_into_the_bundle(
    cli: RunCli, tmp_path: Path
) -> None:
    model = write_keras(tmp_path / "model.keras")
    flags = ("--target", "c", "--scheme", "float32", "--no-keras", "--device", "raspberry-pi-4")
    assert cli("convert", model, "--out", tmp_path / "b", *flags).code == 0
    (artifact,) = open_bundle(tmp_path / "b").artifacts
    assert "library:aarch64-linux" in artifact.companions


@pytest.mark.ci
def test_a_conversion_for_a_microcontroller_has_its_library_and_firmware(
    cli: RunCli, tmp_path: Path
) -> None:
    device_or_skip("bluepill")
    model = write_keras(tmp_path / "model.keras")
    flags = ("--target", "c", "--scheme", "float32", "--no-keras", "--device", "bluepill")
    assert cli("convert", model, "--out", tmp_path / "b", *flags).code == 0
    bundle = open_bundle(tmp_path / "b")
    (artifact,) = bundle.artifacts
    assert {"archive:cortex-m3", "firmware:bluepill"} <= set(artifact.companions)
    archive = bundle.contents.read(artifact.companions["archive:cortex-m3"])
    assert archive.startswith(b"!<arch>\n")
    (linked,) = artifact.entry["devices"]
    assert linked["verdict"] == "not run"
    assert linked["note"] == "linked to size, not run: gatelet verify runs it"
    done = cli("verify", tmp_path / "b", "--device", "bluepill")
    assert done.code == 0
    after = open_bundle(tmp_path / "b")
    (found,) = after.artifacts[0].entry["devices"]
    assert found["verdict"] == "pass"
    for key in ("flash_bytes", "linked_ram_bytes", "compiler", "source_sha256", "flags"):
        assert found[key] == linked[key]
    assert _judged(after) == {"archive": ("pass", "regenerated"), "firmware": ("pass", "run")}
    artifact_runs = after.artifacts[0].parity["judged"]["runs"]
    assert artifact_runs[-1]["machine"] == "cortex-m3"
    strict = ("parity", tmp_path / "b", "--no-keras", "--json")
    told = {one["what"]: one for one in json.loads(cli(*strict).out)["files"]}
    assert told["c float32 firmware:bluepill"]["verdict"] == "pass"
    assert told["c float32 archive:cortex-m3"]["runs"][0]["version"].startswith("Cortex-M3 on ")
    # a file of other bytes was not judged by that run
    companions = after.artifacts[0].companions
    firmware = (tmp_path / "b" / companions["firmware:bluepill"]).read_bytes()
    _replace(tmp_path / "b", companions["firmware:bluepill"], firmware + b"\0")
    _replace(tmp_path / "b", companions["archive:cortex-m3"], archive + b"\0")
    told = {one["what"]: one for one in json.loads(cli(*strict).out)["files"]}
    assert told["c float32 archive:cortex-m3"]["verdict"] == "not run"
    assert told["c float32 firmware:bluepill"]["verdict"] == "not run"
    # an archive that its source does not make is not in what was run
    _replace(tmp_path / "b", companions["firmware:bluepill"], firmware)
    assert cli("verify", tmp_path / "b", "--device", "bluepill").code == 0
    assert _judged(open_bundle(tmp_path / "b"))["firmware"] == ("pass", "run")
    told = {one["what"]: one for one in json.loads(cli(*strict).out)["files"]}
    assert told["c float32 archive:cortex-m3"]["verdict"] == "not run"


def _judged(bundle: Bundle) -> dict[str, tuple[str, str]]:
    """Return verdicts of the files for devices, by the beginning of their roles."""
    entries = {one["path"]: one.get("judged", {}) for one in bundle.manifest["files"]}
    (artifact,) = bundle.artifacts
    return {
        role.partition(":")[0]: (entries[path]["verdict"], entries[path]["by"])
        for role, path in artifact.companions.items()
        if role.startswith(("archive:", "firmware:"))
    }


def _replace(bundle: Path, path: str, data: bytes) -> None:
    """Change a file, and repair its digest and length, but not the verdict."""
    (bundle / path).write_bytes(data)
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    (entry,) = (one for one in manifest["files"] if one["path"] == path)
    entry |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (bundle / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.ci
def test_a_conversion_that_does_not_fit_a_device_is_refused_with_its_bytes(
    cli: RunCli, tmp_path: Path
) -> None:
    device_or_skip("bluepill")
    text = (PROFILES / "bluepill.toml").read_text()
    (tmp_path / "tiny.toml").write_text(text.replace("flash_bytes = 65_536", "flash_bytes = 900"))
    model = write_keras(tmp_path / "model.keras")
    flags = ("--target", "c", "--no-keras", "--device", tmp_path / "tiny.toml")
    for scheme in (("--scheme", "float32"), ()):
        done = cli("convert", model, "--out", tmp_path / "b", *flags, *scheme)
        assert done.complaint.startswith("c float32 needs ")
        assert "bytes of flash; profile 'tiny' offers 900 (over by " in done.complaint
        assert done.complaint.endswith("; no other scheme here fits")
        assert not (tmp_path / "b").exists()


@pytest.mark.ci
def test_what_fits_no_microcontroller_is_left_out_and_told(
    cli: RunCli, tmp_path: Path, write_bundle: WriteBundle
) -> None:
    bluepill = device_or_skip("bluepill")

    def written(name: str) -> BundleWriter:
        folder = tmp_path / name
        artifacts = (("c", "float32"), ("c", "full-int8"))
        write_bundle(folder, features=3, artifacts=artifacts, with_vectorizer=False)
        manifest = json.loads((folder / "manifest.json").read_bytes())
        facts = {key: manifest[key] for key in ("name", "labels", "threshold")}
        writer = BundleWriter(folder, facts, files=manifest["files"])
        writer.artifacts = manifest["artifacts"]
        writer.parts = {key: manifest[key] for key in ("graph", "weights", "golden")}
        return writer

    fitting = written("fitting")
    deliver(fitting, [bluepill], all_named=True, cache=None, progress=lambda text: None)
    (linked,) = fitting.entry_of("c", "float32")["devices"]
    offered = linked["flash_bytes"] - 1
    text = (PROFILES / "bluepill.toml").read_text()
    (tmp_path / "mine.toml").write_text(
        text.replace("flash_bytes = 65_536", f"flash_bytes = {offered}")
    )
    profiles = [read_profile(str(tmp_path / "mine.toml"))]
    for profile in (profiles, [*profiles, read_profile("raspberry-pi-4")]):
        writer = written(f"of {len(profile)}")
        with pytest.raises(ConversionError, match=r"c float32 needs .*\); fits: full-int8"):
            deliver(writer, profile, all_named=True, cache=None, progress=lambda text: None)
        told: list[str] = []
        deliver(writer, profile, all_named=False, cache=None, progress=told.append)
        left = {one["scheme"] for one in writer.artifacts}
        # a Linux board has room for all
        assert left == ({"full-int8"} if len(profile) == 1 else {"float32", "full-int8"})
        (line,) = (one for one in told if one.startswith("leaving out"))
        assert line.startswith("leaving out c float32 for mine: it needs ")
