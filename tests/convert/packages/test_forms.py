"""Each form of package: its own tool accepts it, or what it must hold is looked for."""

import json
import os
import re
import select
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from gatelet.convert.packages import FORMS
from gatelet.convert.packages.package import open_package
from gatelet.convert.packages.readme import memory_rows
from tests.convert.packages.made import TOOLS, export, run, tool

Bundles = Callable[[str], Path]
pytestmark = pytest.mark.ci  # compilers, and the tools of five ecosystems
ARDUINO = Path("/usr/share/arduino/hardware")
_ARDUINO_LINES = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category"}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_its_figures_verdict_and_licenses(
    bundles: Bundles, form: str, tmp_path: Path
) -> None:
    folder = export(bundles("features"), form, tmp_path / "package", scheme="full-int8")
    readme = (folder / "README.md").read_text()
    rows = memory_rows(open_package(bundles("features"), scheme="full-int8"))
    for what, where, count in rows if FORMS[form].write is None else ():
        assert f"| {what} | {where} | {count} |" in readme
    assert "**pass**" in readme and f"--to {form}`" in readme
    assert "ask the owner" in (folder / "LICENSE").read_text()
    assert "Apache License" in (folder / "LICENSE-APACHE.txt").read_text()
    marker = json.loads((folder / "gatelet-package.json").read_text())
    files = {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()}
    assert files - {"gatelet-package.json"} == set(marker["files"])
    texts = {one: (folder / one).read_text() for one in files if not one.endswith(".bin")}
    assert not [one for one, text in texts.items() if re.search(r"\$\{?[a-z]+_", text)], "unfilled"


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_cmake_builds_it_with_two_compilers_and_its_test_passes(
    bundles: Bundles, compiler: str, tmp_path: Path
) -> None:
    is_required = os.environ.get("GATELET_CMAKE") == "required"
    cmake = tool("cmake", "apt-get install cmake make", required=is_required)
    tool(compiler, f"apt-get install {compiler}", required=False)
    folder = export(bundles("texts"), "cmake", tmp_path / "it", scheme="full-int8", name="words")
    flags = [f"-DCMAKE_C_COMPILER={compiler}", "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror"]
    run(cmake, "-S", ".", "-B", "build", "-DCMAKE_BUILD_TYPE=Debug", *flags, folder=folder)
    run(cmake, "--build", "build", folder=folder)
    assert "100% tests passed" in run("ctest", "--test-dir", "build", folder=folder)
    found = run("build/example", "w1 w2", folder=folder)
    assert re.fullmatch(r'(bad|g"ood\\)  0\.\d{6}  w1 w2\n', found)


def test_another_project_finds_what_cmake_installed(bundles: Bundles, tmp_path: Path) -> None:
    is_required = os.environ.get("GATELET_CMAKE") == "required"
    cmake = tool("cmake", "apt-get install cmake make", required=is_required)
    folder = export(bundles("texts"), "cmake", tmp_path / "it", scheme="full-int8", name="words")
    run(cmake, "-S", ".", "-B", "build", "-DCMAKE_BUILD_TYPE=Debug", folder=folder)
    run(cmake, "--build", "build", "--target", "words", folder=folder)
    run(cmake, "--build", "build", "--target", "all", folder=folder)
    run(cmake, "--install", "build", "--prefix", str(tmp_path / "root"), folder=folder)
    other = tmp_path / "other"
    other.mkdir()
    (other / "main.c").write_text(
        '#include "words.h"\n'
        "int main(void) { return model_check(model_weights, MODEL_WEIGHTS_BYTES); }\n"
    )
    (other / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(other C)\nfind_package(words REQUIRED)\n"
        "add_executable(main main.c)\ntarget_link_libraries(main PRIVATE words::words)\n"
    )
    run(cmake, "-B", "build", f"-DCMAKE_PREFIX_PATH={tmp_path / 'root'}", folder=other)
    run(cmake, "--build", "build", folder=other)
    run("build/main", folder=other)


def test_an_arduino_library_has_what_its_specification_asks_for(
    bundles: Bundles, tmp_path: Path
) -> None:
    folder = export(bundles("texts"), "arduino", tmp_path / "it", scheme="full-int8", name="Words")
    lines = (folder / "library.properties").read_text().splitlines()
    told = dict(line.partition("=")[::2] for line in lines)
    assert set(told) > _ARDUINO_LINES and all(told[name] for name in _ARDUINO_LINES)
    assert told["name"] == "Words" and told["includes"] == "Words.h"
    assert re.fullmatch(r"\d+\.\d+\.\d+", told["version"])
    assert (folder / "src" / "Words.h").is_file()
    for sketch in ("SelfTest", "Predict"):
        assert (folder / "examples" / sketch / f"{sketch}.ino").is_file()
    words = (folder / "keywords.txt").read_text()
    assert "model_predict_text\tKEYWORD2\n" in words


