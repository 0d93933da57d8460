"""Plans: which scheme of a model fits which device, and what it costs there, before it is flashed.

Not a verdict: nothing is run here. What was run stands in the bundle, and is used.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gatelet.convert.exporters.c.macros import HeaderSizes
from gatelet.convert.onboard.costs import Work, family_of, prices, total, work_of
from gatelet.convert.onboard.verdict import FAIL, PASS, stored_bytes
from gatelet.convert.onboard.verify import Question, Trial, forms_of
from gatelet.convert.onboard.ways import Way
from gatelet.devices.build import Built, check_sizes, refuse
from gatelet.devices.profile import DeviceProfile, profile_names, read_profile
from gatelet.devices.toolchains import AVR, TOOLCHAINS
from gatelet.errors import CompilerFailed, DoesNotFit
from gatelet.runtime.bundle.device_figures import entries_of
from gatelet.runtime.bundle.opening import Artifact, Bundle
from gatelet.runtime.stages import temporary_folder

MEASURED, EMULATED, MODEL = "measured", "emulated", "model"
"""Where a figure is from: counted in files and in what was linked; run; or the cost model."""
LOST = ("accuracy_drop", "scores_mean")
"""Checks whose figure is what a scheme costs in quality, the one that says most first."""
_WIDE_BYTES = 32 << 20
"""Of flash and RAM, to link what may fit nowhere."""


@dataclass(frozen=True)
class Figure:
    """A number, and where it is from.

    Args:
        value: The number.
        origin: MEASURED, EMULATED or MODEL.
    """

    value: float
    origin: str


@dataclass(frozen=True)
class Offer:
    """A scheme on a device.

    Args:
        device: The profile's name.
        scheme: Of the c artifact.
        form: 'whole' rows or 'steps'.
        over: Why it does not fit; '' where it does.
        short: The same in a few words: 'over by 27,632 bytes of RAM'.
        figures: By name, as far as they are known: `flash_bytes`, and of it `code_bytes`,
            `weights_bytes` and `vocabulary_bytes`; `ram_bytes`, and of it `scratch_bytes`,
            `state_bytes` and `stack_bytes`; `instructions` of a row, and `least_ms`, those divided
            by the clock.
        parity: The artifact's verdict.
        on_device: That of the device, where it was run; else ''.
        lost: What the scheme costs in quality: the drop of accuracy, or else how far scores move on
            average, in units of their spread; None where nobody measured.
        is_timed: Its time is known, or none is asked for.
    """

    device: str
    scheme: str
    form: str
    over: str
    short: str
    figures: Mapping[str, Figure]
    parity: str
    on_device: str = ""
    lost: float | None = None
    is_timed: bool = True

    @property
    def fits(self) -> bool:
        """Whether it fits."""
        return not self.over

    @property
    def stored_bytes(self) -> int:
        """Of flash: all of it, or the weights where nothing was linked."""
        return round((self.figures.get("flash_bytes") or self.figures["weights_bytes"]).value)

    @property
    def passes(self) -> bool:
        """Whether it fits, and nothing says that it is wrong or has not been shown to be right."""
        right = self.parity == PASS and self.on_device != FAIL
        return self.fits and self.is_timed and right

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON carries."""
        told = {
            name: {"value": one.value, "origin": one.origin} for name, one in self.figures.items()
        }
        return {
            "device": self.device,
            "scheme": self.scheme,
            "form": self.form,
            "fits": self.fits,
            "over": self.over,
            "parity": self.parity,
            "on_device": self.on_device or None,
            "quality_lost": self.lost,
            **told,
        }


