import math
from xml.etree import ElementTree

from gatelet.train.epochs import Epoch, History
from gatelet.train.plot import plot_history

SVG = "{http://www.w3.org/2000/svg}"


def history(*val_losses: float, interrupted: bool = False) -> History:
    epochs = tuple(
        Epoch(loss=0.5 / number, accuracy=0.8, val_loss=val_loss, val_accuracy=0.7)
        for number, val_loss in enumerate(val_losses, start=1)
    )
    return History(epochs, best=1, interrupted=interrupted)


def texts(picture: str) -> list[str]:
    root = ElementTree.fromstring(picture)
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def test_says_what_it_shows_with_units_and_a_legend() -> None:
    words = texts(plot_history(history(0.5, 0.6), title="LSTM(64) on reviews"))
    assert words[:2] == ["LSTM(64) on reviews", "epoch 1 of 2 was kept"]
    assert {"train", "validation", "epoch", "Loss", "Accuracy"} <= set(words)
    assert {"cross-entropy (nats)", "accuracy (%)", "1", "2"} <= set(words)


def test_draws_every_epoch_of_both_parts_inside_the_frames() -> None:
    root = ElementTree.fromstring(plot_history(history(0.5, 0.6, 0.4), title="t"))
    lines = [element.get("points", "").split() for element in root.iter(f"{SVG}polyline")]
    assert [len(line) for line in lines] == [3, 3, 3, 3]
    frames = [
        [float(frame.get(side, "")) for side in ("x", "y", "width", "height")]
        for frame in root.iter(f"{SVG}rect")
    ]
    for number, line in enumerate(lines):
        left, top, width, height = frames[number // 2]
        for point in line:
            x, y = map(float, point.split(","))
            assert left <= x <= left + width
            assert top <= y <= top + height


def test_a_lower_loss_is_drawn_lower() -> None:
    root = ElementTree.fromstring(plot_history(history(0.9, 0.3), title="t"))
    validation = list(root.iter(f"{SVG}polyline"))[1].get("points", "").split()
    first, second = (float(point.split(",")[1]) for point in validation)
    assert second > first


def test_draws_one_epoch_and_skips_what_is_not_finite() -> None:
    ElementTree.fromstring(plot_history(history(0.5), title="t"))
    picture = plot_history(history(0.5, math.nan), title="t")
    assert "nan" not in picture


def test_a_title_of_any_characters_is_still_xml() -> None:
    words = texts(plot_history(history(0.5), title='<b> & "\0\ud800\ufffe'))
    assert words[0] == '<b> & "\ufffd\ufffd\ufffd'


def test_says_that_training_was_interrupted() -> None:
    assert "epoch 1 of 1 was kept, interrupted" in texts(
        plot_history(history(0.5, interrupted=True), title="t")
    )


def test_follows_the_dark_mode_of_the_page() -> None:
    assert "prefers-color-scheme: dark" in plot_history(history(0.5), title="t")
