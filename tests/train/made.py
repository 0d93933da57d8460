"""Small made data of every kind that training takes, which a tiny network learns."""

import json
import math
import random
from pathlib import Path

ACTIVITIES = {"sit": 0.0, "walk": 0.5, "run": 1.3}
"""Labels of made recordings, and how fast they swing."""


def write_inertial(path: Path, *, subjects: int = 12, rows: int = 40) -> Path:
    """Write rows of two accelerations, a note, and the label; each subject is one recording."""
    rng = random.Random(5)
    lines = ["subject,ax,ay,note,label"]
    for subject in range(subjects):
        for label, speed in ACTIVITIES.items():
            for step in range(rows):
                ax = math.sin(speed * step) * speed + rng.gauss(0, 0.1)
                ay = math.cos(speed * step) + rng.gauss(0, 0.1)
                lines.append(f"s{subject},{ax:.4f},{ay:.4f},x,{label}")
    path.write_text("\n".join([*lines, ""]))
    return path


def write_tagged(path: Path, *, rows: int = 150) -> Path:
    """Write texts with a label for each token, half of them as a string."""
    rng = random.Random(3)
    words = {
        "neg": ["bad", "awful", "poor"],
        "pos": ["good", "great", "fine"],
        "o": ["film", "plot", "actor", "the", "a", "it"],
    }
    with path.open("w") as file:
        for row in range(rows):
            labels = rng.choices(("o", "o", "pos", "neg"), k=rng.randint(3, 8))
            text = " ".join(rng.choice(words[one]) for one in labels)
            given = labels if row % 2 else " ".join(labels)
            file.write(json.dumps({"text": text, "labels": given}) + "\n")
    return path


def write_series(path: Path, *, rows: int = 400) -> Path:
    """Write a load, in thousands, that swings with a temperature."""
    rng = random.Random(4)
    lines = ["load,temperature"]
    for step in range(rows):
        load = 5000 + 800 * math.sin(step / 4) + rng.gauss(0, 40)
        lines.append(f"{load:.2f},{15 + 5 * math.sin(step / 4 + 1):.3f}")
    path.write_text("\n".join([*lines, ""]))
    return path


def write_several(path: Path, *, rows: int = 240) -> Path:
    """Write texts with two columns of 0 and 1."""
    rng = random.Random(6)
    lines = ["text,funny,sad"]
    for row in range(rows):
        funny, sad = rng.random() < 0.5, rng.random() < 0.3
        words = [*rng.choices(["film", "plot", "actor", "the", "a", "it"], k=4), f"w{row % 40}"]
        words += ["joke"] * funny + ["tears"] * sad
        rng.shuffle(words)
        lines.append(f"{' '.join(words)},{int(funny)},{int(sad)}")
    path.write_text("\n".join([*lines, ""]))
    return path
