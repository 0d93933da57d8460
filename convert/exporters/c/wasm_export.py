"""Export to WebAssembly: the weights of c, byte for byte, and the same code compiled for pages.

Not the calls and kernels, which are those of `gatelet.convert.exporters.c.export`.
"""

from gatelet.convert.exporters.c.export import facts_of, write_model
from gatelet.convert.exporters.c.files import render
from gatelet.convert.exporters.c.source import fill
from gatelet.convert.exporters.c.wasm_build import build_wasm
from gatelet.convert.exporters.exported import Companion, Exportable, Exported
from gatelet.convert.schemes import Scheme
from gatelet.runtime.graph.states import STREAM_ROLE


def export_wasm(model: Exportable, scheme: Scheme) -> Exported:
    """Export a model to WebAssembly.

    Args:
        model: As for `export_c`.
        scheme: Likewise.

    Returns:
        The weights of c in that scheme; companions are the code, with and without vectors, and the
        vocabulary.

    Raises:
        ConversionError: As `export_c`.
        Refused: Likewise.
        CompilerFailed: ziglang is not installed, or refuses the source.
    """
    written = write_model(model, scheme)
    files = render(written, model, scheme)
    beside = {one.role: one for one in files["companions"]}
    forms = ["library"] + (["step_library"] if written.steps is not None else [])
    called = fill(
        "wasm.c",
        {
            "forms": ", ".join(f"&{written.prefix}_{one}" for one in forms),
            "texts": fill("wasm_texts.c", {}) if "vocabulary" in beside else "",
        },
    )
    codes = build_wasm(files["source"] + called, scratch=model.scratch)
    companions = [
        Companion(f"code:{kind}", f"wasm-{scheme.name}-{kind}", ".wasm", data)
        for kind, data in codes.items()
    ]
    if written.steps is not None:
        # the code that streams: its weights are the artifact's own
        first = companions[0]
        companions.append(Companion(STREAM_ROLE, first.stem, first.suffix, first.data))
    if "vocabulary" in beside:
        companions.append(beside["vocabulary"])
    return Exported(
        written.weights,
        tuple(sorted(written.kernels)),
        facts=facts_of(written, model),
        companions=tuple(companions),
    )