@dataclass
class Planner:
    """Plans a bundle for devices.

    Args:
        bundle: With c artifacts.
        latency_ms: The most that a row may take; None for any time.
        cache: Where compilers keep what they built.
        progress: Called with what is being done.
    """

    bundle: Bundle
    latency_ms: float | None = None
    cache: Path | None = None
    progress: Callable[[str], None] = lambda text: None
    _linked: dict[tuple[Any, ...], Built | str] = field(default_factory=dict)
    _examined: dict[tuple[str, bool], tuple[tuple[int, ...], Work | None]] = field(
        default_factory=dict
    )

    def offers(
        self, artifacts: Sequence[Artifact], profiles: Sequence[DeviceProfile]
    ) -> list[Offer]:
        """Return an offer of each artifact for each device; of a device the smallest first."""
        found = []
        for profile in profiles:
            own = [self._offer(artifact, profile) for artifact in artifacts]
            found += sorted(own, key=lambda one: (not one.fits, one.stored_bytes))
        return found

    def _offer(self, artifact: Artifact, profile: DeviceProfile) -> Offer:
        """Return the first form that fits, else the last, held to the time that is allowed."""
        for steps in forms_of(artifact):
            offer = self._in_form(artifact, profile, steps=steps)
            if offer.fits:
                break
        least, most = offer.figures.get("least_ms"), self.latency_ms
        if most is None or not offer.fits:
            return offer
        if least is None:
            return replace(offer, is_timed=False)
        if least.value <= most:
            return offer
        over = f"needs at least {least.value:.3g} ms a row; allowed are {most:g} ms"
        return replace(offer, over=over, short=f"over by {least.value - most:.3g} ms")

    def _in_form(self, artifact: Artifact, profile: DeviceProfile, *, steps: bool) -> Offer:
        figures = self._known(artifact, profile, steps=steps)
        told, over, short = self._told(artifact, profile, steps=steps), "", ""
        try:
            _refuse_alone(figures, profile)
            self._link(artifact, profile, figures, told, steps=steps)
            self._price(artifact, profile, figures, told, steps=steps)
            if profile.is_bare and "stack_bytes" in figures:
                needed = round(figures["stack_bytes"].value)
                refuse("stack", needed, profile.stack_bytes, profile)
        except DoesNotFit as error:
            over = str(error)
            short = f"over by {error.needed - error.offered:,} bytes of {error.what}"
        return Offer(
            profile.name,
            artifact.scheme,
            "steps" if steps else "whole",
            over,
            short,
            figures,
            artifact.verdict,
            str(told.get("verdict", "")) if told.get("verdict") in (PASS, FAIL) else "",
            quality_lost(artifact),
        )

    def _told(
        self, artifact: Artifact, profile: DeviceProfile, *, steps: bool
    ) -> Mapping[str, Any]:
        """Return what the bundle says of it on the device, of the source that it has; or {}."""
        form = "steps" if steps else "whole"
        for one in entries_of(self.bundle, artifact):
            if one.get("device") == profile.name and one.get("form") == form:
                return one
        return {}

    def _known(
        self, artifact: Artifact, profile: DeviceProfile, *, steps: bool
    ) -> dict[str, Figure]:
        """Return what files and the header say: exact, without a compiler."""
        sizes, _ = self._examine(artifact, steps=steps)
        header = self.bundle.contents.read(artifact.companions["header"]).decode("utf-8")
        prefix = str(artifact.entry["prefix"]).upper()
        found = HeaderSizes(header, {f"{prefix}_SMALL": int(profile.is_bare)})
        form = "STEP_" if steps else ""
        known = {
            **stored_bytes(self.bundle, artifact),
            "scratch_bytes": found.value(f"{prefix}_{form}SCRATCH_BYTES", (1, *sizes)),
            "state_bytes": found.value(f"{prefix}_STATE_BYTES", (1,)) if steps else 0,
        }
        return {name: Figure(value, MEASURED) for name, value in known.items()}

    def _examine(self, artifact: Artifact, *, steps: bool) -> tuple[tuple[int, ...], Work | None]:
        """Return the largest sizes that are run, and the work of a whole row of them."""
        key = artifact.scheme, steps
        if key not in self._examined:
            anywhere = read_profile(profile_names()[0])
            sizes = self._trial(artifact, anywhere, steps=steps).case().sizes
            whole = self._examine(artifact, steps=False)[0] if steps else sizes
            work = work_of(self.bundle.graph(), artifact.entry, whole)
            self._examined[key] = sizes, work
        return self._examined[key]

    def _link(
        self,
        artifact: Artifact,
        profile: DeviceProfile,
        figures: dict[str, Figure],
        told: Mapping[str, Any],
        *,
        steps: bool,
    ) -> None:
        """Add code, flash and RAM, of what the bundle was told, else of what a compiler links.

        Raises:
            DoesNotFit: The device has less room.
        """
        stored = sum(
            figures[name].value for name in ("weights_bytes", "vocabulary_bytes") if name in figures
        )
        words = round(figures["vocabulary_bytes"].value) if "vocabulary_bytes" in figures else 0
        if not profile.is_bare:
            library = artifact.companions.get(f"library:{profile.platform}")
            code = next((one.bytes for one in self.bundle.files if one.path == library), None)
            if code is not None:
                figures["code_bytes"] = Figure(code, MEASURED)
                figures["flash_bytes"] = Figure(code + stored, MEASURED)
            return
        built = self._built(artifact, profile, steps=steps)
        if isinstance(built, Built):
            figures["code_bytes"] = Figure(built.code_bytes, MEASURED)
            figures["flash_bytes"] = Figure(built.flash_bytes + words, MEASURED)
            figures["ram_bytes"] = Figure(built.variable_bytes + profile.stack_bytes, MEASURED)
            check_sizes(profile, built)
            refuse("flash", built.flash_bytes + words, profile.flash_bytes, profile)
        elif told.get("flash_bytes"):
            figures["code_bytes"] = Figure(told["code_bytes"], MEASURED)
            figures["flash_bytes"] = Figure(told["flash_bytes"] + words, MEASURED)
            ram = told["linked_ram_bytes"] + profile.stack_bytes
            figures["ram_bytes"] = Figure(ram, MEASURED)
            refuse("flash", told["flash_bytes"] + words, profile.flash_bytes, profile)
            refuse("RAM", ram, profile.ram_bytes, profile)
        else:
            self.progress(f"not linked for {profile.name}: {built}")
            _, work = self._examine(artifact, steps=steps)
            each = prices(profile.cpu, family_of(artifact.entry))
            code = total(work.parts, each.code_bytes) if work and each else None
            if code is not None:
                figures["code_bytes"] = Figure(code, MODEL)
                figures["flash_bytes"] = Figure(code + stored, MODEL)
                refuse("flash", round(code + stored), profile.flash_bytes, profile)

    def _price(
        self,
        artifact: Artifact,
        profile: DeviceProfile,
        figures: dict[str, Figure],
        told: Mapping[str, Any],
        *,
        steps: bool,
    ) -> None:
        """Add stack, instructions and time: as they were emulated, else by the cost model."""
        _, work = self._examine(artifact, steps=steps)
        each = prices(profile.cpu, family_of(artifact.entry)) if work else None
        count = told.get("count", {})
        if "stack_bytes" in told:
            figures["stack_bytes"] = Figure(told["stack_bytes"], EMULATED)
        elif work and each and not steps:
            stack = total(work.parts, each.stack_bytes)
            if stack is not None:
                figures["stack_bytes"] = Figure(stack, MODEL)
        if count.get("unit") == "instructions":
            figures["instructions"] = Figure(count["row"], EMULATED)
        elif work and each:
            instructions = total(work.terms, each.instructions)
            if instructions is not None:
                figures["instructions"] = Figure(instructions, MODEL)
        if "instructions" in figures:
            found = figures["instructions"]
            least = found.value / profile.clock_hz * 1000
            figures["least_ms"] = Figure(least, found.origin)

    def _built(self, artifact: Artifact, profile: DeviceProfile, *, steps: bool) -> Built | str:
        """Return what links for a processor with room for all, or why nothing does."""
        key = artifact.scheme, steps, profile.cpu, profile.flags, profile.emulator
        if key not in self._linked:
            without = TOOLCHAINS[profile.cpu].without
            wide = replace(profile, flash_bytes=_WIDE_BYTES, ram_bytes=_WIDE_BYTES)
            try:
                if without:
                    raise CompilerFailed(without)
                with temporary_folder() as folder:
                    self._linked[key] = self._trial(artifact, wide, steps=steps).build(folder)
            except (CompilerFailed, DoesNotFit) as error:
                self._linked[key] = str(error)
        return self._linked[key]

    def _trial(self, artifact: Artifact, profile: DeviceProfile, *, steps: bool) -> Trial:
        question = Question(
            self.bundle, profile, Way(), cache=self.cache, progress=self.progress, golden=8
        )
        return Trial(question, artifact, steps)


