"""Counts product code without blanks, comments and docstrings: `count_lines.py [COMMIT]`.

Of the work tree, or of a commit. With --against it shows another commit beside it, and exits 1 if
that one has fewer lines. Product code is Python and C, templates of C too, in gatelet, train,
convert, runtime and devices; links are not followed, so nothing is counted twice.
"""

import argparse
import ast
import io
import re
import subprocess
import sys
import tarfile
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ("gatelet", "train", "convert", "runtime", "devices")
NO_CODE = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}
# what is no comment is matched first: a comment may stand in a string, a quote in a comment
C_TOKENS = re.compile(
    r'"(?:\\.|[^"\\\n])*"' r"|'(?:\\.|[^'\\\n])*'" r"|(?P<comment>//[^\n]*|/\*.*?\*/)", re.DOTALL
)


def python_lines(source: str) -> int:
    """Count the lines that hold code; all lines of a string that is no docstring do."""
    docstrings = {
        (node.lineno, node.col_offset)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }
    lines = source.splitlines()
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE and not (
            token.type == tokenize.STRING and _place(token, lines) in docstrings
        ):
            found |= set(range(token.start[0], token.end[0] + 1))
    return sum(1 for number in found if lines[number - 1].strip())


def _place(token: tokenize.TokenInfo, lines: list[str]) -> tuple[int, int]:
    """Return a token's place as ast does: its column counts bytes."""
    row, column = token.start
    return row, len(lines[row - 1][:column].encode())


def c_lines(source: str) -> int:
    """Count the lines that hold more than a comment."""

    def without(match: re.Match[str]) -> str:
        comment = match["comment"]
        return match[0] if comment is None else "\n" * comment.count("\n")

    return sum(1 for line in C_TOKENS.sub(without, source).splitlines() if line.strip())


def product_files(commit: str | None) -> Iterator[tuple[str, str]]:
    """Yield path and text of each file of product code, of a commit or of the work tree."""
    if commit is None:
        listed = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard", *FOLDERS)
        for name in sorted(set(listed.decode().split("\0"))):
            path = ROOT / name
            if _is_code(name) and path.is_file() and not path.is_symlink():
                yield name, path.read_text("utf-8")
        return
    with tarfile.open(fileobj=io.BytesIO(_git("archive", commit))) as archive:
        for member in archive:
            if member.isfile() and member.name.split("/")[0] in FOLDERS and _is_code(member.name):
                file = archive.extractfile(member)
                assert file is not None
                yield member.name, file.read().decode()


def _git(*words: str) -> bytes:
    done = subprocess.run(["git", "-C", str(ROOT), *words], check=False, capture_output=True)
    if done.returncode:
        sys.exit(done.stderr.decode().strip())
    return done.stdout


def _is_code(name: str) -> bool:
    return name.endswith((".py", ".c", ".h"))


def count(commit: str | None) -> Counter[str]:
    """Count the lines by folder, to the second level."""
    lines: Counter[str] = Counter()
    for name, source in product_files(commit):
        folder = "/".join(name.split("/")[:-1][:2])
        lines[folder] += python_lines(source) if name.endswith(".py") else c_lines(source)
    return lines


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(
        description="Count lines of product code without blanks, comments and docstrings.",
        epilog="example: python benchmarks/count_lines.py HEAD --against main",
    )
    parser.add_argument("commit", nargs="?", metavar="COMMIT", help="default: the work tree")
    parser.add_argument(
        "--against", metavar="COMMIT", help="exit 1 if there are more lines than there"
    )
    taken = parser.parse_args()
    here = count(taken.commit)
    if taken.against is None:
        for folder in sorted(here):
            print(f"{folder:24} {here[folder]:7,}")
        print(f"{'all':24} {here.total():7,}")
        return
    there = count(taken.against)
    print(f"{'':24} {taken.against[:10]:>10} {(taken.commit or 'work tree')[:10]:>10}   change")
    for folder in sorted(here | there):
        print(_row(folder, there[folder], here[folder]))
    print(_row("all", there.total(), here.total()))
    sys.exit(1 if here.total() > there.total() else 0)


def _row(name: str, before: int, now: int) -> str:
    return f"{name:24} {before:10,} {now:10,} {now - before:+8,}"


if __name__ == "__main__":
    main()
