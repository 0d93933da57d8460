import numpy as np

from gatelet.convert.rows.calibration import CALIBRATION_ROWS, choose_rows


def ids_of_every_length(rows: int, T: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    ids = rng.integers(1, 500, (rows, T))
    return np.where(np.arange(T) < rng.integers(1, T + 1, (rows, 1)), ids, 0).astype(np.int32)


def test_chooses_rows_of_every_length() -> None:
    ids = ids_of_every_length(2000, 40)
    chosen = choose_rows({"ids": ids}, source="x").rows["ids"]
    assert len(chosen) == CALIBRATION_ROWS
    counts, _ = np.histogram((chosen != 0).sum(axis=1), bins=4, range=(0, 40))
    assert counts.min() >= CALIBRATION_ROWS // 8


def test_chooses_rows_with_many_different_words() -> None:
    ids = ids_of_every_length(2000, 40)
    chosen = choose_rows({"ids": ids}, source="x", count=16)
    first = np.unique(ids[:16]).size
    assert chosen.facts["different_ids"] > 1.2 * first


def test_chooses_the_features_with_the_largest_magnitudes() -> None:
    features = np.random.default_rng(0).normal(size=(600, 9, 3)).astype(np.float32)
    features[417, 4, 1] = 1000
    assert choose_rows({"features": features}, source="x").rows["features"].max() == 1000


def test_few_rows_are_all_chosen() -> None:
    ids = ids_of_every_length(3, 10)
    assert choose_rows({"ids": ids}, source="x").rows["ids"].tolist() == ids.tolist()


def test_the_digest_tells_rows_apart() -> None:
    ids = ids_of_every_length(50, 10)
    one = choose_rows({"ids": ids}, source="x").facts
    assert one == choose_rows({"ids": ids.copy()}, source="x").facts
    changed = ids.copy()
    changed[7, 0] += 1
    assert one["sha256"] != choose_rows({"ids": changed}, source="x").facts["sha256"]
    assert one["rows"] == 50
