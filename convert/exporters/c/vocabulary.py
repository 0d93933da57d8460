"""The vectorizer of a bundle as tables for C: vocabulary, filters, Python's own Unicode data.

Not what is done with them: see kernels/vectorizer.c.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.exporters.c.blob import Blob
from gatelet.runtime.vectorizer.opening import AnyVectorizer
from gatelet.runtime.vectorizer.text_vectorization import OOV_ID, PAD_ID, TextVectorization
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

_ASCII_PUNCTUATION = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"
_ASCII_SPACE = "\t\n\v\f\r"
_SIGMA = 0x3A3
_SURROGATES = range(0xD800, 0xE000)
_CODES = 0x110000
_BLOCK = 4096
LARGEST_WORD_BYTES = 65_535


@dataclass(frozen=True)
class Vocabulary:
    """What C needs to turn texts into ids.

    Args:
        data: The tables, a file of their own.
        lines: The statement that makes a struct gatelet_vectorizer `v` from them.
        maxlen: The number of ids that a text gives.
        token_bytes: The longest token that is kept.
    """

    data: bytes
    lines: list[str]
    maxlen: int
    token_bytes: int


@dataclass(frozen=True)
class _Settings:
    flags: list[str]
    unknown_id: int
    pad_id: int
    separator: str
    replaced: str
    removed: str


def write_vocabulary(vectorizer: AnyVectorizer) -> Vocabulary | None:
    """Write the tables.

    Returns:
        None for what C does not do: n-grams.
    """
    settings = (
        _of_tokenizer(vectorizer) if isinstance(vectorizer, Vectorizer) else _of_layer(vectorizer)
    )
    if settings is None:
        return None
    blob = Blob()
    words = _reachable(vectorizer.vocabulary)
    separator = settings.separator.encode("utf-8", "replace")
    longest = max(map(len, words), default=0)
    fields = {
        "flags": " | ".join(settings.flags) or "0",
        "maxlen": vectorizer.maxlen,
        "pad_id": settings.pad_id,
        "unknown_id": settings.unknown_id,
        "separator": _at(blob, separator, "uint8_t"),
        "separator_bytes": len(separator),
        "longest": longest,
    }
    for name, characters in (("replaced", settings.replaced), ("removed", settings.removed)):
        codes = sorted(set(map(ord, characters)))
        fields[name] = _at(blob, codes, "int32_t")
        fields[f"{name}_count"] = len(codes)
    if "GATELET_LOWER" in settings.flags:
        fields |= _unicode(blob)
    fields |= _words(blob, words)
    lines = ["const struct gatelet_vectorizer v = {"]
    lines += [f"    .{name} = {text}," for name, text in fields.items()]
    return Vocabulary(
        blob.finish(), [*lines, "};"], vectorizer.maxlen, longest + len(separator) + 4
    )


def _of_tokenizer(vectorizer: Vectorizer) -> _Settings:
    flags = [
        flag
        for flag, holds in (
            ("GATELET_LOWER", vectorizer.lower),
            ("GATELET_CHARACTERS", vectorizer.char_level),
            ("GATELET_PAD_IN_FRONT", vectorizer.padding == "pre"),
            ("GATELET_CUT_IN_FRONT", vectorizer.truncating == "pre"),
        )
        if holds
    ]
    by_word = not vectorizer.char_level
    return _Settings(
        flags,
        -1 if vectorizer.oov_id is None else vectorizer.oov_id,
        vectorizer.pad_value,
        vectorizer.split if by_word else "",
        vectorizer.filters if by_word else "",
        "",
    )


def _of_layer(vectorizer: TextVectorization) -> _Settings | None:
    if vectorizer.ngrams is not None:
        return None
    standardize = vectorizer.standardize or ""
    flags = ["GATELET_LOWER_ASCII"] if "lower" in standardize else []
    if vectorizer.split != "whitespace":
        flags.append("GATELET_CHARACTERS" if vectorizer.split else "GATELET_WHOLE")
    by_word = vectorizer.split == "whitespace"
    return _Settings(
        flags,
        OOV_ID,
        PAD_ID,
        " " if by_word else "",
        _ASCII_SPACE if by_word else "",
        _ASCII_PUNCTUATION if "strip_punctuation" in standardize else "",
    )


def _reachable(vocabulary: Mapping[str, int]) -> dict[bytes, int]:
    """Return the words that a text in UTF-8 can hold: a lone surrogate is in none."""
    words = {}
    for word, index in sorted(vocabulary.items(), key=lambda item: item[1]):
        try:
            encoded = word.encode("utf-8")
        except UnicodeEncodeError:
            continue
        if 0 < len(encoded) <= LARGEST_WORD_BYTES:
            words[encoded] = index
    return words


def _words(blob: Blob, words: Mapping[bytes, int]) -> dict[str, object]:
    count = len(words)
    slots = np.zeros(1 << max(4, (count * 4 // 3).bit_length()), np.uint32)
    mask = len(slots) - 1
    for index, word in enumerate(words):
        place = _hash(word) & mask
        while slots[place]:
            place = (place + 1) & mask
        slots[place] = index + 1
    lengths = np.array([len(word) for word in words] or [0], np.uint16)
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.uint32)])[:-1:16]
    return {
        "words": _at(blob, b"".join(words), "uint8_t"),
        "lengths": _at(blob, lengths, "uint16_t"),
        "starts": _at(blob, starts, "uint32_t"),
        "ids": _at(blob, list(words.values()), "int32_t"),
        "slots": _at(blob, slots, "uint32_t"),
        "mask": mask,
    }


def _hash(word: bytes) -> int:
    """FNV-1a, folded; as hash_of in kernels/vectorizer.c."""
    found = 2166136261
    for byte in word:
        found = (found ^ byte) * 16777619 & 0xFFFFFFFF
    return found ^ found >> 15


def _unicode(blob: Blob) -> dict[str, object]:
    """Return the tables of str.lower, asked of str.lower itself."""
    cases, cased, ignorable = _case_runs(), *_sigma_context()
    return {
        "cases": _at(blob, cases, "struct gatelet_case"),
        "cases_count": len(cases),
        "cased": _at(blob, cased, "struct gatelet_range"),
        "cased_count": len(cased),
        "ignorable": _at(blob, ignorable, "struct gatelet_range"),
        "ignorable_count": len(ignorable),
    }


@cache
def _case_runs() -> list[tuple[int, int, int, int]]:
    """Return (first, last, step, delta) of the characters whose lower case is one other."""
    runs: list[list[int]] = []
    for code in _codes_that_change():
        lower = chr(code).lower()
        if len(lower) > 1 or ord(lower) == code:
            continue
        delta = ord(lower) - code
        if runs and runs[-1][3] == delta and code - runs[-1][1] <= 2:
            first, last, step, _ = runs[-1]
            if first == last or code - last == step:
                runs[-1] = [first, code, code - last, delta]
                continue
        runs.append([code, code, 1, delta])
    return [(run[0], run[1], run[2], run[3]) for run in runs]


@cache
def _sigma_context() -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the ranges of cased characters, and of those that a final sigma looks through."""
    cased = {_SIGMA, *_before_final_sigmas("")}
    return _ranges(sorted(cased)), _ranges(sorted({*_before_final_sigmas("A")} - cased))


