"""Whatever models, inputs, outputs, labels and folders are called, C and converters take it."""

import ast
import json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from gatelet.convert import convert
from gatelet.convert.exporters.c.build import run_compiler
from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.files import render
from gatelet.convert.exporters.c.source import comment
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.schemes import SCHEMES
from gatelet.convert.worker.place import is_plain, place_for_tools
from gatelet.errors import CompilerFailed, ModelError, OutputError
from gatelet.runtime import load
from gatelet.runtime.bundle.decisions import Decision
from tests.adversary import keras_files as files
from tests.convert.exporters.c_builds import STRICT
from tests.convert.exporters.onnx_graphs import GraphMaker
from tests.small_vectorizer import vectorizer_of

NAMES = {
    "a format": "a%s%n%",
    "the end of a string": 'a"b\\',
    "the end of a comment": "a*/b",
    "what becomes the end of a comment": "a*\\b",
    "the begin of a comment": "/*/ //",
    "a trigraph": "a??/b??=",
    "a line break": "a\n#error b",
    "controls": "a\x1b[2J\x07\x7f\x85\0",
    "no ASCII": "\u8bc4\u8bba\u202e\U0001f600",
    "half of a character": "a\udcff",
    "a pattern": "[a-c]{x}$ENV{y}${z}*?",
    "a command": "-rf $(x) `y` 'z' ; & | <b>",
    "long": "x" * 300,
}


def _model(name: str, *outputs: str) -> Exportable:
    """Make a model of which everything that has a name begins with this one."""
    maker = GraphMaker()
    (h,) = maker.recurrence("LSTM", [maker.input(name, None, None, 3)], features=3, units=4)
    for _ in outputs:
        maker.one("Dense", [h], (None, 1), weights={"kernel": maker.weight(4, 1)})
    lstm, *heads = maker.nodes
    heads = [replace(one, outputs=(o,)) for one, o in zip(heads, outputs, strict=True)]
    maker.nodes = [replace(n, name=f"{name}{i}") for i, n in enumerate((lstm, *heads))]
    graph = maker.finish(*outputs)
    labels = (f"not {name}", name)
    decisions = [Decision(one, labels, "sigmoid", thresholds=(0.5,)) for one in outputs]
    return Exportable(graph, graph, name=name, decisions=tuple(decisions))


def _compiled(model: Exportable, folder: Path) -> dict[str, str]:
    """Compile source and header as the strictest user does; return all files' texts."""
    written = write_model(model, SCHEMES["float32"])
    texts = render(written, model, SCHEMES["float32"])
    made = {one.role: one.data.decode() for one in texts["companions"]}
    (folder / "model.c").write_text(made["source"])
    (folder / "model.h").write_text(made["header"])
    flags = ("-std=c11", *STRICT, "-Wtrigraphs", "-Wcomment", "-fsyntax-only")
    run_compiler(["gcc", *flags, "-DGATELET_LIBRARY", str(folder / "model.c")])
    run_compiler(["gcc", *flags, "-x", "c", str(folder / "model.h")])
    return {**made, "linked": texts["linked"]}


@pytest.mark.parametrize("name", NAMES.values(), ids=list(NAMES))
def test_a_c_model_compiles_whatever_things_are_called(name: str, tmp_path: Path) -> None:
    made = _compiled(_model(name, f"{name}!", f"{name}?"), tmp_path)
    assert made["cmake"].count("\n") == 11
    assert made["array"].count("*/") == 1


@pytest.mark.parametrize("name", ["a%s??/", 'a"\\b', "\u8bc4*\\"])
def test_a_library_tells_the_names_that_the_graph_has(name: str, tmp_path: Path) -> None:
    """Read the string as C does, without a library: trigraphs are the danger."""
    source = _compiled(_model(name, f"{name} out"), tmp_path)["linked"]
    (written,) = re.findall(r"char description\[\] = ((?:\s*\"(?:[^\"\\]|\\.)*\")+)", source)
    assert "??" not in written
    lines = ast.literal_eval(f"({written.replace(chr(92) + '?', '?')})").splitlines()
    assert [json.loads(line)[1] for line in lines] == [name, f"{name} out"]


def test_outputs_whose_names_differ_in_marks_alone_have_names_of_their_own(tmp_path: Path) -> None:
    made = _compiled(_model("a", "\u8bc4", "\u8bba", "%"), tmp_path)
    found = re.findall(r"int32_t (\w+)_decide\(", made["header"])
    assert len(set(found)) == len(found) == 3