def test_arduino_builder_builds_its_sketches_and_a_simulated_board_finds_nothing_wrong(
    bundles: Bundles, tmp_path: Path
) -> None:
    is_required = os.environ.get("GATELET_AVR") == "required"
    hint = "apt-get install arduino-builder arduino-core-avr gcc-avr avr-libc simavr"
    builder = tool("arduino-builder", hint, required=is_required)
    simulator = tool("simavr", hint, required=is_required)
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    folder = export(bundles("features"), "arduino", libraries / "it", scheme="full-int8", name="It")
    build = tmp_path / "build"
    build.mkdir()
    given = ["-compile", "-fqbn", "arduino:avr:mega:cpu=atmega2560", "-build-path", str(build)]
    for place in (ARDUINO, ARDUINO.parent.parent / "arduino-builder"):
        given += ["-hardware", str(place)]
    given += ["-tools", str(Path(builder).parent), "-libraries", str(libraries)]
    given += ["-prefs", "runtime.tools.avr-gcc.path=/usr"]  # Debian's, as is what comes next
    given += ["-prefs", "compiler.cpp.extra_flags=-DDECIMAL_DIG=__DECIMAL_DIG__"]
    for sketch in ("Predict", "SelfTest"):
        run(builder, *given, str(folder / "examples" / sketch / f"{sketch}.ino"), folder=tmp_path)
    board = [simulator, "-m", "atmega2560", "-f", "16000000", str(build / "SelfTest.ino.elf")]
    with subprocess.Popen(board, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            assert process.stdout is not None
            said = b""
            while (found := re.search(rb"wrong (\d+)\.", said)) is None:
                ready, _, _ = select.select([process.stdout], [], [], 120)
                part = os.read(process.stdout.fileno(), 4096) if ready else b""
                assert part, said
                said += part
        finally:
            process.kill()  # a sketch never ends
    assert found[1] == b"0", said


def test_platformio_packs_it(bundles: Bundles, tmp_path: Path) -> None:
    folder = export(bundles("texts"), "platformio", tmp_path / "it", scheme="full-int8")
    told = json.loads((folder / "library.json").read_text())
    for one in told["examples"]:
        assert one["files"]
        assert all((folder / one["base"] / name).is_file() for name in one["files"])
    assert "license" not in told  # of which `pio` asks the network
    pio = tool("pio", "pip install platformio", required=TOOLS is not None)
    environment = {
        **os.environ,
        "PLATFORMIO_CORE_DIR": str(tmp_path / "core"),
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no",
    }
    command = [pio, "pkg", "pack", "-o", str(tmp_path / "it.tar.gz")]
    done = subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with tarfile.open(tmp_path / "it.tar.gz") as archive:
        assert any(one.name == "src/weights.c" for one in archive)


def test_the_manifest_of_a_component_is_valid(bundles: Bundles, tmp_path: Path) -> None:
    folder = export(bundles("features"), "esp-idf", tmp_path / "it", scheme="full-int8", name="it")
    found = yaml.safe_load((folder / "examples/selftest/main/idf_component.yml").read_text())
    place = folder / "examples/selftest/main" / found["dependencies"]["it"]["override_path"]
    assert place.resolve() == folder.resolve()
    sources = re.search(r"SRCS (.*) INCLUDE_DIRS", (folder / "CMakeLists.txt").read_text())
    assert sources is not None
    assert all((folder / one).is_file() for one in sources[1].split())
    for name in ("selftest", "predict"):
        main = folder / "examples" / name / "main"
        source = (main / "CMakeLists.txt").read_text().split()[1].rstrip(")")
        assert "void app_main(void) {" in (main / source).read_text()
    compote = tool("compote", "pip install idf-component-manager", required=TOOLS is not None)
    run(compote, "manifest", "lint", folder=folder)


def test_a_zephyr_module_has_what_its_schema_asks_for(bundles: Bundles, tmp_path: Path) -> None:
    folder = export(bundles("texts"), "zephyr", tmp_path / "it", scheme="full-int8", name="words")
    module = yaml.safe_load((folder / "zephyr/module.yml").read_text())
    assert module["name"] == "words"
    assert (folder / module["build"]["cmake"] / "CMakeLists.txt").is_file()
    assert (folder / module["build"]["kconfig"]).is_file()
    text = (folder / "zephyr/CMakeLists.txt").read_text()
    symbol = "GATELET_WORDS"
    assert f"config {symbol}\n" in (folder / "zephyr/Kconfig").read_text()
    assert f"if(CONFIG_{symbol})" in text
    assert f"CONFIG_{symbol}=y" in (folder / "samples/selftest/prj.conf").read_text()
    for one in re.findall(r"\.\./src/\S+\.c", text):
        assert (folder / "zephyr" / one).is_file()
    sample = yaml.safe_load((folder / "samples/selftest/sample.yaml").read_text())
    (test,) = sample["tests"].values()
    assert test["harness_config"]["regex"] == ["wrong 0"]


def test_a_cmsis_pack_is_well_formed_and_names_files_that_are_there(
    bundles: Bundles, tmp_path: Path
) -> None:
    folder = export(bundles("texts"), "cmsis-pack", tmp_path / "it", scheme="full-int8", name="w")
    pack = ElementTree.parse(folder / "gatelet.w.pdsc").getroot()
    assert pack.tag == "package" and pack.get("schemaVersion")
    needed = ("vendor", "name", "description", "url", "license", "releases", "components")
    assert [one.tag for one in pack] == list(needed)
    (release,) = pack.iter("release")
    (component,) = pack.iter("component")
    assert release.get("version") == component.get("Cversion") == "1.0.0"
    for key in ("Cclass", "Cgroup", "Csub"):
        assert component.get(key)
    files = [str(one.get("name")) for one in pack.iter("file")]
    assert len(files) >= 6 and "src/vocabulary.c" in files
    assert all((folder / one).exists() for one in files)
