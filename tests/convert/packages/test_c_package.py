"""The package of C files: strict compilers take it, and its programs say what predict says."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gatelet.cli import main
from gatelet.runtime.bundle.opening import open_bundle
from tests.convert.packages.made import export, run, tool

STRICT = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-O1")
COMPILERS = {"gcc": False, "clang": os.environ.get("GATELET_CLANG") == "required"}
Bundles = Callable[[str], Path]
pytestmark = pytest.mark.ci  # compilers


def built(folder: Path, program: str, compiler: str = "gcc") -> str:
    """Compile a program of a package as its README says, but strictly; return its path."""
    found = tool(compiler, f"apt-get install {compiler}", required=COMPILERS[compiler])
    files = [one for one in ("model.c", "weights.c", "vocabulary.c") if (folder / one).exists()]
    run(found, *STRICT, "-o", program, f"{program}.c", *files, folder=folder)
    return f"./{program}"


def said_by_predict(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    capsys.readouterr()
    assert main(["predict", *map(str, words)]) == 0
    return capsys.readouterr().out


def assert_alike(found: str, expected: str, *, apart: float) -> None:
    """Compare words one by one, numbers within a limit: a float's last digits may differ."""
    assert len(expected) > 20
    pairs = zip(re.split(r"(\s)", found), re.split(r"(\s)", expected), strict=True)
    for one, other in pairs:
        if one != other:
            assert abs(float(one.strip(",")) - float(other.strip(","))) <= apart, (one, other)


@pytest.mark.parametrize(
    ("model", "compiler"),
    [("texts", "gcc"), ("texts", "clang"), ("features", "clang"), ("several", "gcc")],
)
def test_the_self_test_of_integers_finds_the_same_bits(
    bundles: Bundles, model: str, compiler: str, tmp_path: Path
) -> None:
    folder = export(bundles(model), "c", tmp_path / "package", scheme="full-int8")
    assert run(built(folder, "selftest", compiler), folder=folder) == "wrong 0\n"


@pytest.mark.parametrize("scheme", ["float32", "dynamic-int8"])
def test_the_self_test_allows_floats_what_processors_differ_in(
    bundles: Bundles, scheme: str, tmp_path: Path
) -> None:
    folder = export(bundles("texts"), "c", tmp_path / "package", scheme=scheme)
    assert run(built(folder, "selftest"), folder=folder) == "wrong 0\n"


@pytest.mark.parametrize("scheme", ["float32", "full-int8"])
def test_the_self_test_sees_another_weight(bundles: Bundles, scheme: str, tmp_path: Path) -> None:
    folder = export(bundles("features"), "c", tmp_path / "package", scheme=scheme)
    weights = (folder / "weights.c").read_text()
    head, begin, numbers = weights.partition("= {\n")
    changed = numbers.split(",")
    for at in range(100, 180):  # behind the head, among the kernels
        changed[at] = f" {(int(changed[at]) + 64) % 256}"
    (folder / "weights.c").write_text(head + begin + ",".join(changed))
    program = built(folder, "selftest")
    with pytest.raises(AssertionError, match=r"wrong [1-9]"):
        run(program, folder=folder)


def test_the_self_test_sees_a_changed_score(bundles: Bundles, tmp_path: Path) -> None:
    folder = export(bundles("texts"), "c", tmp_path / "package", scheme="float32")
    golden = (folder / "golden.h").read_text()
    head, begin, rest = golden.partition("golden_expected[GOLDEN_ROWS][GOLDEN_SCORES] = {\n")
    (folder / "golden.h").write_text(head + begin + rest.replace("0.", "0.001", 1))
    program = built(folder, "selftest")
    # of one row: whole, in steps and as a text
    with pytest.raises(AssertionError, match="wrong 3"):
        run(program, folder=folder)


