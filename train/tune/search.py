"""The search: trial after trial until there are enough, then the chosen one is judged and written.

Not what a trial is (`gatelet.train.tune.trial`), nor what settings it gets
(`gatelet.train.tune.sampling`). Trials get rows without a test part: that is opened once, for the
trial that was chosen.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gatelet.errors import ConfigError, TrainingError
from gatelet.runtime.data.run import Run, is_run
from gatelet.runtime.stages import check_output_directory
from gatelet.train.config import TrainConfig
from gatelet.train.epochs import History
from gatelet.train.fit import baseline_beside, write_run
from gatelet.train.interrupt import Interrupt, hold_interrupts
from gatelet.train.prepare import Prepared, prepare, refitted
from gatelet.train.tasks import LOSS
from gatelet.train.tune.config import TuneConfig
from gatelet.train.tune.costs import Sizes, artifact_bytes, multiply_adds
from gatelet.train.tune.folder import MARKER, About, StudyFolder, open_study
from gatelet.train.tune.front import Finished, choose, front_of
from gatelet.train.tune.results import Point, Result, write_results
from gatelet.train.tune.sampling import Running, default_params, proposals, settings_of
from gatelet.train.tune.space import Value
from gatelet.train.tune.trial import Outcome, Task, new_network, run_trial
from gatelet.train.tune.watching import Watching

NOTICE = b"\nstopping; trials that have ended are kept; Ctrl-C again stops at once\n"
PLACES = ("out", "data", "corpus", "text_column", "label_column")
"""Settings that say where rows are and results go."""
DUPLICATES = 20
"""Proposals that were tried before are passed over so often: a small space has no others."""


def tune(config: TuneConfig) -> Result:
    """Search, or go on with a search, and write the chosen trial as a run.

    Args:
        config: What is searched, and where the study is kept.

    Returns:
        The trials, the front and the run, whose test figures are those of the chosen trial alone.

    Raises:
        BackendMissing: Keras, or Optuna or Ray, is not installed.
        DataError: The rows cannot be used, or are others than those of the study.
        ConfigError: The study is of other settings, or its space has no model within the budget.
        TrainingError: No trial gave a model that can be chosen.
        OutputError: The study cannot be written, or is in use.
        KeyboardInterrupt: Ctrl-C: what has ended is kept.
    """
    require_engine(config.engine)
    check_output_directory(config.out, marker=MARKER, kind="study")
    whole = prepare(config.base)
    quality = config.quality if whole.task.labelled else LOSS  # values have no accuracy
    config = replace(config, quality=quality, figure=whole.task.figure)
    rows = without_test(whole)
    about = About(
        config.space.to_json(),
        {name: one for name, one in config.base.to_dict().items() if name not in PLACES},
        str(whole.source["sha256"]),
        config.goals,
    )
    with open_study(config.out, about, config.space) as folder:
        watching = Watching(config)
        watching.begin(folder.finished(), name=str(whole.source["name"]), rows=whole.parts.rows())
        search = Search(config, rows, folder, watching)
        try:
            with hold_interrupts(NOTICE) as interrupt:
                search.run(interrupt)
        except KeyboardInterrupt:
            watching.interrupted(len(folder.finished()))
            raise
        return _end(search, whole, watching)


def require_engine(engine: str) -> None:
    """Refuse an engine that is not installed.

    Raises:
        BackendMissing: With the extra that installs it.
    """
    from importlib.util import find_spec

    from gatelet.errors import BackendMissing

    for package, extra in (("optuna", "tune"), *([("ray", "ray")] if engine == "ray" else [])):
        if find_spec(package) is None:
            raise BackendMissing(f"tuning needs {package}: pip install 'gatelet[{extra}]'")


def without_test(prepared: Prepared) -> Prepared:
    """Return prepared rows whose test part is empty: what trials may see."""
    sealed = prepared.parts.test.rows(())
    return replace(prepared, parts=replace(prepared.parts, test=sealed))


def sizes_of(prepared: Prepared) -> Sizes:
    """Return what settings do not say of a model of these rows."""
    if prepared.features is not None:
        return Sizes(len(prepared.features.mean), prepared.width, is_text=False)
    return Sizes(prepared.vectorizer.vocabulary_size, prepared.width)


@dataclass(frozen=True)
class Begun:
    """A trial that has its settings.

    Args:
        task: What it needs.
        params: What was proposed.
        prepared: The rows, and the vectorizer of its settings.
        macs: Multiply-adds of a timestep.
    """

    task: Task
    params: dict[str, Value]
    prepared: Prepared
    macs: int


@dataclass
class Search:
    """A study in its making.

    Args:
        config: What is searched.
        rows: Without a test part.
        folder: Where it is kept.
        watching: Shows it.
        began_s: When this process began with it.
    """

    config: TuneConfig
    rows: Prepared
    folder: StudyFolder
    watching: Watching
    began_s: float = field(default_factory=lambda: time.monotonic())

    def run(self, interrupt: Interrupt) -> None:
        """Train trials until there are enough, or the time is over."""
        if self.config.engine == "ray":
            from gatelet.train.tune.cluster import run_on_cluster

            run_on_cluster(self, interrupt)
            return
        while (number := self.next_number(())) is not None:
            interrupt.check()
            begun = self.begin(number, ())
            outcome = run_trial(
                begun.task,
                begun.prepared,
                on_step=lambda done: interrupt.check(),
                report=lambda epoch, figures: self.watching.epoch(number, epoch, figures),
            )
            self.end(begun, outcome)

    def next_number(self, running: Sequence[int]) -> int | None:
        """Return the number of the trial to begin; None where none is to begin."""
        minutes = self.config.minutes
        if minutes is not None and time.monotonic() - self.began_s >= 60 * minutes:
            return None
        taken = {one.number for one in self.folder.finished()} | set(running)
        return next((n for n in range(self.config.trials) if n not in taken), None)

    def begin(self, number: int, running: Sequence[Begun]) -> Begun:
        """Propose the settings of a trial.

        Raises:
            ConfigError: The space has none that can be used.
        """
        config = self.config
        if number == 0:
            params = default_params(config.space, config.base)
            return self._begun(number, settings_of(config.base, 0, {}), params)
        tried = [*self.folder.params().values(), *(one.params for one in running)]
        problem: ConfigError | None = None
        least, repeated = 0, 0
        for params in proposals(
            config.space,
            self.folder.frozen,
            [Running(one.params) for one in running],
            seed=config.base.seed,
            number=number,
        ):
            repeated += params in tried
            if params in tried and repeated < DUPLICATES:
                continue
            try:
                settings = settings_of(config.base, number, params)
            except ConfigError as error:
                problem = error
                continue
            begun = self._begun(number, settings, params)
            if config.budget_bytes is None or begun.task.bytes <= config.budget_bytes:
                return begun
            least = min(least or begun.task.bytes, begun.task.bytes)
        raise _nothing_fits(config, least=least, problem=problem)

    def _begun(self, number: int, settings: TrainConfig, params: dict[str, Value]) -> Begun:
        prepared = refitted(self.rows, settings)
        sizes = sizes_of(prepared)
        size = artifact_bytes(settings, sizes, scheme=self.config.scheme)
        macs = multiply_adds(settings, sizes)
        cost = {"bytes": float(size), "macs": float(macs)}.get(self.config.against)
        if cost is None:
            assert self.config.latency is not None, "TuneConfig has checked that"
            cost = self.config.latency(new_network(settings, prepared), prepared, settings)
        finished = tuple(self.folder.finished())
        task = Task(number, settings, cost, size, finished, self.config.quality)
        return Begun(task, params, prepared, macs)

    def end(self, begun: Begun, outcome: Outcome) -> None:
        """Keep what a trial gave."""
        config, one = self.config, outcome.finished
        trials = [*self.folder.finished(), one]
        kept = kept_of(trials, config)
        if outcome.weights is not None and one.number in kept:
            self.folder.keep(one.number, outcome.weights)
        facts = {"macs": begun.macs, "processor_s": round(outcome.processor_s, 2)}
        self.folder.add(one, begun.params, measure=config.quality, facts=facts)
        self.folder.drop_all_but(kept)
        self.watching.trial(one, trials)


def kept_of(trials: Sequence[Finished], config: TuneConfig) -> list[int]:
    """Return the numbers of the trials whose weights are kept: the front, and what is chosen."""
    chosen = choose(trials, measure=config.quality, budget_bytes=config.budget_bytes)
    front = front_of(trials, measure=config.quality)
    return sorted({one.number for one in (*front, *([chosen] if chosen else []))})


def _nothing_fits(config: TuneConfig, *, least: int, problem: ConfigError | None) -> ConfigError:
    if least:
        return ConfigError(
            f"no model of the space has at most {config.budget_bytes:,} bytes: the smallest one "
            f"that was proposed has {least:,}; raise --budget-bytes, or widen the space",
            field="budget_bytes",
        )
    return ConfigError(f"the space proposes only what cannot be trained: {problem}")


def _end(search: Search, whole: Prepared, watching: Watching) -> Result:
    """Judge the chosen trial, write its run, and show the front."""
    config, folder = search.config, search.folder
    trials = folder.finished()
    chosen = choose(trials, measure=config.quality, budget_bytes=config.budget_bytes)
    if chosen is None:
        raise TrainingError(_why_none(trials, config))
    run = _write_run(search, whole, chosen, watching)
    points = _points(search, trials, chosen, watching)
    result = Result(config, tuple(points), run, name=str(whole.source["name"]))
    write_results(result)
    return result


def _why_none(trials: Sequence[Finished], config: TuneConfig) -> str:
    whole = [one.bytes for one in trials if one.is_whole]
    if whole and config.budget_bytes is not None:
        return (
            f"none of the {len(trials):,} trials that have ended has at most "
            f"{config.budget_bytes:,} bytes: the smallest has {min(whole):,}; let more trials run"
        )
    problems = [one.problem for one in trials if one.problem]
    return f"no trial gave a model{f': {problems[0]}' if problems else ''}"


def _write_run(search: Search, whole: Prepared, chosen: Finished, watching: Watching) -> Run:
    """Write the run of the chosen trial, unless it is there: its test part is judged once."""
    settings = _settings(search, chosen.number)
    if is_run(settings.out):
        made = Run.open(settings.out).provenance
        wanted = {name: one for name, one in settings.to_dict().items() if name != "out"}
        if made.get("config") == wanted and made.get("data") == whole.source:
            return Run.open(settings.out)
    watching.judging(chosen.number)
    prepared = refitted(whole, settings)
    network = new_network(settings, prepared)
    network.restore(search.folder.weights(chosen.number))
    if prepared.unit is not None:
        network.scale_values(prepared.unit.deviation, prepared.unit.mean)
    baseline = baseline_beside(settings, prepared, watching.say)
    write_run(settings, prepared, network, History(chosen.epochs, chosen.best), baseline)
    return Run.open(settings.out)


def _settings(search: Search, number: int) -> TrainConfig:
    params: Mapping[str, Value] = search.folder.params()[number] if number else {}
    return settings_of(search.config.base, number, dict(params))


def _points(
    search: Search, trials: Sequence[Finished], chosen: Finished, watching: Watching
) -> list[Point]:
    config, facts = search.config, search.folder.facts()
    front = {one.number for one in front_of(trials, measure=config.quality)}
    points = []
    for one in trials:
        settings = _settings(search, one.number)
        is_kept = one.number in front or one.number == chosen.number
        exported: float | None = None
        if is_kept and config.export is not None:
            watching.exporting(one.number)
            prepared = refitted(search.rows, settings)
            network = new_network(settings, prepared)
            network.restore(search.folder.weights(one.number))
            exported = config.export(network, prepared, settings)
        points.append(
            Point(
                trial=one,
                settings=settings,
                macs=int(facts[one.number]["macs"]),
                processor_s=float(facts[one.number]["processor_s"]),
                exported_bytes=None if exported is None else int(exported),
                on_front=one.number in front,
                is_chosen=one.number == chosen.number,
            )
        )
    return points
