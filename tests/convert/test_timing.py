from gatelet.convert.worker.timing import Timings
from gatelet.convert.worker.worker import Worker


def spin(rounds: int) -> int:
    return sum(index * index for index in range(rounds))


def test_time_goes_to_the_step_that_used_it() -> None:
    told: list[str] = []
    timings = Timings(told.append)
    timings.tell("much")
    spin(2_000_000)
    timings.tell("little")
    timings.end()
    assert told == ["much", "little"]
    assert timings.processor_s["much"] > 10 * timings.processor_s["little"]
    assert timings.total_s >= timings.processor_s["much"] > 0


def test_a_remark_is_no_step() -> None:
    told: list[str] = []
    timings = Timings(told.append)
    timings.tell("work")
    timings.tell("left out the labels: there are none")
    timings.end()
    assert told == ["work", "left out the labels: there are none"]
    assert set(timings.processor_s) == {"preparing", "work"}


def test_the_workers_time_counts() -> None:
    timings = Timings(lambda text: None)
    with Worker() as worker:
        timings.watch(worker)
        timings.tell("work")
        arguments = {"stmt": "sum(range(1000))", "number": 50_000}
        worker.call("timeit:timeit", arguments, step="work")
        timings.end()
    assert timings.processor_s["work"] > 0.05