def _before_final_sigmas(before: str) -> Iterator[int]:
    """Return the characters between `before` and a capital sigma that make it a final one."""
    for codes in _blocks():
        texts = np.zeros((len(codes), len(before) + 3), np.uint32)
        texts[:] = [*map(ord, before), 0, 0x3A3, 0]
        texts[:, len(before)] = codes
        # NUL, which is neither cased nor looked through, keeps the characters apart
        lower = _text(texts).lower()
        if "\u03c2" in lower:
            found = zip(codes.tolist(), lower.split("\0"), strict=False)
            yield from (code for code, one in found if code != _SIGMA and one[-1] == "\u03c2")


def _codes_that_change() -> Iterator[int]:
    """Return the characters that str.lower changes, and their neighbours."""
    for codes in _blocks():
        text = _text(codes)
        if text.lower() != text:
            yield from codes.tolist()


def _blocks() -> Iterator[NDArray[np.uint32]]:
    """Return all characters but NUL and halves of pairs: of most blocks none has a case."""
    for start in range(0, _CODES, _BLOCK):
        codes = np.arange(max(start, 1), start + _BLOCK, dtype=np.uint32)
        codes = codes[(codes < _SURROGATES.start) | (codes >= _SURROGATES.stop)]
        if len(codes):
            yield codes


def _text(codes: NDArray[np.uint32]) -> str:
    return codes.astype("<u4").tobytes().decode("utf-32-le")


def _ranges(codes: Iterable[int]) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    for code in codes:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1] = (ranges[-1][0], code)
        else:
            ranges.append((code, code))
    return ranges


def _at(blob: Blob, values: object, c_type: str) -> str:
    """Store a table, never an empty one, and give a pointer to it."""
    dtypes = {"uint8_t": np.uint8, "uint16_t": np.uint16, "uint32_t": np.uint32}
    dtype = dtypes.get(c_type, np.int32)
    array = (
        np.frombuffer(values, np.uint8) if isinstance(values, bytes) else np.array(values, dtype)
    )
    stored = array.astype(dtype) if array.size else np.zeros(4, dtype)
    return f"GATELET_AT({c_type}, {blob.add(stored)})"