def test_a_comment_ends_where_it_should() -> None:
    for text in ("*\\", "*/", "*\\/", "**//", "/*", "\\*", "?" * 9, "??/\n", *NAMES.values()):
        assert not re.search(r"\*/|/\*|\?\?|[^\x20-\x7e]|\\", comment(text)), text


@pytest.mark.parametrize(
    "name", ["a%s", "a[b]", "a\\b", "a\nb", "a*", "a?", "a:b", os.fsdecode(b"a\xff"), "a{b}"]
)
def test_tools_work_elsewhere_where_a_path_means_something_to_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = tmp_path / name
    stage.mkdir()
    with place_for_tools(stage) as place:
        assert is_plain(place) and place != stage
    monkeypatch.setattr("tempfile.tempdir", str(stage))
    refused = pytest.raises(OutputError, match="set TMPDIR to a folder whose path has only")
    with refused, place_for_tools(stage):
        pass
    assert not list(stage.iterdir())


@pytest.mark.parametrize(
    "name", ["demo", "my demo", "Pr\u00fcfung", "\u8bc4\u8bba", "a-b_c.d+e,f@g=~"]
)
def test_tools_work_in_the_stage_of_a_plain_path(name: str, tmp_path: Path) -> None:
    with place_for_tools(tmp_path / name) as place:
        assert place == tmp_path / name


@pytest.mark.parametrize("name", ["a%s", "a:b", "a\nb"])
def test_a_cache_folder_that_compilers_misread_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATELET_CACHE", str(tmp_path / name))
    with pytest.raises(CompilerFailed, match="set GATELET_CACHE to a folder whose path has only"):
        run_compiler(["true"])


@pytest.mark.parametrize("kind", ["InputLayer", "Embedding", "SimpleRNN", "Dense"])
def test_a_layer_whose_name_no_file_can_hold_is_refused(kind: str, tmp_path: Path) -> None:
    renamed = {one.name: f"{one.name}\ud800" for one in files.head(1) if one.kind == kind}
    layers = [
        replace(
            one,
            name=renamed.get(one.name, one.name),
            takes=tuple(renamed.get(name, name) for name in one.takes),
        )
        for one in files.head(1)
    ]
    model = files.save(tmp_path / "m.keras", layers, outputs=(layers[-1].name,))
    with pytest.raises(ModelError, match=r"\\ud800' is no Unicode text") as caught:
        convert(model, tmp_path / "bundle", targets=["onnx"], with_keras=False)
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "bundle").exists()


@pytest.mark.ci  # 20 s: TensorFlow's converter in a process of its own, and libraries of C
@pytest.mark.parametrize("name", [b"a%s[b]", b"a\\b\n*\\", b"a\xff\"'"])
def test_a_bundle_of_any_name_converts_runs_and_passes(name: bytes, tmp_path: Path) -> None:
    odd, layer = os.fsdecode(name), 'a%[*\\"\n'
    layers = [
        files.ids(layer),
        files.embedding(layer),
        files.rnn("embedding"),
        files.dense(1, "rnn", f"out{layer}", "sigmoid"),
    ]
    folder = tmp_path / odd
    folder.mkdir()
    model = files.save(folder / f"{odd}.keras", layers, outputs=(f"out{layer}",))
    bundle = convert(
        model,
        folder / odd,
        targets=["c", "litert", "onnx", "onnx-text", "tflm"],
        schemes=["float32"],
        vectorizer=vectorizer_of([f"w{number}" for number in range(1, files.V - 1)], maxlen=6),
        labels=(f"no{odd}", f"yes{odd}"),
        with_keras=False,
    )
    assert {one.target: one.verdict for one in bundle.artifacts} == dict.fromkeys(
        ("c", "litert", "onnx", "onnx-text", "tflm"), "pass"
    )
    assert not [entry for entry in bundle.manifest["files"] if entry["judged"]["verdict"] == "fail"]
    found = {
        one.target: load(bundle.path, target=one.target).predict(["w1 w2"])
        for one in bundle.artifacts
    }
    assert len({one.label for (one,) in found.values()}) == 1
    assert [path.name for path in folder.iterdir() if ".stage-" in path.name] == []
    _build_example(bundle.path, tmp_path)


def _build_example(bundle: Path, folder: Path) -> None:
    """Build the example as its first lines say, and let it predict."""
    (example,) = bundle.glob("c-*-example-*.c")
    (source,) = bundle.glob("c-*-model-*.c")
    program = str(folder / "example")
    command = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-o", program]
    subprocess.run([*command, example.name, source.name], cwd=bundle, check=True)
    done = subprocess.run([program, "w1 %s"], cwd=bundle, check=True, capture_output=True)
    assert done.stdout.endswith(b" w1 %s\n")
