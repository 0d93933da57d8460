"""Which tests the fast tier of `./check` leaves out, and the order in which all of them run.

A new test is in the fast tier until a row here, or the marker `ci`, says that it is slow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

__all__ = [
    "C_SAMPLE",
    "SAMPLE",
    "SLOW",
    "SLOW_FIXTURES",
    "Slow",
    "arrange",
    "is_slow",
    "is_slow_file",
]

ROOT = Path(__file__).resolve().parent.parent

MEASURED = Path(__file__).with_name("slow_tests.txt")
"""Functions that were measured to take more than a second, beside those of `SLOW`: how many of
each one's parameters the fast tier keeps, and its name; `tests.processor_time` writes it."""


@dataclass(frozen=True)
class Slow:
    """Tests that only `./check --ci` runs.

    Args:
        files: Pattern of paths below tests/, such as 'convert/test_*.py'.
        tests: Pattern of the functions' names.
        keep: Of a family with parameters: the fast tier keeps the tests that have one of these
            words as a parameter, or all of those joined by '+'.
    """

    files: str
    tests: str = "*"
    keep: tuple[str, ...] = ()


SAMPLE = (
    "lstm_classic",
    "lstm_masked",
    "gru_reset_before_masked",
    "simple_rnn",
    "bidirectional_concat",
    "bidirectional_masked",
    "stack_three_mixed",
    "lstm_odd_activations",
    "softmax_every_step",
    "encoder_decoder",
    "conv_causal_dilated",
    "batch_normalized",
    "layer_normalized",
    "text_and_numbers",
    "features_masked_by_value",
    "conv_lstm",
    "stateful",
)
"""The cases of the conformance tests that the fast tier runs: each operation of a graph is in one
of them, and a fault in it is seen there first."""

C_SAMPLE = (
    "lstm_masked",
    "gru_reset_before_masked",
    "bidirectional_masked",
    "conv_causal_dilated",
    "text_and_numbers",
    "stateful",
)
"""Those of them that the fast tier compiles, and exports to litert: a second each, for each
scheme."""

WORTH_IT = (
    "cli/test_bench.py::test_measures_every_artifact",
    "cli/test_doctor.py::test_tells_the_machine_the_engines_and_what_runs",
    "cli/test_doctor.py::test_without_engines_it_tells_how_to_install_them",
    "cli/test_weights_and_config.py::test_they_convert_from_python_and_keras_agrees",
    "convert/exporters/test_c_integers.py::test_every_build_gives_the_same_bits_close_to_float",
    "convert/exporters/test_c_storage.py::test_what_is_stored_is_what_runs",
    "convert/exporters/test_litert_layers.py::test_poolings_do_not_count_padding",
    "convert/exporters/test_litert_layers.py::test_products_tables_and_normalisations",
    "convert/test_function_limits.py::test_functions_of_convert_are_small",
    "convert/test_isolation.py::test_a_parent_that_is_killed_takes_the_worker_with_it",
    "convert/test_streaming.py::test_other_models_stream_where_that_is_asked_for",
    "train/test_fit.py::test_a_run_has_all_its_files_and_no_stage_is_left",
)
"""Slow, and in the fast tier all the same: what nothing else there runs."""

SLOW_FIXTURES = ("quickstart", "quickstart_zh")
"""Each trains a model on a corpus: longer than a third of the fast tier."""

SLOW_MARKERS = ("browser", "install")

