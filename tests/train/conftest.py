"""Small labelled data that a tiny network learns in seconds."""

import csv
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

WORDS = {
    "good": "good great fine lovely superb",
    "bad": "bad awful poor dire weak",
    "mixed": "so meh okay fair middling",
}
FILLERS = ("film", "plot", "actor", "scene", "music", "the", "a", "it", "was", "very")

WriteReviews = Callable[..., Path]


@pytest.fixture(scope="session")
def write_reviews() -> WriteReviews:
    """Return a function that writes a CSV file of made-up reviews."""

    def write(path: Path, *, rows: int = 300, labels: Sequence[str] = ("good", "bad")) -> Path:
        generator = random.Random(7)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("text", "label"))
            for row in range(rows):
                label = labels[row % len(labels)]
                words = generator.choices(FILLERS, k=8)
                words += generator.choices(WORDS[label].split(), k=2)
                writer.writerow((" ".join(words), label))
        return path

    return write