def _refuse_alone(figures: Mapping[str, Figure], profile: DeviceProfile) -> None:
    """Refuse what is alone too large for a device, before anything is compiled.

    Raises:
        DoesNotFit: With the bytes.
    """

    def sum_of(*names: str) -> int:
        return sum(round(figures[name].value) for name in names if name in figures)

    stored = sum_of("weights_bytes", "vocabulary_bytes")
    variables = sum_of("scratch_bytes", "state_bytes") + profile.stack_bytes
    if TOOLCHAINS[profile.cpu].start == AVR:  # which has constants in its RAM
        variables += stored
    refuse("flash", stored, profile.flash_bytes, profile, "at least ")
    refuse("RAM", variables, profile.ram_bytes, profile, "at least ")


def quality_lost(artifact: Artifact) -> float | None:
    """Return what parity measured that a scheme costs; None where it did not."""
    checks = artifact.parity.get("checks", [])
    found = {str(one.get("name")): one.get("figure") for one in checks if isinstance(one, dict)}
    figures = (found.get(name) for name in LOST)
    return next((max(0.0, float(one)) for one in figures if isinstance(one, (int, float))), None)


def first_that_passes(offers: Sequence[Offer]) -> Offer | None:
    """Return the first offer that fits and passes."""
    return next((one for one in offers if one.passes), None)
