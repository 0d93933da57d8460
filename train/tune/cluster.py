"""Trials on the workers of a Ray cluster: the same study, several trials at once.

Not the study, which stays here: proposals are made and results are written by this process alone.
"""

import os
import sys
from typing import Any

from gatelet.errors import BackendError
from gatelet.train.interrupt import Interrupt
from gatelet.train.prepare import Prepared
from gatelet.train.tune.front import Finished
from gatelet.train.tune.search import Begun, Search
from gatelet.train.tune.trial import Outcome, Task, run_trial

LOST_TRIALS = 3
"""So often a trial begins again whose worker died."""
_WAIT_S = 0.5
_ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    )
} | {"TF_CPP_MIN_LOG_LEVEL": "3"}


def run_on_cluster(search: Search, interrupt: Interrupt) -> None:
    """Train trials until there are enough, or the time is over, as many at once as asked for.

    Args:
        search: The study.
        interrupt: Ctrl-C ends all trials that run.

    Raises:
        BackendError: There is no cluster at the address, or none begins here.
        KeyboardInterrupt: It was pressed.
    """
    import ray

    config = search.config
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        ray.init(
            address=config.address,
            **({} if config.address else {"num_cpus": config.workers, "include_dashboard": False}),
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env={"env_vars": {**_ONE_THREAD, "PYTHONPATH": os.pathsep.join(sys.path)}},
        )
    except Exception as error:  # Ray raises a bare one where its processes do not answer in time
        place = f"at '{config.address}'" if config.address else "here"
        why = " ".join(str(error).split())
        raise BackendError(
            f"Ray cannot be reached {place}: {why}; check --address, or use --engine optuna"
        ) from error
    try:
        _Cluster(ray, search).run(interrupt)
    finally:
        ray.shutdown()


def _train(task: Task, prepared: Prepared) -> Outcome:
    return run_trial(task, prepared)


class _Cluster:
    def __init__(self, ray: Any, search: Search) -> None:
        self._ray, self._search = ray, search
        # a trial is a function of its task alone: Ray may begin it again where its worker died
        self._train = ray.remote(num_cpus=1, max_retries=LOST_TRIALS)(_train)
        self._running: dict[Any, Begun] = {}

    def run(self, interrupt: Interrupt) -> None:
        while True:
            interrupt.check()
            self._begin()
            if not self._running:
                return
            ended, _ = self._ray.wait(list(self._running), timeout=_WAIT_S)
            for reference in ended:
                begun = self._running.pop(reference)
                self._search.end(begun, self._outcome(reference, begun))

    def _begin(self) -> None:
        while len(self._running) < self._search.config.workers:
            begun_ones = list(self._running.values())
            number = self._search.next_number([one.task.number for one in begun_ones])
            if number is None:
                return
            begun = self._search.begin(number, begun_ones)
            self._running[self._train.remote(begun.task, begun.prepared)] = begun

    def _outcome(self, reference: Any, begun: Begun) -> Outcome:
        """Return what a trial gave; one whose worker died again and again gave nothing."""
        dead = self._ray.exceptions
        try:
            outcome: Outcome = self._ray.get(reference)
        except (dead.WorkerCrashedError, dead.NodeDiedError, dead.OutOfMemoryError) as error:
            problem = f"its worker died: {str(error).splitlines()[0][:200]}"
            task = begun.task
            gone = Finished(task.number, task.cost, task.bytes, (), 1, problem=problem)
            return Outcome(gone, None, 0.0)
        return outcome
