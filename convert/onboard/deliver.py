"""Builds a bundle's c artifacts for the microcontrollers that a conversion is made for.

Not Linux boards, whose libraries the exporter makes. Nothing is run: `gatelet verify` does that.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from gatelet.convert.bundle.devices import add_device
from gatelet.convert.bundle.writer import BundleWriter
from gatelet.convert.exporters.exported import Companion
from gatelet.convert.onboard.verdict import (
    ARCHIVE_ROLE,
    FIRMWARE_ROLE,
    NOT_RUN,
    TOO_LARGE,
    Verdict,
    now,
    sizes_of,
    stored_bytes,
)
from gatelet.convert.onboard.verify import Question, Trial, forms_of
from gatelet.convert.onboard.ways import Way
from gatelet.devices.build import Built
from gatelet.devices.profile import DeviceProfile
from gatelet.devices.toolchains import TOOLCHAINS
from gatelet.errors import ConversionError, DoesNotFit
from gatelet.runtime.bundle.opening import Artifact
from gatelet.runtime.stages import temporary_folder

LINKED_NOTE = "linked to size, not run: gatelet verify runs it"


def deliver(
    writer: BundleWriter,
    profiles: Sequence[DeviceProfile],
    *,
    all_named: bool,
    cache: Path | None,
    progress: Callable[[str], None],
) -> None:
    """Add a static library and a self-test for each microcontroller to each c artifact that fits.

    An artifact that fits none of them is left out, unless the bundle is for a Linux board too.

    Args:
        writer: With every artifact, and the golden vectors.
        profiles: Of all devices.
        all_named: Somebody asked for these schemes: each must fit each device.
        cache: Where compilers keep what they built.
        progress: Called with what is being done, and with what does not fit.

    Raises:
        ConversionError: A scheme that was asked for does not fit a device, or none does.
        CompilerFailed: A compiler is missing, or refuses the source.
    """
    bundle = writer.draft()
    artifacts = [one for one in bundle.artifacts if one.target == "c"]
    fits: dict[str, list[str]] = {one.scheme: [] for one in artifacts}
    bare = [one for one in profiles if one.is_bare]
    for profile in bare if artifacts else ():
        without = TOOLCHAINS[profile.cpu].without
        if without:
            progress(f"not built for {profile.name}: {without}")
            for names in fits.values():
                names.append(profile.name)
            continue
        question = Question(bundle, profile, Way(), cache=cache, progress=progress)
        refused = {}
        for artifact in artifacts:
            why = _add(writer, question, artifact)
            if why:
                refused[artifact.scheme] = why
            else:
                fits[artifact.scheme].append(profile.name)
        _tell(refused, fits, profile, all_named=all_named, progress=progress)
    if bare and all(one.is_bare for one in profiles):
        for scheme, names in fits.items():
            if not names:
                writer.remove("c", scheme)


def _tell(
    refused: dict[str, str],
    fits: dict[str, list[str]],
    profile: DeviceProfile,
    *,
    all_named: bool,
    progress: Callable[[str], None],
) -> None:
    """Say what does not fit a device, or refuse it."""
    fitting = [scheme for scheme, names in fits.items() if profile.name in names]
    for scheme, why in refused.items():
        if all_named or not fitting:
            told = f"fits: {', '.join(fitting)}" if fitting else "no other scheme here fits"
            raise ConversionError(f"c {scheme} {why}; {told}")
        progress(f"leaving out c {scheme} for {profile.name}: it {why}")


def _add(writer: BundleWriter, question: Question, artifact: Artifact) -> str:
    """Add an artifact's files for a device; return why it does not fit, or ''."""
    profile, why = question.profile, ""
    for steps in forms_of(artifact):
        trial = Trial(question, artifact, steps)
        try:
            with temporary_folder() as folder:
                built = trial.build(folder)
        except DoesNotFit as error:
            why = str(error)
            continue
        verdict = Verdict(
            profile.name,
            artifact.scheme,
            NOT_RUN,
            note=LINKED_NOTE,
            cpu=profile.cpu,
            form="steps" if steps else "whole",
            source_sha256=trial.examiner.source_sha256,
            compiler=built.compiler,
            flags=built.flags,
            when=now(),
            **stored_bytes(question.bundle, artifact),
            **sizes_of(built),
        )
        writer.add_companions("c", artifact.scheme, _files(artifact, profile, built))
        add_device(writer.entry_of("c", artifact.scheme), verdict.to_manifest())
        return ""
    verdict = Verdict(
        profile.name, artifact.scheme, TOO_LARGE, note=why, cpu=profile.cpu, when=now()
    )
    add_device(writer.entry_of("c", artifact.scheme), verdict.to_manifest())
    return why


def _files(artifact: Artifact, profile: DeviceProfile, built: Built) -> list[Companion]:
    stem = f"c-{artifact.scheme}"
    return [
        Companion(f"{ARCHIVE_ROLE}{profile.cpu}", f"{stem}-{profile.cpu}", ".a", built.archive),
        Companion(
            f"{FIRMWARE_ROLE}{profile.name}", f"{stem}-{profile.name}", ".elf", built.program
        ),
    ]
