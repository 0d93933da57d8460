"""The command `plan`: what fits which device, from where its figures are, and the picture."""

import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from gatelet.convert.onboard.plan import MEASURED, Figure, Offer, first_that_passes
from gatelet.convert.onboard.plan_picture import plan_svg
from gatelet.runtime.bundle.opening import open_bundle
from tests.cli.conftest import RunCli
from tests.convert.reading.hostile_files import write_keras
from tests.devices.conftest import device_or_skip
from tests.fixture_types import WriteBundle
from tests.shared import made_once

ARTIFACTS = (("c", "float32"), ("c", "full-int8"))


@pytest.fixture
def small(
    tmp_path_factory: pytest.TempPathFactory, write_bundle: WriteBundle, tmp_path: Path
) -> Path:
    """Return a bundle of features with two c artifacts, of its own for each test."""

    def write(folder: Path) -> object:
        return write_bundle(
            folder / "small", features=3, artifacts=ARTIFACTS, with_vectorizer=False
        )

    made = made_once(tmp_path_factory, "planned", write)
    return Path(shutil.copytree(made / "small", tmp_path / "small"))


def planned(cli: RunCli, bundle: Path, *words: object) -> dict[str, Any]:
    """Return the offers by device and scheme, and the first one."""
    done = cli("plan", bundle, "--json", *words)
    found = json.loads(done.out)
    offers = {f"{one['device']} {one['scheme']}": one for one in found["offers"]}
    return {**offers, "first": found["first"], "code": done.code, "err": done.err}


@pytest.mark.ci
def test_a_plan_says_what_verify_finds(cli: RunCli, small: Path) -> None:
    device_or_skip("nano-33-ble")
    before = planned(cli, small, "--device", "nano-33-ble")
    verified = json.loads(cli("verify", small, "--device", "nano-33-ble", "--json").out)
    after = planned(cli, small, "--device", "nano-33-ble")
    assert before["code"] == after["code"] == 0
    assert before["first"] == {"device": "nano-33-ble", "scheme": "float32"}
    for found in verified:
        model, emulated = (one[f"nano-33-ble {found['scheme']}"] for one in (before, after))
        for name in ("flash", "code", "weights", "scratch", "state"):
            wanted = {"value": found[f"{name}_bytes"], "origin": "measured"}
            assert model[f"{name}_bytes"] == emulated[f"{name}_bytes"] == wanted, name
        counts = {"stack_bytes": found["stack_bytes"], "instructions": found["count"]["row"]}
        for name, count in counts.items():
            assert emulated[name] == {"value": count, "origin": "emulated"}
            assert model[name]["origin"] == "model"
            assert model[name]["value"] == pytest.approx(count, rel=0.05)
        least = emulated["least_ms"]["value"]
        assert least == pytest.approx(found["count"]["row"] / 64e6 * 1000)
        assert emulated["on_device"] == "pass" and model["on_device"] is None
    told = cli("plan", small, "--device", "nano-33-ble").out.splitlines()
    assert "first that fits and passes: c float32 on nano-33-ble" in told
    assert f"{verified[0]['count']['row']:,} e" in told[1]


@pytest.mark.ci
def test_what_is_alone_too_large_is_refused_before_anything_is_built(
    cli: RunCli, small: Path, tmp_path: Path
) -> None:
    device_or_skip("bluepill")
    weights = {one.scheme: one.bytes for one in open_bundle(small).artifacts}
    offered = weights["float32"] - 1
    found = planned(cli, small, "--device", "bluepill", "--flash", offered)
    assert (found["code"], found["first"]) == (1, None)
    assert "building" not in found["err"]
    assert found["bluepill float32"]["over"] == (
        f"needs at least {offered + 1:,} bytes of flash; profile 'bluepill' offers {offered:,} "
        "(over by 1)"
    )
    # the rest at the link
    found = planned(cli, small, "--device", "bluepill", "--flash", weights["full-int8"] + 100)
    assert found["code"] == 1
    assert "building c full-int8" in found["err"]
    needed = found["bluepill full-int8"]["flash_bytes"]["value"]
    assert f"needs {needed:,} bytes of flash" in found["bluepill full-int8"]["over"]
    found = planned(cli, small, "--device", "bluepill", "--ram", 4200)
    assert "bytes of RAM; profile 'bluepill' offers 4,200" in found["bluepill full-int8"]["over"]
    found = planned(cli, small, "--device", "bluepill", "--flash", needed)
    assert found["code"] == 0
    assert found["first"] == {"device": "bluepill", "scheme": "full-int8"}


