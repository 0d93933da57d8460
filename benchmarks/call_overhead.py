"""What the Predictor adds to its engine, a call: `python benchmarks/call_overhead.py BUNDLE`.

Pairs in turn, a new random text of 20 words each; the vectorizer against Keras' own; and what the
Predictor adds to the C function of the c target, for ids in arrays and in lists.
Not a test: it measures, and judges nothing.
"""

import random
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from gatelet.runtime import Predictor, load
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

WORDS = 20
PAIRS = 3000
PADDED = 100
WARM_UP_PAIRS = 200
Run = Callable[[Any], Any]


def main(bundle: str) -> None:
    """Measure litert and onnx, then the vectorizer."""
    print("target  bare_us  predictor_us  added_us  (medians; added: of the pairs' differences)")
    for target in ("litert", "onnx"):
        predictor = load(bundle, target=target, scheme="float32")
        vectorizer = predictor.bundle.vectorizer()
        assert isinstance(vectorizer, Vectorizer)
        texts = random_texts(vectorizer, PAIRS + WARM_UP_PAIRS)
        rows = [np.array([vectorizer.pad(text)], np.int32) for text in texts]
        bare, ours = paired(bare_engine(predictor), rows, predictor.predict, [[t] for t in texts])
        added = statistics.median(b - a for a, b in zip(bare, ours, strict=True))
        medians = statistics.median(bare), statistics.median(ours)
        print(f"{target:7} {medians[0]:7.1f} {medians[1]:13.1f} {added:9.1f}")
    compare_vectorizers(vectorizer, texts)
    for rows, tokens in ((1, 100), (1, 20), (1, 5), (64, 20)):
        compare_ids(bundle, rows, tokens)


def random_texts(vectorizer: Vectorizer, count: int) -> list[str]:
    """Draw texts of known and unknown words."""
    draw = random.Random(0)
    words = [*list(vectorizer.vocabulary)[:5000], *(f"unknown{i}" for i in range(100))]
    return [" ".join(draw.choices(words, k=WORDS)) for _ in range(count)]


def paired(
    first: Run, first_inputs: list[Any], second: Run, second_inputs: list[Any]
) -> tuple[list[float], list[float]]:
    """Time two functions in turn, each first in half of the pairs; microseconds."""
    times: tuple[list[float], list[float]] = ([], [])
    jobs = ((first, first_inputs, times[0]), (second, second_inputs, times[1]))
    for number in range(len(first_inputs)):
        for run, inputs, taken in jobs if number % 2 else jobs[::-1]:
            start = time.perf_counter_ns()
            run(inputs[number])
            if number >= WARM_UP_PAIRS:
                taken.append((time.perf_counter_ns() - start) / 1000)
    return times


def bare_engine(predictor: Predictor) -> Run:
    """Return the least that a user of the engine alone would write."""
    backend: Any = predictor._backend
    if predictor.target == "onnx":
        return lambda row: backend._session.run(None, {"ids": row})
    interpreter = backend._interpreter
    (index,) = (one["index"] for one in interpreter.get_input_details())
    (output,) = (one["index"] for one in interpreter.get_output_details())

    def run(row: Any) -> Any:
        interpreter.resize_tensor_input(index, row.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(index, row)
        interpreter.invoke()
        return interpreter.get_tensor(output)

    return run


def compare_vectorizers(vectorizer: Vectorizer, texts: list[str]) -> None:
    """Compare with Keras' Tokenizer and pad_sequences, one text a call."""
    from keras.preprocessing.sequence import pad_sequences
    from keras.src.legacy.preprocessing.text import Tokenizer

    tokenizer = Tokenizer(
        num_words=vectorizer.num_words,
        filters=vectorizer.filters,
        lower=vectorizer.lower,
        split=vectorizer.split,
        oov_token=vectorizer.oov_token,
    )
    tokenizer.word_index = dict(vectorizer.vocabulary)
    if vectorizer.oov_token is not None:
        tokenizer.word_index[vectorizer.oov_token] = vectorizer.oov_id
    keywords = {
        "maxlen": vectorizer.maxlen,
        "padding": vectorizer.padding,
        "truncating": vectorizer.truncating,
    }

    def keras(text: str) -> Any:
        return pad_sequences(tokenizer.texts_to_sequences([text]), **keywords)

    assert all(keras(text)[0].tolist() == vectorizer.pad(text) for text in texts[:100])
    theirs, ours = paired(keras, texts, vectorizer.pad, texts)
    a, b = statistics.median(theirs), statistics.median(ours)
    print(f"vectorizer: Keras {a:.1f} us, gatelet {b:.1f} us, {a / b:.2f} times as fast")


def compare_ids(bundle: str, rows: int, tokens: int) -> None:
    """Compare the c target's function, its memory filled, with the Predictor, in turn."""
    predictor = load(bundle, target="c", scheme="dynamic-int8")
    backend: Any = predictor._backend
    (taken,) = predictor.bundle.graph().inputs
    draw = np.random.default_rng(tokens)
    memory = backend._memories.take(((rows, PADDED),))
    times: dict[str, list[float]] = {"C": [], "int32": [], "int64": [], "lists": []}
    for number in range((PAIRS + WARM_UP_PAIRS) // rows):
        ids = np.zeros((rows, PADDED), np.int32)
        ids[:, PADDED - tokens :] = draw.integers(1, taken.vocabulary, (rows, tokens))
        memory.put([ids])
        jobs: dict[str, Callable[[], Any]] = {
            "C": lambda: backend._call(*memory.arguments),
            "int32": partial(predictor.scores, ids),
            "int64": partial(predictor.scores, ids.astype(np.int64)),
            "lists": partial(predictor.scores, ids.tolist()),
        }
        for name in random.Random(number).sample(list(jobs), len(jobs)):
            start = time.perf_counter_ns()
            jobs[name]()
            times[name].append((time.perf_counter_ns() - start) / 1000)
    medians = {name: statistics.median(found[len(found) // 10 :]) for name, found in times.items()}
    in_c = medians.pop("C")
    added = ", ".join(f"{name} {(us - in_c) / rows:.1f}" for name, us in medians.items())
    print(f"c, {rows} x {tokens} ids: C {in_c / rows:.1f} us a row; added: {added}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: python {sys.argv[0]} BUNDLE")
    main(sys.argv[1])
