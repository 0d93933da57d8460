"""Training on Keras' JAX backend: TensorFlow's steps, and two processes that train as one."""

import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gatelet.errors import ConfigError
from gatelet.train import distributed
from gatelet.train.distributed import PROCESSES, RANK, World, world
from gatelet.train.tasks import TASKS
from tests.train import jax_child

ON_JAX = {
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
SIZES = {"epochs": 1, "units": 6, "embedding": 5, "maxlen": 9, "vocabulary": 40, "batch-size": 10}
SMALL = [word for name, size in SIZES.items() for word in (f"--{name}", str(size))]


def start(*words: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        env={**os.environ, **ON_JAX, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(*children: subprocess.Popen[str]) -> list[str]:
    told = [one.communicate() for one in children]
    assert [one.returncode for one in children] == [0] * len(children), told
    return [out for out, _ in told]


def weights_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def keep(name: str, one: Any) -> None:
        if isinstance(one, h5py.Dataset) and name.startswith("layers/"):
            found[name] = one[()]

    archive = zipfile.ZipFile(run / "model.keras").read("model.weights.h5")
    with h5py.File(BytesIO(archive)) as file:
        file.visititems(keep)
    return found


@pytest.mark.ci  # 30 s: every step is compiled twice
def test_a_step_on_jax_is_that_of_tensorflow(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    (out,) = [tmp_path / "steps.npz"]
    end(start("-m", "tests.train.jax_child", out))
    compared = 0
    with np.load(out) as found:
        for task in TASKS.values():
            for weighted, smoothing in ((False, 0.0), (task.labelled, 0.2 * task.labelled)):
                wanted = jax_child.step_of(task, weighted=weighted, smoothing=smoothing)
                moved = np.abs(wanted[0] - jax_child.model_of(task).get_weights()[0]).max()
                assert moved > 1e-3
                for place, one in enumerate(wanted):
                    key = f"{task.name} {weighted} {smoothing} {place}"
                    assert np.abs(found[key] - one).max() < 2e-6, key
                    compared += 1
    assert compared == 2 * 5 * 12


@pytest.mark.ci  # 60 s: three processes that start JAX
def test_two_processes_train_what_one_does(
    tmp_path: Path, write_reviews: Callable[..., Path]
) -> None:
    pytest.importorskip("jax")
    data, runs = write_reviews(tmp_path / "reviews.csv"), [tmp_path / "one", tmp_path / "two"]
    command = ("-m", "gatelet", "train", "--data", data, *SMALL, "--no-baseline", "--out")
    end(start(*command, runs[0]))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    both = {PROCESSES: "2", "KERAS_DISTRIBUTION_JOB_ADDRESSES": address}
    said = end(*(start(*command, runs[1], **both, **{RANK: str(rank)}) for rank in (0, 1)))
    assert said[0] == said[1]
    one, two = map(weights_of, runs)
    assert one.keys() == two.keys() and len(one) == 6
    assert max(np.abs(one[name] - two[name]).max() for name in one) < 1e-5
    (again,) = end(
        start("-m", "gatelet", "convert", runs[1], "--out", tmp_path / "b", "--target", "c")
    )
    assert ": pass\n" in again


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ({PROCESSES: "two", RANK: "0"}, "allowed: two numbers"),
        ({PROCESSES: "2"}, "allowed: two numbers"),
        ({PROCESSES: "2", RANK: "2"}, "is 2; allowed: below"),
    ],
)
def test_processes_that_are_told_wrongly_are_refused(
    monkeypatch: pytest.MonkeyPatch, told: Mapping[str, str], wrong: str
) -> None:
    for name in (PROCESSES, RANK):
        monkeypatch.delenv(name, raising=False)
    assert world() == World(1, 0) and distributed.begin() == World(1, 0)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=wrong):
        world()


def test_each_row_of_a_batch_is_of_one_process() -> None:
    shares = [World(3, rank).share(12) for rank in range(3)]
    assert [list(range(12))[one] for one in shares] == [
        [*range(4)],
        [*range(4, 8)],
        [*range(8, 12)],
    ]


@pytest.mark.ci
def test_several_processes_need_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROCESSES, "2")
    monkeypatch.setenv(RANK, "1")
    with pytest.raises(ConfigError, match="this one is 'tensorflow': set KERAS_BACKEND=jax"):
        distributed.begin()
