"""The lines that a host and the self-test on a device exchange; docs/devices.md describes them.

Not the ways that lines go: see `links.py`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from gatelet.errors import DeviceError

VERSION = 1
_WORDS_A_LINE = 4
"""Of a `put`: the line then has less than the 64 bytes that small boards keep for a serial port."""
_LOOP_INSTRUCTIONS = 3_000_000
_MASK = 0xFFFFFFFF


class Link(Protocol):
    """A way to a device."""

    name: str
    """For messages: 'qemu-system-arm', 'the board on /dev/ttyACM0'."""

    def send(self, line: str) -> None:
        """Send a line, without its end."""
        ...

    def receive(self) -> str:
        """Return the next line.

        Raises:
            DeviceError: None came in time, or the device has gone.
        """
        ...


@dataclass(frozen=True)
class Hello:
    """What a self-test says of itself.

    Args:
        source: The first digits of its model's SHA-256.
        steps: It takes timesteps, not whole rows.
        input_words: 32-bit numbers that it takes.
        output_words: That it gives.
        loop_ticks: What 3,000,000 instructions take on its clock; 1: it counts cycles, 0: nothing.
    """

    source: str
    steps: bool
    input_words: int
    output_words: int
    loop_ticks: int

    @property
    def unit(self) -> str:
        """What it counts: 'instructions', 'cycles', or '' for nothing."""
        return {0: "", 1: "cycles"}.get(self.loop_ticks, "instructions")

    def counted(self, ticks: int) -> int:
        """Return what some ticks of its clock are in that unit."""
        if self.loop_ticks <= 1:
            return ticks
        return round(ticks * _LOOP_INSTRUCTIONS / self.loop_ticks)


@dataclass(frozen=True)
class Row:
    """An input as the self-test takes it.

    Args:
        pieces: One a call, each the 32-bit numbers of all inputs: one of a whole row, and of
            steps one a timestep.
        sizes: The sizes that the row leaves open.
    """

    pieces: tuple[Sequence[int], ...]
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What a device made of a row.

    Args:
        bits: The outputs of each call, 32 bits each.
        count: Instructions or cycles of all calls; 0 where nothing counts them.
    """

    bits: tuple[tuple[int, ...], ...]
    count: int


def requests_of(rows: Iterable[Row], *, steps: bool) -> Iterator[str]:
    """Return the lines that a host sends for some rows, from hello to bye."""
    yield "hello"
    for row in rows:
        yield from _requests_of(row, steps=steps)
    yield "stack"
    yield "bye"


def _requests_of(row: Row, *, steps: bool) -> Iterator[str]:
    if steps:
        yield "new"
    sizes = "".join(f" {size:x}" for size in row.sizes)
    for piece in row.pieces:
        for start in range(0, len(piece), _WORDS_A_LINE):
            words = piece[start : start + _WORDS_A_LINE]
            yield f"put {start:x} {' '.join(f'{word:x}' for word in words)}"
        yield f"run{sizes}"


class Conversation:
    """A host's side, of one self-test on one device.

    Args:
        link: To the device.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._done = 0

    def hello(self) -> Hello:
        """Ask the self-test what it is.

        Raises:
            DeviceError: What answers is no self-test, or one of another version, or it does not
                take its own weights.
        """
        words = self._ask("hello").split()
        name, version, *rest = (*words, "", "")
        if name != "gatelet":
            raise self._rubbish("hello", " ".join(words))
        if version != str(VERSION):
            raise DeviceError(
                f"{self._link.name}: its self-test speaks version {version} of the protocol, this "
                f"gatelet {VERSION}: build it again"
            )
        source, *numbers = rest[:-2]
        steps, taken, made, check, ticks = self._numbers("hello", numbers, 5)
        if check:
            raise DeviceError(
                f"{self._link.name}: the weights there do not belong to the code: build it again"
            )
        return Hello(source, bool(steps), taken, made, ticks)

    def run(self, row: Row, hello: Hello) -> Answer:
        """Run a row.

        Raises:
            DeviceError: The model refuses it, or an answer is no answer.
        """
        longest = max(map(len, row.pieces))
        if longest > hello.input_words:
            raise DeviceError(
                f"{self._link.name}: row {self._done + 1} has {longest:,} numbers, and the "
                f"self-test there has room for {hello.input_words:,}: build it for longer rows"
            )
        made, count = [], 0
        for line in _requests_of(row, steps=hello.steps):
            words = self._ask(line).split()
            if not line.startswith("run"):
                self._check_sum(line, words)
                continue
            if words[:1] != ["made"]:
                raise self._rubbish(line, " ".join(words))
            error, ticks, *bits, total = self._numbers(line, words[1:], 3 + hello.output_words)
            if error:
                raise DeviceError(
                    f"{self._link.name}: the model refuses row {self._done + 1} (error {error})"
                )
            if sum(bits) & _MASK != total:
                raise self._rubbish(line, " ".join(words))
            made.append(tuple(bits))
            count += ticks
        self._done += 1
        return Answer(tuple(made), hello.counted(count))

    def stack_bytes(self) -> int:
        """Ask for the most bytes of stack so far; 0 where the device does not know."""
        words = self._ask("stack").split()
        if words[:1] != ["stack"]:
            raise self._rubbish("stack", " ".join(words))
        return self._numbers("stack", words[1:], 1)[0]

    def bye(self) -> None:
        """End it."""
        answer = self._ask("bye")
        if answer != "bye":
            raise self._rubbish("bye", answer)

    def _ask(self, line: str) -> str:
        self._link.send(line)
        answer = self._link.receive()
        if answer == "fault":
            raise DeviceError(
                f"{self._link.name}: the program faulted after {self._done} rows, as one does "
                "whose stack runs into its variables"
            )
        return answer

    def _check_sum(self, line: str, words: Sequence[str]) -> None:
        kind, *sent = line.split()
        total = sum(int(word, 16) for word in sent[1:]) & _MASK if kind == "put" else 0
        if list(words) != ["ok", f"{total:x}"]:
            raise self._rubbish(line, " ".join(words))

    def _numbers(self, line: str, words: Sequence[str], count: int) -> list[int]:
        try:
            found = [int(word, 16) for word in words]
        except ValueError:
            found = []
        if len(found) != count:
            raise self._rubbish(line, " ".join(words))
        return found

    def _rubbish(self, line: str, answer: str) -> DeviceError:
        shown = answer if len(answer) <= 60 else f"{answer[:60]}..."
        return DeviceError(
            f"{self._link.name} answered {shown!r} to {line.split()[0]!r} after {self._done} rows: "
            "that is no answer of the self-test; is another program on that port?"
        )
