"""Several processes that train one network: each learns from its share of every batch.

Not the steps, which are `gatelet.train.jax_steps`. Who the processes are is said as Keras has it,
in the environment: see `keras.distribution.initialize`.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gatelet.errors import ConfigError
from gatelet.train.model import import_keras

PROCESSES, RANK = "KERAS_DISTRIBUTION_NUM_PROCESSES", "KERAS_DISTRIBUTION_PROCESS_ID"
JAX, TENSORFLOW = "jax", "tensorflow"


@dataclass(frozen=True)
class World:
    """The processes of a training.

    Args:
        size: How many there are.
        rank: Which this one is, from 0: the first one tells and writes.
    """

    size: int = 1
    rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process tells and writes."""
        return self.rank == 0

    def share(self, rows: int) -> slice:
        """Return which of a batch's rows this process learns from; their number is divisible."""
        each = rows // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def wait(self, what: str) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            from jax.experimental import multihost_utils

            multihost_utils.sync_global_devices(what)


ALONE = World()


def world() -> World:
    """Return what the environment says of the processes.

    Raises:
        ConfigError: It does not say it in numbers, or the one is not among so many.
    """
    told = {name: os.environ.get(name, "") for name in (PROCESSES, RANK)}
    if not told[PROCESSES]:
        return ALONE
    if not all(one.isdecimal() for one in told.values()):
        raise ConfigError(
            f"{PROCESSES} is '{told[PROCESSES]}', {RANK} is '{told[RANK]}'; allowed: two numbers, "
            "how many processes train, and which this one is, from 0"
        )
    found = World(int(told[PROCESSES]), int(told[RANK]))
    if found.rank >= found.size:
        raise ConfigError(f"{RANK} is {found.rank}; allowed: below {PROCESSES}, {found.size}")
    return found


def begin() -> World:
    """Join the other processes, if there are any; before anything is computed.

    Raises:
        ConfigError: The environment says it wrongly, or Keras does not run on JAX.
    """
    found = world()
    if found.size == 1:
        return found
    keras = import_keras()
    if keras.backend.backend() != JAX:
        raise ConfigError(
            f"{found.size} processes train on Keras' backend '{JAX}', and this one is "
            f"'{keras.backend.backend()}': set KERAS_BACKEND=jax"
        )
    jax = _jax()
    if jax.distributed.is_initialized():
        return found
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    with _told_on_stderr():
        keras.distribution.initialize()
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(auto_shard_dataset=False)
        )
        found.wait("all processes are here")
    return found


@contextlib.contextmanager
def _told_on_stderr() -> Iterator[None]:
    """Send what C++ prints of connections to stderr: results are on stdout."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)


def end(found: World) -> None:
    """Make what follows this process's own again: layers that are built, and `predict`."""
    if found.size > 1:
        import_keras().distribution.set_distribution(None)


def spread(found: World, values: Any) -> Any:
    """Return an array of all processes, of which each has its share of the first axis.

    Args:
        found: The processes.
        values: This process's share [B / size, ...].
    """
    if found.size == 1:
        return values
    jax, mesh = _jax(), import_keras().distribution.distribution().device_mesh.backend_mesh
    parted = jax.sharding.PartitionSpec(mesh.axis_names[0])
    sharding = jax.sharding.NamedSharding(mesh, parted)
    return jax.make_array_from_process_local_data(sharding, values)


def _jax() -> Any:
    """Import JAX, whose functions have no types."""
    import jax

    return jax
