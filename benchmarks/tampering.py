"""The table of docs/parity.md: each file of a bundle, altered in five ways, and what tells.

Usage: python benchmarks/tampering.py FOLDER

Converts four small models to all targets and schemes, alters each file of the first one's bundle,
and repairs every digest, those of verdicts too. Prints the table as Markdown, and exits 1 if
parity passes an altered file, or predict answers without a word. Bundles that FOLDER has are used.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from gatelet.errors import GateletError
from gatelet.runtime import load
from gatelet.runtime.bundle.opening import is_bundle
from tests.adversary.tampering import WAYS, Altered, Judge, alter, altered_files, make_bundles


def main() -> int:
    """Make the table."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    names = ("own", *(way for way in WAYS if way not in ("flipped", "truncated")))
    bundles = {name: folder / name.replace(" ", "-") / "model" for name in names}
    if not all(map(is_bundle, bundles.values())):
        every = {"targets": ("all",), "schemes": ("all",), "devices": ("raspberry-pi-4",)}
        make_bundles(folder, **every, stream=True)
    judge = Judge(bundles["own"])
    rows: dict[str, dict[str, Counter[str]]] = {}
    verdicts, passed = Counter[str](), []
    for change in altered_files(bundles):
        found = judge.finding(change)
        verdicts[found.verdict] += 1
        if found.verdict == "pass":
            passed.append(f"{change.what}, {change.way}")
        if is_silent(bundles["own"], change):
            passed.append(f"{change.what}, {change.way}, by predict")
        how = found.by if found.verdict == "fail" else found.verdict
        row = rows.setdefault(kind_of(change.what), {way: Counter() for way in WAYS})
        row[change.way][how] += 1
        print(f"{change.what}, {change.way}: {found.verdict}, {found.note}", file=sys.stderr)
    print(f"| file | {' | '.join(WAYS)} |\n|---|{'---|' * len(WAYS)}")
    for what, told in rows.items():
        cells = (", ".join(f"{how} {n}" for how, n in told[way].items()) or "-" for way in WAYS)
        print(f"| {what} | {' | '.join(cells)} |")
    print(f"\n{', '.join(f'{n} {verdict}' for verdict, n in verdicts.items())}", *passed)
    return 1 if passed else 0


def is_silent(bundle: Path, change: Altered) -> bool:
    """Return whether a bundle answers without a word where digests of verdicts are not repaired."""
    with tempfile.TemporaryDirectory() as folder:
        out = alter(bundle, Path(folder) / "model", change, verdicts=False)
        try:
            return not load(out, target="onnx", scheme="float32").note
        except GateletError:
            return False


def kind_of(what: str) -> str:
    """Return what a file is, without the scheme."""
    words = what.split()
    return " ".join((words[0], *words[2:]))


if __name__ == "__main__":
    sys.exit(main())