@pytest.mark.parametrize("model", ["texts", "decided"])
def test_the_example_prints_of_texts_what_predict_prints(
    bundles: Bundles, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = export(bundles(model), "c", tmp_path / "package", scheme="float32")
    program = built(folder, "example")
    texts = ["w1 w2 w30", "W5, w6 nothing", "", "w48 w47 w46 w45 w44 w43 w42 w41 w40 w39 w38 w37"]
    expected = said_by_predict(
        capsys, bundles(model), *texts, "--target", "c", "--scheme", "float32"
    )
    assert_alike(run(program, *texts, folder=folder), expected, apart=2e-6)
    assert_alike(run(program, stdin="\n".join(texts), folder=folder), expected, apart=2e-6)


@pytest.mark.parametrize("model", ["features", "numbers", "several"])
def test_the_examples_print_of_features_what_predict_prints(
    bundles: Bundles, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = export(bundles(model), "c", tmp_path / "package", scheme="full-int8")
    (name,) = (one.name for one in open_bundle(bundles(model)).structure().inputs)
    golden = open_bundle(bundles(model)).golden()
    assert golden is not None
    rows = np.asarray(golden.inputs[name], np.float32)[[0, 3, 5]]
    np.savez(tmp_path / "rows.npz", x=rows)
    lines = ["\n".join(" ".join(map(str, step)) for step in row.tolist()) for row in rows]
    (tmp_path / "rows.txt").write_text("\n\n".join(lines))
    given = ("--target", "c", "--scheme", "full-int8", "--file")
    for program, words in (
        ("example", (*given, tmp_path / "rows.npz")),
        ("stream", ("--stream", *given, tmp_path / "rows.txt")),
    ):
        expected = said_by_predict(capsys, bundles(model), *words)
        found = run(built(folder, program), stdin="\n\n".join(lines), folder=folder)
        assert_alike(found, expected, apart=0)


def test_the_stream_prints_of_words_what_predict_prints(
    bundles: Bundles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = export(bundles("texts"), "c", tmp_path / "package", scheme="full-int8")
    (tmp_path / "words").write_text("w3\nw4 w5\nnothing\n\nw3\n")
    given = ("--target", "c", "--scheme", "full-int8", "--file", tmp_path / "words")
    expected = said_by_predict(capsys, bundles("texts"), "--stream", *given)
    found = run(
        built(folder, "stream"), stdin=(tmp_path / "words").read_text(), folder=folder
    ).splitlines()
    told = "it has no word that the model knows"
    assert told in found
    assert_alike("\n".join(one for one in found if one != told) + "\n", expected, apart=0)


def test_the_code_is_the_one_that_was_judged(bundles: Bundles, tmp_path: Path) -> None:
    folder = export(bundles("texts"), "c", tmp_path / "package", scheme="dynamic-int8")
    bundle = open_bundle(bundles("texts"))
    (artifact,) = (one for one in bundle.artifacts if one.scheme == "dynamic-int8")
    source = bundle.contents.read(artifact.companions["source"])
    assert (folder / "model.c").read_bytes() == source
    numbers = (folder / "weights.c").read_text().partition("= {")[2].partition("}")[0]
    assert bytes(map(int, numbers.split(","))) == bundle.contents.read(artifact.path)


def test_the_header_says_labels_and_threshold(bundles: Bundles, tmp_path: Path) -> None:
    folder = export(bundles("texts"), "c", tmp_path / "package", scheme="float32")
    header = (folder / "model.h").read_text()
    assert "#define MODEL_LABELS 2\n" in header
    assert '#define MODEL_LABEL_NAMES {"bad", "g\\042ood\\134"}\n' in header
    assert "#define MODEL_THRESHOLD 0.5f\n" in header
    several = export(bundles("several"), "c", tmp_path / "several", scheme="full-int8")
    header = (several / "model.h").read_text()
    assert "model_decide(" in header and "MODEL_LABEL_NAMES" not in header


def test_headers_and_programs_are_c_plus_plus_too(bundles: Bundles, tmp_path: Path) -> None:
    compiler = tool("g++", "apt-get install g++", required=False)
    for model in ("texts", "features"):
        folder = export(bundles(model), "c", tmp_path / model, scheme="full-int8")
        names = [n for n in ("golden.h", "text.h", "step.h") if (folder / n).exists()]
        (folder / "all.cpp").write_text("".join(f'#include "{n}"\n' for n in names[:2]))
        strict = ("-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-fsyntax-only")
        run(compiler, *strict, "all.cpp", folder=folder)
