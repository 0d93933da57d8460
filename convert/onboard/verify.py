"""Verifies the c artifacts of a bundle on a device: emulated, behind a serial port, or by ssh.

Not the verdict's fields, which are in `verdict.py`, nor its place in the bundle.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gatelet.convert.onboard.case import Examiner, Posed
from gatelet.convert.onboard.verdict import (
    ARCHIVE_ROLE,
    FAIL,
    FIRMWARE_ROLE,
    LINKED,
    NOT_RUN,
    PASS,
    TOO_LARGE,
    Array,
    Verdict,
    compared,
    limit_of,
    now,
    sizes_of,
    stored_bytes,
)
from gatelet.convert.onboard.ways import Way
from gatelet.convert.parity.files.verdict import REGENERATED, RUN
from gatelet.convert.rows.drawn import random_rows
from gatelet.convert.rows.likely import read_likely
from gatelet.convert.rows.rows import Rows
from gatelet.devices.build import Built, Case, build, has_room, refuse
from gatelet.devices.compilers import find_compiler
from gatelet.devices.emulators import Outcome, converse, script_of
from gatelet.devices.profile import DeviceProfile
from gatelet.devices.protocol import Conversation
from gatelet.devices.toolchains import TOOLCHAINS
from gatelet.errors import CompilerFailed, ConfigError, DeviceError, DoesNotFit
from gatelet.runtime.bundle.opening import Artifact, Bundle
from gatelet.runtime.stages import temporary_folder

BUDGET = 2_000_000_000
"""Instructions on a device that rows beyond the golden ones may cost, of each artifact."""
UNCOUNTED_ROWS = 64
"""The most such rows where nothing counts instructions."""
_SCRIPT_BYTES = 48 << 10
"""Of the lines that a program has inside, where nothing can be sent to it."""


@dataclass(frozen=True)
class Question:
    """What is to be verified, and how.

    Args:
        bundle: The bundle.
        profile: The device.
        way: To the device, or to what emulates it.
        rows: Beside the golden ones; None for seeded random inputs.
        compiler: 'gcc' or 'zig'; '' for the better one that is installed.
        budget: See BUDGET.
        golden: The most golden rows.
        cache: Where compilers keep what they built; None for their own place.
        progress: Called with what is being done.
    """

    bundle: Bundle
    profile: DeviceProfile
    way: Way
    rows: Rows | None = None
    compiler: str = ""
    budget: int = BUDGET
    golden: int = 1000
    cache: Path | None = None
    progress: Callable[[str], None] = lambda text: None


def c_artifacts(bundle: Bundle, schemes: Sequence[str] = ()) -> tuple[Artifact, ...]:
    """Return the artifacts that a device can be asked about.

    Raises:
        ConfigError: A scheme is none of theirs.
        DeviceError: There is none.
    """
    found = {one.scheme: one for one in bundle.artifacts if one.target == "c"}
    if not found:
        raise DeviceError(
            f"bundle '{bundle.path}' has no c artifact, and only C is verified on devices: convert "
            "with --target c"
        )
    for name in schemes:
        if name not in found:
            raise ConfigError(
                f"bundle '{bundle.path}' has no c {name}; it has c {', '.join(found)}"
            )
    return tuple(one for name, one in found.items() if not schemes or name in schemes)


def verify_all(question: Question, artifacts: Sequence[Artifact]) -> list[Verdict]:
    """Verify artifacts; behind a serial port the one that is on the board.

    Raises:
        DeviceError: As for `verify`, or the board has none of them.
        CompilerFailed: As for `verify`.
    """
    if question.way.builds:
        return [verify(question, artifact) for artifact in artifacts]
    with question.way.link(question.profile, Path()) as link:
        hello = Conversation(link).hello()
    for artifact in artifacts:
        trial = Trial(question, artifact, hello.steps)
        if trial.examiner.source_sha256.startswith(hello.source):
            return [trial.verdict()]
    raise DeviceError(
        f"{question.way.told(question.profile)} has the self-test of another model (source "
        f"{hello.source}): put one on it that is built of this bundle"
    )


def verify(question: Question, artifact: Artifact) -> Verdict:
    """Verify one artifact.

    Raises:
        DeviceError: The device, or what emulates it, does not answer as it should.
        CompilerFailed: There is no compiler for it, or it refuses the source.
    """
    without = TOOLCHAINS[question.profile.cpu].without
    if without:
        return _verdict(question, artifact, NOT_RUN, note=f"not built: {without}")
    if not {"source", "header"} <= set(artifact.companions):
        return _verdict(question, artifact, NOT_RUN, note="the bundle lacks its C source")
    refusals = []
    for steps in forms_of(artifact):
        try:
            return Trial(question, artifact, steps).verdict()
        except DoesNotFit as error:
            refusals.append(str(error))
    return _verdict(question, artifact, TOO_LARGE, note=refusals[-1])


def forms_of(artifact: Artifact) -> tuple[bool, ...]:
    """Return whether steps can be fed, for each form that it has, the preferred one first."""
    return (False, True) if artifact.states else (False,)


def fitting(question: Question, artifacts: Sequence[Artifact]) -> list[str]:
    """Return the schemes of those that can be linked to the device's size, without running any."""
    return [
        artifact.scheme
        for artifact in artifacts
        if any(Trial(question, artifact, steps).fits() for steps in forms_of(artifact))
    ]


