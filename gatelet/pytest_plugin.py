"""The pytest plugin: every check of every artifact of a bundle is a test item.

Not loaded further than this module until `--gatelet-bundle` is given: it imports pytest and the
standard library only.

usage: pytest --gatelet-bundle DIR [--gatelet-data FILE]
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gatelet.convert.parity import ArtifactReport, Check, ParityReport


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the flags."""
    group = parser.getgroup("gatelet", "parity of gatelet bundles")
    group.addoption(
        "--gatelet-bundle",
        action="append",
        default=[],
        metavar="DIR",
        help="make every check of every artifact of this bundle a test; repeatable",
    )
    group.addoption(
        "--gatelet-data",
        metavar="FILE",
        help="rows to compare on; without it seeded random inputs and the golden vectors",
    )
    group.addoption("--gatelet-text-column", default="text", metavar="NAME", help="default: text")
    group.addoption(
        "--gatelet-label-column", default="label", metavar="NAME", help="default: label"
    )
    group.addoption(
        "--gatelet-strict", action="store_true", help="undecided fails instead of being skipped"
    )


@pytest.hookimpl(tryfirst=True)  # so that -k and -m choose among these items too
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Add the items of each bundle that was asked for."""
    for path in session.config.getoption("--gatelet-bundle"):
        name = f"gatelet:{Path(path).name or path}"
        bundle = BundleItems.from_parent(session, name=name, nodeid=name, bundle=Path(path))
        items.extend(bundle.collect())


class BundleItems(pytest.Collector):
    """The checks of one bundle.

    Args:
        bundle: Its folder.
        **settings: Those of every collector.
    """

    def __init__(self, *, bundle: Path, **settings: Any) -> None:
        super().__init__(**settings)
        self.bundle = bundle

    def collect(self) -> Iterator["CheckItem"]:
        """Judge the bundle, and give an item for each check of each artifact.

        Raises:
            UsageError: The bundle or the data cannot be used.
        """
        from gatelet.convert.report.matrix import titles

        report = self._report()
        for title, artifact in zip(titles(report), report.artifacts, strict=True):
            name = title.replace(" ", "-")
            checks = artifact.checks or (None,)
            for check in checks:
                yield CheckItem.from_parent(
                    self,
                    name=f"{name}[{check.name if check else 'runs'}]",
                    artifact=artifact,
                    check=check,
                )

    def _report(self) -> "ParityReport":
        from gatelet.convert.proving import prove
        from gatelet.errors import GateletError
        from gatelet.runtime.bundle.opening import open_bundle
        from gatelet.runtime.data.arrays import Arrays, read_arrays
        from gatelet.runtime.data.dataset import Dataset, read

        given = self.config.getoption("--gatelet-data")
        data: Arrays | Dataset | None = None
        try:
            bundle = open_bundle(self.bundle)
            if given is not None and given.endswith(".npz"):
                data = read_arrays(given, require_targets=False)
            elif given is not None:
                data = read(
                    given,
                    text_column=self.config.getoption("--gatelet-text-column"),
                    label_column=self.config.getoption("--gatelet-label-column"),
                    require_labels=False,
                )
            return prove(bundle, data, progress=self._tell)
        except GateletError as error:
            raise pytest.UsageError(f"gatelet: {_one_line(str(error))}") from error

    def _tell(self, text: str) -> None:
        if self.config.get_verbosity() > 0 and sys.stderr is not None:
            print(f"gatelet: {_one_line(text)}", file=sys.stderr)


class CheckItem(pytest.Item):
    """One check of one artifact.

    Args:
        artifact: Its report.
        check: The check; None where the artifact was not run.
        **settings: Those of every item.
    """

    def __init__(
        self, *, artifact: "ArtifactReport", check: "Check | None", **settings: Any
    ) -> None:
        super().__init__(**settings)
        self.artifact = artifact
        self.check = check

    def runtest(self) -> None:
        """Fail where the check failed; skip where nothing could be decided."""
        from gatelet.convert.report.matrix import sentence

        if self.check is None:
            pytest.skip(_one_line(self.artifact.note or self.artifact.verdict))
        said = sentence(self.artifact, self.check)
        if self.artifact.note:
            said = f"{said}; {self.artifact.note}"
        said = _one_line(said)
        self.user_properties += [("figure", self.check.figure), ("limit", self.check.limit)]
        if self.check.verdict == "fail":
            raise CheckFailed(said)
        if self.check.verdict == "not checked":
            pytest.skip(said)
        if self.check.verdict == "undecided":
            if self.config.getoption("--gatelet-strict"):
                raise CheckFailed(f"undecided: {said}")
            pytest.skip(f"undecided: {said}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *_: Any) -> Any:
        """Show one sentence for a failed check, not where this plugin raised it."""
        if isinstance(excinfo.value, CheckFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Say where the item is from."""
        return self.path, None, self.nodeid


def _one_line(text: str) -> str:
    from gatelet.runtime.terminal import one_line

    return one_line(text)


class CheckFailed(Exception):
    """A check did not pass."""