@pytest.mark.ci
def test_a_row_may_take_no_longer_than_allowed(cli: RunCli, small: Path) -> None:
    device_or_skip("nano-33-ble")
    flags = ("--device", "nano-33-ble", "--latency-ms")
    found = planned(cli, small, *flags, "0.6")
    assert found["nano-33-ble full-int8"]["fits"]
    assert found["nano-33-ble float32"]["over"].startswith("needs at least 0.7")
    assert found["first"] == {"device": "nano-33-ble", "scheme": "full-int8"}
    done = cli("plan", small, *flags, "0.001")
    assert done.code == 1
    assert done.out.splitlines()[-1] == "nothing fits"
    # a time that nobody knows is not within a limit
    done = cli("plan", small, "--device", "esp32", "--latency-ms", "9")
    assert done.code == 0 and "  weights fit, time unknown  " in done.out
    assert done.out.splitlines()[-1] == "nothing that fits has passed parity in time"
    assert "expected a number above 0" in cli("plan", small, *flags, "0").misuse


def test_what_nobody_compiles_or_counts_is_not_made_up(cli: RunCli, small: Path) -> None:
    found = planned(cli, small, "--device", "esp32", "--device", "raspberry-pi-4")
    for device in ("esp32", "raspberry-pi-4"):
        one = found[f"{device} full-int8"]
        assert one["fits"] and "weights_bytes" in one
        assert not {"flash_bytes", "stack_bytes", "instructions", "least_ms"} & set(one)
    done = cli("plan", small, "--device", "esp32")
    assert "  weights fit  " in done.out
    assert "device 'pi' is not known" in cli("plan", small, "--device", "pi").misuse


@pytest.mark.ci
def test_a_model_is_converted_in_a_temporary_bundle(cli: RunCli, tmp_path: Path) -> None:
    device_or_skip("pico")
    model = write_keras(tmp_path / "model.keras")
    picture = tmp_path / "plan.svg"
    found = planned(cli, model, "--device", "pico", "--svg", picture)
    assert found["code"] == 0
    assert {"pico float32", "pico dynamic-int8"} <= set(found)
    assert found["pico float32"]["parity"] == "pass"
    assert {one.name for one in tmp_path.iterdir()} == {"model.keras", "plan.svg"}
    ElementTree.fromstring(picture.read_text())


def test_the_picture_has_each_scheme_once(tmp_path: Path) -> None:
    def offer(device: str, scheme: str, stored: int, over: str, lost: float | None) -> Offer:
        figures = {"weights_bytes": Figure(stored, MEASURED)}
        return Offer(device, scheme, "whole", over, over, figures, "pass", lost=lost)

    offers = [
        offer("a", "float32", 4000, "", 0.0),
        offer("b", "float32", 3000, "over", 0.0),
        offer("a", "full-int8", 900, "over", 0.02),
        offer("a", "dynamic-int8", 1000, "", None),
    ]
    root = ElementTree.fromstring(plan_svg(offers, title="<it>\u202e"))
    circles = [one.get("class") for one in root.iter() if one.tag.endswith("circle")]
    assert sorted(map(str, circles)) == ["fits", "over"]
    texts = [one.text for one in root.iter() if one.tag.endswith("text")]
    assert {"float32", "full-int8"} <= set(texts) and "dynamic-int8" not in texts
    assert any("<it>\\u202e: flash" in str(text) for text in texts)
    nothing = plan_svg(offers[3:], title="it").decode()
    assert "nobody measured what its schemes lose" in nothing
    assert first_that_passes(offers[1:]) == offers[3]


def test_the_table_of_costs_is_that_of_cores_that_there_are() -> None:
    import tomllib

    from gatelet.convert.onboard.costs import TABLE
    from gatelet.devices.toolchains import TOOLCHAINS

    text = TABLE.read_text("utf-8")
    assert text.startswith("# Made by: python benchmarks/device_costs.py fit WORK.")
    for cpu, families in tomllib.loads(text).items():
        assert cpu in TOOLCHAINS
        assert set(families) == {"floats", "integers"}
        for found in families.values():
            assert set(found) == {"instructions", "code_bytes", "stack_bytes"}