def _verdict(question: Question, artifact: Artifact, verdict: str, **more: Any) -> Verdict:
    profile = question.profile
    return Verdict(profile.name, artifact.scheme, verdict, cpu=profile.cpu, when=now(), **more)


@dataclass
class Trial:
    """One artifact in one form: `steps`, or whole rows."""

    question: Question
    artifact: Artifact
    steps: bool
    expected: list[Array] = field(default_factory=list)
    timesteps: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.examiner = Examiner(self.question.bundle, self.artifact, steps=self.steps)
        self.golden = golden_rows(self.question.bundle)[: self.question.golden]
        self.more = self.question.rows
        if self.more is None:
            self.more = _drawn(self.question.bundle, self.golden)

    def verdict(self) -> Verdict:
        """Run it, or say why not; errors are those of `gatelet.convert.onboard.verify.verify`."""
        question, profile = self.question, self.question.profile
        form = "steps" if self.steps else "whole"
        facts: dict[str, Any] = {
            "form": form,
            **stored_bytes(question.bundle, self.artifact),
            "source_sha256": self.examiner.source_sha256,
            "on": question.way.told(profile),
            "limit": limit_of(self.artifact.scheme),
        }
        with temporary_folder() as folder:
            program = folder / "selftest.elf"
            built: Built | None = None
            stored = self._stored() if question.way.builds else {}
            if stored:
                facts |= stored
                role = f"{FIRMWARE_ROLE}{profile.name}"
                path = self.artifact.companions[role]
                program.write_bytes(question.bundle.contents.read(path))
                ram = facts["linked_ram_bytes"] + profile.stack_bytes
                refuse("flash", facts["flash_bytes"], profile.flash_bytes, profile)
                refuse("RAM", ram, profile.ram_bytes, profile)
                built = self._again(folder)
            elif question.way.builds:
                built = self.build(folder)
                facts |= {"compiler": built.compiler, "flags": built.flags, **sizes_of(built)}
                why = question.way.refusal(profile, has_room=has_room(profile, built))
                if why:
                    note = f"compiled and linked to size, not run: {why}"
                    del facts["on"], facts["limit"]
                    return _verdict(question, self.artifact, NOT_RUN, note=note, **facts)
                program.write_bytes(built.program)
            if question.way.builds:
                facts["files"] = self._files(program.read_bytes(), built)
            question.progress(f"running c {self.artifact.scheme} ({form}) on {facts['on']}")
            outcome = self._run(program)
        found = compared(outcome, self.expected, self.timesteps)
        facts |= found
        if outcome.stack_bytes and profile.is_bare:
            refuse("stack", outcome.stack_bytes, profile.stack_bytes, profile)
        good = found["largest_difference"] <= facts["limit"]
        return _verdict(question, self.artifact, PASS if good else FAIL, **facts)

    def fits(self) -> bool:
        """Return whether it can be linked to size."""
        try:
            with temporary_folder() as folder:
                self.build(folder)
        except DoesNotFit:
            return False
        return True

    def build(self, folder: Path) -> Built:
        """Build the self-test.

        Raises:
            DoesNotFit: The device has less room.
            CompilerFailed: There is no compiler, or it refuses the source.
        """
        question, profile = self.question, self.question.profile
        compiler = find_compiler(
            TOOLCHAINS[profile.cpu], kind=question.compiler, cache=question.cache
        )
        question.progress(
            f"building c {self.artifact.scheme} for {profile.name} with {compiler.version}"
        )
        script = "" if question.way.takes_input(profile) else self._script()
        return build(self.case(), profile, compiler, folder, script=script)

    def case(self) -> Case:
        """Describe it for `gatelet.devices.build`, with the most timesteps that are run."""
        return self.examiner.case(self._largest())

    def _stored(self) -> Mapping[str, Any]:
        """Return what the bundle says of the program for the device that it holds; {} of none.

        Rows of one's own may be longer than those that it was built for.
        """
        device = self.question.profile.name
        role = f"{FIRMWARE_ROLE}{device}"
        if role not in self.artifact.companions or self.question.rows is not None:
            return {}
        for entry in self.artifact.entry.get("devices", []):
            same = entry.get("source_sha256") == self.examiner.source_sha256
            form = "steps" if self.steps else "whole"
            if entry["device"] == device and same and entry.get("form") == form:
                return {key: entry[key] for key in LINKED if key in entry}
        return {}

    def _again(self, folder: Path) -> Built | None:
        """Build what the bundle has once more, to compare the bytes; None where nothing builds."""
        made = folder / "again"
        made.mkdir()
        try:
            return self.build(made)
        except (CompilerFailed, DoesNotFit) as error:
            self.question.progress(f"the static library is not compared: {error}")
            return None

    def _files(self, program: bytes, built: Built | None) -> dict[str, str]:
        """Return which of the bundle's files a run of a program judges, and how.

        The archive is in the program where both were made again, to the byte, of the same objects.
        """
        profile, names = self.question.profile, self.artifact.companions
        made = {f"{FIRMWARE_ROLE}{profile.name}": (program, RUN)}
        if built is not None and built.program == program:
            made[f"{ARCHIVE_ROLE}{profile.cpu}"] = built.archive, REGENERATED
        read = self.question.bundle.contents.read
        return {
            role: by
            for role, (data, by) in made.items()
            if role in names and read(names[role]) == data
        }

    def _run(self, program: Path) -> Outcome:
        question = self.question
        counted = question.way.counts(question.profile)
        least = len(self.golden)
        rows = (
            self._scripted()
            if not question.way.takes_input(question.profile)
            else self._posed(counted)
        )
        with question.way.link(question.profile, program) as link:
            return converse(
                link,
                rows,
                source_sha256=self.examiner.source_sha256,
                budget=question.budget if counted else 0,
                least=least,
            )

    def _posed(self, counted: bool) -> Iterator[Any]:
        """Yield rows for the device, and keep what is right for each."""
        more = self.more if self.more is not None else self.golden[:0]
        if not counted:
            more = more[:UNCOUNTED_ROWS]
        for rows in (self.golden, more):
            for posed in self.examiner.pose(rows):
                self._keep(posed)
                yield posed.row

    def _keep(self, posed: Posed) -> None:
        self.expected.append(posed.expected)
        self.timesteps.append(posed.timesteps)

    def _scripted(self) -> list[Any]:
        """Return as many golden rows as a program has room for."""
        self.expected.clear()
        self.timesteps.clear()
        rows: list[Any] = []
        for posed in self.examiner.pose(self.golden):
            if len(script_of([*rows, posed.row], steps=self.steps)) > _SCRIPT_BYTES:
                break
            self._keep(posed)
            rows.append(posed.row)
        return rows

    def _script(self) -> str:
        return script_of(self._scripted(), steps=self.steps)

    def _largest(self) -> Rows:
        """Return a row with the most timesteps."""
        found = [rows for rows in (self.golden, self.more) if rows is not None and len(rows)]
        return max(found, key=lambda rows: max(a.size for a in rows[:1].feed.values()))[:1]


def golden_rows(bundle: Bundle) -> Rows:
    """Return the inputs of a bundle's golden vectors; none where it has none."""
    golden = bundle.golden()
    graph = bundle.interface()
    found = {} if golden is None else golden.inputs
    return Rows(
        {
            one.name: np.asarray(found.get(one.name, []), one.dtype).reshape(
                (-1, *_shape(found.get(one.name, []), len(one.shape)))
            )
            for one in graph.inputs
        }
    )


def _shape(values: Sequence[Any], rank: int) -> tuple[int, ...]:
    return np.shape(values)[1:] if len(values) else (1,) * (rank - 1)


def _drawn(bundle: Bundle, golden: Rows) -> Rows:
    """Draw inputs of the golden ones' timesteps."""
    timesteps = {n: one.shape[1] for n, one in golden.feed.items() if one.ndim > 1}
    return random_rows(
        bundle.interface(), bundle.vectorizer(), timesteps, likely=read_likely(bundle.manifest)
    )
