"""What people read in a package: README.md and LICENSE.

Not what tools read: see `gatelet.convert.packages.described`.
"""

from collections.abc import Collection, Mapping

import gatelet
from gatelet.convert.packages.filling import fill
from gatelet.convert.packages.package import Package
from gatelet.convert.packages.programs import limit_of
from gatelet.runtime.bundle.device_figures import HEADER, rows_of
from gatelet.runtime.terminal import one_line


def readme(package: Package, form: str, told: str, made: Mapping[str, bytes]) -> str:
    """Return README.md.

    Args:
        package: The package.
        form: Its form.
        told: Whom that is for.
        made: Its files, by their paths.
    """
    count = len(package.golden.inputs)
    limit, _ = limit_of(package.artifact.scheme)
    texts = "example" if _has(made, "text.h") else ""
    is_c = "model.h" in made or "src/model.h" in made
    c_files = " ".join(name for name in package.sources if name.endswith(".c"))
    values = {
        **package.values,
        "form": form,
        "form_told": told,
        "gatelet": gatelet.__version__,
        "c_files": c_files,
        "memory": _table(memory_rows(package) if is_c else _of_files(package, made)),
        "names": fill("names.md", package.values) if is_c else "",
        "verdict": verdict(package) + _devices(package),
        "golden_rows": f"{count} golden row{'s' * (count > 1)}",
        "engine": package.engine,
        "limit_text": ", to the bit" if not limit else f", within {limit:g}",
        "and_vocabulary": " and vocabulary" if "vocabulary.c" in package.sources else "",
        "license_text": f": {package.license}" if package.license else "",
    }
    values["example_lines"] = _examples(made, c_files, form, texts=bool(texts))
    return fill("README.md", {**values, "usage": fill(f"usage/{form}.md", values)})


def _of_files(package: Package, made: Mapping[str, bytes]) -> list[tuple[str, str, str]]:
    """Return what a module and its weights need: the interpreter decides about RAM."""
    names = (f"{package.name}.py", f"{package.name}.bin")
    return [(f"`{name}`", "flash", f"{len(made[name]):,}") for name in names if name in made]


def _examples(made: Collection[str], c_files: str, form: str, *, texts: bool) -> str:
    """Return how the examples of a form with a command line are run."""
    lines = []
    for name, given in (
        ("example", '"a text"' if texts else "< rows.txt"),
        ("stream", "< steps.txt"),
    ):
        if not _has(made, f"{name}.c"):
            continue
        build = f"cc -O3 -o {name} {name}.c {c_files} && " if form == "c" else ""
        folder = "." if form == "c" else "build"
        lines.append(f"    {build}{folder}/{name} {given}")
    return "\n".join(lines) + ("\n" if lines else "")


def _has(made: Collection[str], name: str) -> bool:
    return any(path.rpartition("/")[2] == name for path in made)


def memory_rows(package: Package) -> list[tuple[str, str, str]]:
    """Return what is needed: a name, where, and its bytes."""
    memory, rows = package.memory, []
    rows.append(("weights", "flash", f"{memory.weights_bytes:,}"))
    if memory.vocabulary_bytes:
        rows.append(("vocabulary, where texts are read", "flash", f"{memory.vocabulary_bytes:,}"))
    of = f", {memory.timesteps:,} timesteps" if memory.timesteps else ""
    rows.append((f"scratch of a whole row{of}", "RAM", f"{memory.scratch_bytes:,}"))
    if memory.state_bytes:
        rows.append(("scratch of a step", "RAM", f"{memory.step_scratch_bytes:,}"))
        rows.append(("state of a sequence under way", "RAM", f"{memory.state_bytes:,}"))
    return rows


def _table(rows: Collection[tuple[str, str, str]]) -> str:
    lines = ["| what | where | bytes |", "|---|---|---:|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _devices(package: Package) -> str:
    """Return what is known of the artifact on devices: sizes, instructions, verdict, compiler."""
    rows = rows_of(package.bundle, package.artifact)
    if not rows:
        return ""
    lines = (f"| {' | '.join(row)} |" for row in (HEADER, ("---",) * len(HEADER), *rows))
    text = "\n".join(one_line(line) for line in lines)
    return (
        f"\n\nOn devices, linked with the self-test and run (`gatelet verify`), in bytes:\n\n{text}"
    )


def verdict(package: Package) -> str:
    """Say what parity said of the artifact, on what it ran, and what compiled that."""
    artifact = package.artifact
    engine = artifact.parity.get("engine")
    packages = package.bundle.manifest.get("provenance", {}).get("packages", {})
    zig = packages.get("ziglang")
    compiler = f"ziglang {zig}" if zig else "the machine's compiler"
    by = f", run as {one_line(str(engine))}, compiled by {one_line(compiler)}" if engine else ""
    return f"Parity of c {artifact.scheme}: **{artifact.verdict}**{by}."


def license_text(package: Package, sources: Mapping[str, object]) -> str:
    """Return LICENSE: whose what is."""
    data = [name for name in ("vocabulary.c", "golden.h") if _has(sources, name)]
    says = "Nobody has said here what others may do with them: ask the owner."
    if package.license:
        says = f"Their license is: {package.license}."
    weights = [name for name in ("weights.c", "weights.bin") if _has(sources, name)]
    return fill(
        "LICENSE.txt",
        {
            **package.values,
            "gatelet": gatelet.__version__,
            "weights_files": ", ".join(weights),
            "data_files": ", ".join(data),
            "owner_says": says,
        },
    )
