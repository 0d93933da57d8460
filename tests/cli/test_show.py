"""What is shown of texts, labels and names that others wrote."""

import pytest

from gatelet.cli.show import print_table
from gatelet.runtime.terminal import one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\tc", "a b c"),
        ("\x1b[2Ja\x07", "\\x1b[2Ja\\x07"),
        ("a\u202eb\u2066c", "a\\u202eb\\u2066c"),
        ("\u0645\u06cc\u200c\u062e \U0001f468\u200d\U0001f469 \u597d", None),
    ],
)
def test_a_text_cannot_fake_output(text: str, shown: str | None) -> None:
    assert one_line(text) == (text if shown is None else shown)


def test_neither_can_the_head_of_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["a\x1b[2J", "b"], [["1", "2\n3"]])
    assert capsys.readouterr().out.splitlines() == ["a\\x1b[2J    b", "       1  2 3"]
