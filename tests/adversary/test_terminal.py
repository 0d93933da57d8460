"""Nothing that a stranger wrote into a bundle, a model or a path reaches the terminal as it is."""

import ast
import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import gatelet.cli
from gatelet.cli import main
from gatelet.cli.show import command_line, print_line
from gatelet.runtime.bundle.opening import open_bundle
from gatelet.runtime.measure.bench import Measured, Result
from gatelet.runtime.measure.bench_picture import bench_svg

EVIL = "\x1b]0;pwned\x07\x1b[2J\r\n\x9b31m\u202egatelet: pass\u2028"
UNSHOWN = set("\x1b\x07\r\x9b\u202e\u2028")
PRINTS = {"main.py": 1, "show.py": 6}
"""The only calls of print, by module: each writes what `escaped` or `one_line` gave, or ASCII."""


def test_commands_print_through_what_escapes_alone() -> None:
    found: dict[str, int] = {}
    for path in sorted(Path(gatelet.cli.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
                found[path.name] = found.get(path.name, 0) + 1
    assert found == PRINTS


@pytest.mark.parametrize("text", [EVIL, "a\nb", "a\x1b", "\u2066x", "a\udcffb", "\x7f"])
def test_a_printed_line_is_one_line_of_what_can_be_shown(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_line(f"a  {text}")
    out = capsys.readouterr().out
    assert out.startswith("a  ") and len(out.splitlines()) == 1
    assert all(one.isprintable() for one in out[:-1])


def _leaves(value: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the places of all strings of a JSON value."""
    if isinstance(value, str):
        yield where
    for key, one in value.items() if isinstance(value, dict) else ():
        yield from _leaves(one, (*where, key))
    for key, one in enumerate(value) if isinstance(value, list) else ():
        yield from _leaves(one, (*where, key))


def _changed(manifest: Any, where: tuple[Any, ...]) -> str:
    """Return a manifest with something appended to one string."""
    changed = json.loads(json.dumps(manifest))
    inner = changed
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] += EVIL
    return json.dumps(changed)


def test_no_string_of_a_manifest_moves_the_cursor(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["artifacts"][0]["parity"] = {"verdict": "fail", "note": "it", "engine": "an engine"}
    manifest["provenance"] = {"keras": "3", "training": {"data": "a file"}}
    places, shown = list(_leaves(manifest)), 0
    assert len(places) > 20
    for where in places:
        path.write_text(_changed(manifest, where), "utf-8")
        for command in (["inspect", str(bundle)], ["predict", str(bundle), "w1"]):
            main(command)
            printed = capsys.readouterr()
            assert not UNSHOWN & set(printed.out + printed.err), (where, command)
            shown += "\\x1b" in printed.out + printed.err
    assert shown > 10


@pytest.mark.parametrize("command", ["parity", "diff", "doctor", "evaluate"])
def test_no_name_of_a_bundle_moves_the_cursor(
    command: str,
    bundle: Path,
    written_bundle: Path,
    tmp_path: Path,
    edit_manifest: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    edit_manifest(bundle, name=f"name{EVIL}", labels=[f"no{EVIL}", f"yes{EVIL}"])
    odd = bundle.rename(tmp_path / "a\x1b[2J\u202e")
    data = tmp_path / "rows\x1b[2J.jsonl"
    lines = [{"text": f"w{n} w{n + 1}{EVIL}", "label": f"no{EVIL}"} for n in range(1, 40)]
    data.write_text("".join(json.dumps(one) + "\n" for one in lines))
    given: dict[str, list[Path | str]] = {
        "diff": [written_bundle],
        "evaluate": ["--data", data],
        "parity": ["--data", data],
    }
    more = ["--no-keras"] if command == "parity" else []
    assert main([command, str(odd), *map(str, given.get(command, ())), *more]) in (0, 1)
    printed = capsys.readouterr()
    assert not UNSHOWN & set(printed.out + printed.err)
    assert "\\x1b" in printed.out + printed.err


def test_a_graph_of_any_names_is_shown_as_text(
    bundle: Path, put_part: Callable[[Path, str, bytes], None], capsys: pytest.CaptureFixture[str]
) -> None:
    part = open_bundle(bundle).part("graph")
    assert part is not None
    text = part.read_text("utf-8").replace('"n', f'"{json.dumps(EVIL)[1:-1]}')
    put_part(bundle, "graph", text.encode())
    for command in ("inspect", "parity", "predict"):
        main([command, str(bundle), *(["w1"] if command == "predict" else [])])
        printed = capsys.readouterr()
        assert not UNSHOWN & set(printed.out + printed.err), command


@pytest.mark.parametrize(
    "words", [["inspect", f"x{EVIL}"], [f"x{EVIL}"], ["predict", "x", f"--no{EVIL}"], ["convert"]]
)
def test_no_word_of_the_command_line_moves_the_cursor(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words)
    assert not UNSHOWN & set(capsys.readouterr().err)


@pytest.mark.parametrize("path", ["my run", "a'b", 'a"$(x)', "a;b", "-a*", "plain-run"])
def test_a_command_that_is_shown_can_be_pasted(path: str) -> None:
    assert shlex.split(command_line("convert", Path(path), "--out", "B")) == [
        *("gatelet", "convert", path, "--out", "B")
    ]


def test_a_picture_of_any_title_is_xml() -> None:
    one = Measured(1, 1, 1, 1.0, 1.0, 1.0, 0.0, 1.0)
    result = Result("c", "float32", "c", 1.0, 1.0, (one,))
    drawn = bench_svg([result], title=f"<a&b>{EVIL}\udcff\0")
    assert "<a&b>" in "".join(ElementTree.fromstring(drawn.encode()).itertext())