SLOW = (
    Slow("adversary/test_texts.py", "test_a_reader_in_c_*", keep=("two words' ids", "case")),
    Slow("adversary/test_texts.py", "test_another_vectorizer_*", keep=("swapped",)),
    Slow("adversary/test_texts.py", "test_a_copy_in_*", keep=("swap_ids", "change_digest")),
    Slow("adversary/test_texts.py", "test_a_bundle_with*", keep=("swapped",)),
    Slow("adversary/test_texts.py", "test_a_layer_that_*", keep=("swapped",)),
    Slow("adversary/test_texts.py", "test_labels_that_*", keep=("onnx",)),
    Slow("adversary/test_texts.py", "test_*_however_many_they_are"),
    # every case: the fast tier runs a sample
    Slow("conformance/test_conformance.py", "test_the_reference_*", keep=SAMPLE),
    Slow("conformance/test_conformance.py", "test_pure", keep=SAMPLE),
    Slow(
        "conformance/test_conformance.py",
        "test_an_artifact_*",
        keep=(*(f"onnx+{case}" for case in SAMPLE), *(f"litert+{case}" for case in C_SAMPLE)),
    ),
    Slow("conformance/test_conformance_c.py", "test_c", keep=C_SAMPLE),
    Slow("conformance/test_conformance_c.py", "test_c_under_the_sanitizers"),
    Slow("conformance/test_conformance_c.py", "test_most_stacks_*"),
    Slow("conformance/test_conformance_text.py", "test_texts_*", keep=("lstm_masked", "gru")),
    Slow("conformance/test_conformance_text.py", "test_most_cases_*"),
    Slow("conformance/test_streaming.py", "test_reference", keep=C_SAMPLE),
    Slow("conformance/test_streaming.py", "test_pure", keep=SAMPLE),
    Slow("conformance/test_streaming.py", "test_onnx", keep=SAMPLE),
    Slow("conformance/test_streaming.py", "test_litert"),
    Slow("conformance/test_streaming.py", "test_most_cases_*"),
    Slow("conformance/test_tflm.py", "test_tflm", keep=("lstm_masked", "two_outputs")),
    Slow("conformance/test_large_cases.py", "test_rounding_*"),
    Slow("conformance/test_honest.py"),
    Slow("conformance/test_lint_agrees.py"),
    Slow("conformance/test_random_*.py", "test_random_*"),
    Slow("conformance/test_support_page.py"),
    Slow("conformance/test_tf2onnx.py"),
    # many compilers, emulators, engines, browsers
    Slow("adversary/test_tampering.py"),
    Slow("adversary/test_verdicts.py", "test_each_level_*"),
    Slow("convert/test_foldings.py", "test_the_converters_own_*"),
    Slow("convert/exporters/test_c_hostile.py"),
    Slow("convert/exporters/test_c_processors.py"),
    Slow("convert/exporters/test_c_kernels.py", "test_every_level_*", keep=("v3",)),
    Slow("convert/exporters/test_c_kernels.py", "test_other_processors_*"),
    Slow("convert/exporters/test_c_devices.py", "test_the_library_*"),
    Slow("convert/exporters/test_c_devices.py", "test_a_bundle_*"),
    Slow("convert/exporters/test_c_ahead.py", "test_one_row_*", keep=("53",)),
    Slow("convert/exporters/test_c_vectorizer.py", "test_ten_thousand_*"),
    Slow("convert/exporters/test_litert_file.py"),
    Slow("convert/exporters/test_litert_int8.py"),
    Slow("convert/exporters/test_litert_recurrences.py"),
    Slow("convert/exporters/test_onnx_recurrences.py", "test_a_scan_*"),
    Slow("convert/lowering/test_bidirectional.py", "test_states_of_*", keep=("concat",)),
    Slow("convert/lowering/test_bidirectional.py", "test_merge_modes", keep=("concat", "ave")),
    Slow("convert/parity/computes/test_c.py"),
    Slow("convert/parity/computes/test_litert.py"),
    Slow("convert/reading/test_same_network.py"),
    Slow("convert/test_keras_route.py"),
    Slow("convert/test_misread.py", "test_a_kernel_that_nobody_*", keep=("onnx",)),
    Slow("convert/test_ladder.py", "test_a_model_that_int8_*", keep=("logits",)),
    Slow("convert/test_ladder.py", "test_a_scheme_that_saves_*", keep=("60",)),
    Slow("convert/test_ladder.py", "test_a_sound_model_*", keep=("onnx",)),
    Slow("convert/test_streaming.py", "test_a_sound_*"),
    Slow("convert/test_streaming.py", "test_faulty_*"),
    Slow("javascript/*.py"),
    Slow("runtime/test_c_target.py"),
    Slow("runtime/test_fuzz.py"),
    Slow("runtime/test_threads.py"),
    Slow("test_architecture.py", "test_lint_is_green_*"),
    Slow("test_old_engines.py"),
    Slow("test_recipes.py"),
    Slow("train/test_interrupt.py"),
)

BEGIN_WITH = (
    "test_install.py",
    "conformance/test_conformance.py",
    "test_quickstart.py",
    "conformance/test_conformance_c.py",
    "test_install_pythons.py",
    "conformance/test_streaming.py",
    "conformance/test_conformance_text.py",
    "conformance/test_random_models.py",
    "conformance/test_large_cases.py",
    "convert/test_convert.py",
    "convert/test_crash.py",
    "convert/test_parity_faults.py",
    "train/test_fit.py",
    "test_old_engines.py",
)
"""Files that take long, the longest first: the others fill the gaps."""


def arrange(items: list[pytest.Item]) -> None:
    """Mark and order tests, before `-m` chooses among them."""
    order = {name: index for index, name in enumerate(BEGIN_WITH)}
    measured = kept_of_measured()
    families: dict[str, list[pytest.Item]] = {}
    for item in items:
        if is_slow(item):
            item.add_marker("ci")
        else:
            families.setdefault(function_of(item), []).append(item)
    for name, kept in measured.items():
        family = families.get(name, [])
        spread = {round(i * (len(family) - 1) / max(1, kept - 1)) for i in range(kept)}
        for place, item in enumerate(family):
            if place not in spread:
                item.add_marker("ci")
    items.sort(key=lambda item: order.get(_file(item), len(order)))  # stable


def kept_of_measured() -> dict[str, int]:
    """Return how many parameters of each measured function the fast tier keeps."""
    rows = (line.split() for line in MEASURED.read_text("utf-8").splitlines())
    return {name: int(kept) for kept, name in rows}


def function_of(item: pytest.Item) -> str:
    """Return a test's file and function, whatever its parameters."""
    return f"{_file(item)}::{item.name.partition('[')[0]}"


def is_slow_file(path: Path) -> bool:
    """Report whether the fast tier leaves all of a file out: then it need not be imported."""
    if not (path.name.startswith("test_") and path.is_relative_to(ROOT / "tests")):
        return False
    name = path.relative_to(ROOT / "tests").as_posix()
    return any(fnmatchcase(name, row.files) for row in SLOW if row.tests == "*" and not row.keep)


def is_slow(item: pytest.Item) -> bool:
    """Report whether the fast tier leaves a test out."""
    fixtures: Sequence[str] = getattr(item, "fixturenames", ())
    return (
        any(name in fixtures for name in SLOW_FIXTURES)
        or any(item.get_closest_marker(name) for name in SLOW_MARKERS)
        or any(_names(row, item) for row in SLOW)
    )


def _names(row: Slow, item: pytest.Item) -> bool:
    name, _, parameters = item.name.partition("[")
    if not (fnmatchcase(_file(item), row.files) and fnmatchcase(name, row.tests)):
        return False
    return not any(
        set(words.split("+")) <= set(parameters.rstrip("]").split("-")) for words in row.keep
    )


def _file(item: pytest.Item) -> str:
    return item.path.relative_to(ROOT / "tests").as_posix()
