"""The safetensors reader: one reading of each file, and one error for each way to be wrong."""

import json
import random
import struct
from pathlib import Path

import pytest

from gatelet.errors import ModelError
from gatelet.runtime.graph.safetensors import (
    DTYPE_BYTES,
    MAX_DIMENSION,
    MAX_HEADER_BYTES,
    MAX_RANK,
    Tensor,
    decode,
    encode,
    read,
)


def file_of(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(shape: object = (1,), offsets: object = (0, 4), dtype: object = "F32") -> object:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_reads_what_it_wrote() -> None:
    tensors = {
        "kernel": Tensor("F32", (2, 3), struct.pack("<6f", *range(6))),
        "scalar": Tensor("I64", (), struct.pack("<q", -5)),
        "nothing": Tensor("U8", (4, 0), b""),
        'odd "name"\n\u4e2d': Tensor("I8", (3,), b"abc"),
    }
    found = decode(encode(tensors), name="x")
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape)
        assert bytes(found[name].data) == tensor.data


def test_the_same_tensors_give_the_same_bytes_with_aligned_data() -> None:
    tensors = {"a": Tensor("F32", (1,), b"abcd")}
    assert encode(tensors) == encode(dict(tensors))
    assert len(encode(tensors)) % 64 == 4
    assert encode(tensors)[-4:] == b"abcd"


def test_no_tensors_are_a_file_too() -> None:
    assert decode(encode({}), name="x") == {}


def test_metadata_of_other_writers_is_skipped() -> None:
    data = file_of({"__metadata__": {"format": "pt"}, "a": entry()}, b"abcd")
    assert list(decode(data, name="x")) == ["a"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "too short for safetensors: 0 bytes"),
        (b"1234567", "too short for safetensors: 7 bytes"),
        (struct.pack("<Q", 3) + b"{}", "its header claims 3 bytes, the file has 10"),
        (struct.pack("<Q", 2**64 - 1) + b"{}", "its header claims 18,446,744,073,709,551,615"),
        (
            struct.pack("<Q", MAX_HEADER_BYTES + 1) + b" " * (MAX_HEADER_BYTES + 1),
            "16,777,216 is the most allowed",
        ),
        (file_of(b""), "does not start with '{'"),
        (file_of(b" {}"), "does not start with '{'"),
        (file_of(b"[]"), "does not start with '{'"),
        (file_of(b"{"), "no valid JSON"),
        (file_of(b"{} {}"), "no valid JSON"),
        (file_of(b'{"\xff": 1}'), "no valid JSON"),
        (file_of('{"a": 1}'.encode("utf-16-le")), "no valid JSON"),
        (file_of(b'{"a":' * 100_000), "nested too deeply"),
        (file_of(b'{"a": {}, "a": {}}'), "the same key twice"),
        (file_of({"a": 1}), "tensor 'a' has no valid entry"),
        (file_of({"a": []}), "tensor 'a' has no valid entry"),
        (file_of({"a": {}}), "tensor 'a' has no valid entry"),
        (file_of({"a": entry(shape=4)}), "tensor 'a' has no valid entry"),
        (file_of({"a": entry(shape=[1.0])}), "tensor 'a' has no valid entry"),
        (file_of({"a": entry(shape=[True])}), "tensor 'a' has no valid entry"),
        (file_of({"a": entry(shape="1")}), "tensor 'a' has no valid entry"),
        (file_of({"a": entry(offsets=[0])}), "tensor 'a' has no valid entry"),
        (file_of({"a": entry(offsets=[0, 4, 8])}), "tensor 'a' has no valid entry"),
        (file_of({"a": entry(offsets=[0, None])}), "tensor 'a' has no valid entry"),
        (file_of({"a": entry(dtype="F128")}, b"abcd"), "tensor type 'F128' is not known"),
        (file_of({"a": entry(dtype=["F32"])}, b"abcd"), "tensor type .* is not known"),
        (file_of({"a": entry(dtype=None)}, b"abcd"), "tensor type None is not known"),
        (file_of({"a": entry(shape=[-1])}, b"abcd"), r"shape \[-1\] is not possible"),
        (file_of({"a": entry(shape=[1] * (MAX_RANK + 1))}, b"abcd"), "is not possible"),
        (file_of({"a": entry(shape=[MAX_DIMENSION + 1])}, b"abcd"), "is not possible"),
        (file_of({"a": entry(shape=[2**32, 2**32])}, b"abcd"), "takes .* bytes, but has 4"),
        (file_of({"a": entry(shape=[10**4000] * 8)}, b"abcd"), "is not possible"),
        (file_of({"a": entry(shape=[2])}, b"abcd"), r"shape \[2\] takes 8 bytes, but has 4"),
        (file_of({"a": entry(offsets=[0, 8])}, b"abcd"), "at bytes 0 to 8, .* within 4"),
        (file_of({"a": entry(offsets=[4, 0])}, b"abcd"), "at bytes 4 to 0"),
        (file_of({"a": entry(offsets=[-4, 0])}, b"abcd"), "at bytes -4 to 0"),
        (file_of({"a": entry(offsets=[0, 10**4000])}, b"abcd"), "at bytes 0 to 1000"),
        (file_of({"a": entry(offsets=[1, 5])}, b"abcde"), "expected to start at 0"),
        (file_of({"a": entry(), "b": entry()}, b"abcd"), "tensor 'b' .* expected to start at 4"),
        (file_of({"a": entry()}, b"abcdefg"), "3 bytes belong to no tensor"),
        (file_of({}, b"x"), "1 bytes belong to no tensor"),
        (file_of({"a" * 10**6: 1}), "has no valid entry"),
    ],
    ids=range(42),
)
def test_refuses_a_damaged_file(data: bytes, expected: str) -> None:
    with pytest.raises(ModelError, match=f"'weights'.*{expected}") as caught:
        decode(data, name="weights")
    assert len(str(caught.value)) < 1000


def test_any_damage_is_a_model_error_or_tensors_of_the_right_size() -> None:
    generator = random.Random(3)
    data = encode({"a": Tensor("F32", (2, 2), bytes(16)), "b": Tensor("I8", (5,), bytes(5))})
    for _ in range(3000):
        spoiled = bytearray(data)
        for _ in range(generator.choice((1, 2, 4))):
            spoiled[generator.randrange(len(spoiled))] = generator.randrange(256)
        cut = generator.choice((len(spoiled), len(spoiled), generator.randrange(len(spoiled))))
        try:
            found = decode(bytes(spoiled[:cut]), name="x")
        except ModelError:
            continue
        for tensor in found.values():
            assert DTYPE_BYTES[tensor.dtype] * count(tensor.shape) == len(tensor.data)


def count(shape: tuple[int, ...]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def test_a_missing_file_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot read '.*/nothing': No such file or directory"):
        read(tmp_path / "nothing")


def test_reads_a_file(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(encode({"a": Tensor("U8", (1,), b"x")}))
    assert bytes(read(tmp_path / "w")["a"].data) == b"x"
