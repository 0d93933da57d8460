"""Every setting of a conversion is honoured by both routes, or refused by its name."""

from dataclasses import fields
from typing import Any

import pytest

from gatelet.convert.exporters.choice import choose
from gatelet.convert.settings import ConversionSettings
from gatelet.errors import ConfigError

# what the route past the Graph cannot honour: a value that is not the default, and its flag
REFUSED: dict[str, tuple[Any, str]] = {
    "config": ("model.json", "--config"),
    "custom_objects": ({"Own": "LSTM"}, "custom_objects"),
    "devices": (["raspberry-pi-4"], "--device"),
    "scale": (["scale.json"], "--scale"),
    "stream": (True, "--stream"),
    "vocabulary": (10, "--vocabulary"),
    "with_keras": (False, "--no-keras"),
}
# what it reads; `tests/convert/test_keras_route.py` shows what each does there
HONOURED = (
    "activation",
    "data",
    "golden_texts",
    "labels",
    "multi_label",
    "progress",
    "route",
    "schemes",
    "strip",
    "targets",
    "threshold",
    "vectorizer",
)


def test_each_setting_is_honoured_or_refused_past_the_graph() -> None:
    assert sorted((*REFUSED, *HONOURED)) == sorted(one.name for one in fields(ConversionSettings))


@pytest.mark.parametrize("name", REFUSED)
def test_a_setting_that_the_keras_route_cannot_honour_is_named(name: str) -> None:
    value, flag = REFUSED[name]
    setting: dict[str, Any] = {name: value}
    ConversionSettings(**setting)
    with pytest.raises(ConfigError, match=f"the route 'keras' cannot honour {flag}: .*; leave"):
        ConversionSettings(route="keras", **setting)


def test_no_stream_is_what_the_keras_route_does() -> None:
    assert ConversionSettings(route="keras", stream=False).route == "keras"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"route": "onnx"}, "route 'onnx' is not known; known are graph, keras"),
        ({"targets": ["tfl"]}, "target 'tfl' is not known"),
        ({"schemes": ["int7"]}, "scheme 'int7' is not known"),
        ({"devices": ["toaster"]}, "device 'toaster' is not known"),
    ],
)
def test_what_is_not_known_is_refused_before_anything_is_read(
    setting: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        choose(ConversionSettings(**setting))


@pytest.mark.parametrize(("wanted", "there"), [(True, True), (True, False), (False, True)])
def test_keras_is_asked_where_it_is_installed_and_not_left_out(
    wanted: bool, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatelet.convert.settings.has_keras", lambda: there)
    assert ConversionSettings(with_keras=wanted).asks_keras == (wanted and there)
