"""The table of docs/parity.md: each file of a bundle, altered in five ways, and what tells.

Usage: python benchmarks/tampering.py FOLDER

Converts four small models to all targets and schemes, alters each file of the first one's bundle,
and repairs every digest, those of verdicts too. Prints the table as Markdown, and exits 1 if
parity passes an altered file. Goes on with the bundles that FOLDER has.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from gatelet.runtime.bundle.opening import is_bundle
from tests.adversary.tampering import WAYS, Judge, altered_files, make_bundles


def main() -> int:
    """Make the table."""
    folder = Path(sys.argv[1])
    names = ("own", *(way for way in WAYS if way not in ("flipped", "truncated")))
    bundles = {name: folder / name.replace(" ", "-") / "model" for name in names}
    if not all(map(is_bundle, bundles.values())):
        every = {"targets": ("all",), "schemes": ("all",), "devices": ("raspberry-pi-4",)}
        make_bundles(folder, **every, stream=True)
    judge, rows, passed, verdicts = Judge(bundles["own"]), {}, [], {"fail": 0, "not run": 0}
    for change in altered_files(bundles):
        found = judge.finding(change)
        how = found.by if found.by != "run" else f"run: {found.note.split(',')[0].split(':')[0]}"
        rows.setdefault(change.what, {})[change.way] = how if found.verdict == "fail" else "not run"
        if found.verdict == "pass":
            passed.append(f"{change.what}, {change.way}")
        else:
            verdicts[found.verdict] += 1
        print(f"{change.what}, {change.way}: {found.verdict}, {found.note}", file=sys.stderr)
    print(f"| file | {' | '.join(WAYS)} |")
    print(f"|---|{'---|' * len(WAYS)}")
    for what, told in rows.items():
        print(f"| {what} | {' | '.join(told.get(way, 'same bytes') for way in WAYS)} |")
    print(f"\n{verdicts['fail']} fail, {verdicts['not run']} not run, {len(passed)} pass", *passed)
    return 1 if passed else 0


if __name__ == "__main__":
    sys.exit(main())
