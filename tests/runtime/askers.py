"""Asks one Predictor from one thread and from several, and compares.

Not a test: test_threads.py runs it here, in forks and in processes started anew.
"""

import threading

from gatelet.runtime import Predictor

__all__ = ["TEXTS", "answers", "wrong_answers"]

THREADS = 8
TEXTS = [" ".join(f"w{(7 * row + i) % 48 + 1}" for i in range(row % 10)) for row in range(40)]


def answers(predictor: Predictor, count: int) -> list[float]:
    """Ask one text a call, in an order that depends on nothing but the number."""
    return [predictor.predict([TEXTS[n % len(TEXTS)]])[0].score for n in range(count)]


def wrong_answers(predictor: Predictor, count: int) -> list[str]:
    """Ask from several threads at once, and give what differs from the answers of one."""
    right = answers(predictor, len(TEXTS))
    assert len(set(right)) > 20
    wrong: list[str] = []
    together = threading.Barrier(THREADS)

    def ask(offset: int) -> None:
        try:
            together.wait()
            for n in range(offset, offset + count):
                number = n % len(TEXTS)
                (found,) = predictor.predict([TEXTS[number]])
                if found.score != right[number]:
                    wrong.append(f"text {number}: {found.score}, not {right[number]}")
        except Exception as error:
            wrong.append(repr(error))

    threads = [threading.Thread(target=ask, args=(5 * n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong
