"""Pickles and joblib files that would run code, or take gigabytes, where the stock reader runs."""

import bz2
import gzip
import pickle
import struct
import zlib
from collections.abc import Mapping

__all__ = ["HOSTILE"]

MARKER = "a-pickle-ran"
_TOUCH = f"open('{MARKER}', 'w')".encode()
_SHELL = f"touch {MARKER}".encode()
_KERAS = b"ckeras.preprocessing.text\nTokenizer\n"
_END = b"."
_GIGABYTE = 2**30
_ENTRIES = b"".join(b"J" + struct.pack("<i", i) + b"Ns" for i in range(2**20))
_FLOAT = b"cnumpy\ndtype\n(X\x02\x00\x00\x00f8K\x00K\x01tR"  # NumPy's float64
_OBJECT = b"cnumpy\ndtype\n(X\x02\x00\x00\x00O8K\x00K\x01tR"


def _text(text: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text


def _call(name: bytes, argument: bytes) -> bytes:
    module, _, function = name.rpartition(b".")
    return b"\x80\x02c" + module + b"\n" + function + b"\n" + argument + b"\x85R" + _END


def _joblib(dtype: bytes, shape: bytes, behind: bytes) -> bytes:
    state = (
        *(_text(b"dtype"), dtype, _text(b"shape"), shape, _text(b"order"), _text(b"C")),
        *(_text(b"allow_mmap"), b"\x88"),
    )
    made = b"\x80\x04cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}("
    return made + b"".join(state) + b"ub" + behind + _END


def _array(shape: bytes) -> bytes:
    made = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR"
    return made + b"(K\x01" + shape + _FLOAT + b"\x89C\x08" + bytes(8) + b"tb" + _END


HOSTILE: Mapping[str, tuple[bytes, str]] = {
    # code by a function's name
    "system": (_call(b"os.system", _text(_SHELL)), "'os.system', which is not one"),
    "posix": (_call(b"posix.system", _text(_SHELL)), "'posix.system', which is not one"),
    "eval": (_call(b"builtins.eval", _text(_TOUCH)), "'builtins.eval', which is not one"),
    "exec": (_call(b"__builtin__.exec", _text(_TOUCH)), "'__builtin__.exec', which is not one"),
    "getattr": (_call(b"builtins.getattr", _text(b"a")), "'builtins.getattr', which is not"),
    "import": (_call(b"builtins.__import__", _text(b"os")), "'builtins.__import__', which"),
    "load": (_call(b"numpy.load", _text(b"x.npy")), "'numpy.load', which is not one"),
    "dotted": (
        b"\x80\x04" + _text(b"collections") + _text(b"abc.sys.exit") + b"\x93)R" + _END,
        "'collections.abc.sys.exit', which is not one",
    ),
    "instance": (b"(" + _text(_SHELL) + b"ios\nsystem\n" + _END, "the opcode INST, which"),
    "object": (b"(cos\nsystem\n" + _text(_SHELL) + b"o" + _END, "'os.system', which is not"),
    "new": (b"\x80\x02csubprocess\nPopen\n" + _text(b"ls") + b"\x85\x81" + _END, "subprocess.Pop"),
    "new by names": (b"\x80\x04" + _KERAS + b")}\x92" + _END, "the opcode NEWOBJ_EX, which"),
    "extension": (b"\x80\x02\x82\x01" + _END, "the opcode EXT1, which is none of plain data"),
    "persistent": (b"\x80\x02" + _text(b"a") + b"Q" + _END, "the opcode BINPERSID, which is none"),
    # code by what is known
    "codec": (
        b"\x80\x02c_codecs\nencode\n" + _text(b"a") + _text(b"zlib") + b"\x86R" + _END,
        "calls '_codecs.encode' with what is no plain data",
    ),
    "factory": (
        b"\x80\x02ccollections\ndefaultdict\ncos\nsystem\n\x85R" + _END,
        "'os.system', which is not one",
    ),
    "called text": (b"\x80\x02" + _text(b"os.system") + b")R" + _END, "calls 'os.system': expec"),
    "called tokenizer": (b"\x80\x02" + _KERAS + b")\x81)R" + _END, "calls a PickledObject: expec"),
    "tokenizer of a thing": (b"\x80\x02" + _KERAS + b"K\x01\x85\x81" + _END, "with what is no pla"),
    "state of a function": (
        b"\x80\x02c_codecs\nencode\n}" + _text(b"__code__") + b"K\x01sb" + _END,
        "sets the state of what has none",
    ),
    "state twice": (
        b"\x80\x02" + _KERAS + b")\x81" + (b"}" + _text(b"__setstate__") + b"K\x01sb") * 2 + _END,
        "the state of Tokenizer is set twice",
    ),
    "behind joblib's array": (
        _joblib(_OBJECT, b"K\x01\x85", pickle.dumps(print, 2)),
        "'__builtin__.print', which is not one",
    ),
    # memory
    "memo": (b"\x80\x02]r" + struct.pack("<I", 2**31 - 1) + _END, "its memo has the index 2,147"),
    "memo of protocol 0": (b"(lp99999999999\n" + _END, "its memo has the index 99,999,999,999"),
    "memo that lacks": (b"\x80\x02]q\x01h\x00" + _END, "its memo has no value 0"),
    "string": (b"\x80\x02X" + struct.pack("<I", _GIGABYTE) + b"a", "announces 1,073,741,824 bytes"),
    "long string": (
        b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"a",
        "announces 4,611,686,018,427,387",
    ),
    "bytes": (b"\x80\x03B" + struct.pack("<I", _GIGABYTE) + b"a", "announces 1,073,741,824 bytes"),
    "integer": (
        b"\x80\x02\x8b" + struct.pack("<i", _GIGABYTE) + b"a",
        "announces 1,073,741,824 bytes",
    ),
    "digits": (b"L" + b"9" * 1_000_000 + b"L\n" + _END, "is not read: Exceeds the limit"),
    "lists": (b"\x80\x02" + b"]" * 200_000 + _END, "more than 100,000 values open at once"),
    "lists in a list": (b"\x80\x02]" + b"]a" * 2_000_000 + _END, "holds more than 150,994,944 byt"),
    "inflated": (zlib.compress(b"\x80\x02" + b"N0" * 2**26), "inflates to more than 67,108,864 by"),
    "gzip": (gzip.compress(b"\x80\x02" + b"N" * 2**27), "inflates to more than 67,108,864 bytes"),
    "words": (
        zlib.compress(b"\x80\x04](" + b"\x8c\x01a\x94" * 90_000 * 100),
        "more than 100,000 values open at once",
    ),
    "entries": (
        zlib.compress(
            b"\x80\x02}" + b"".join(b"J%bK\x01s" % struct.pack("<i", i) for i in range(2**20))
        ),
        "it holds more than 150,994,944 bytes, the most allowed",
    ),
    "array": (_array(b"\x8a\x06" + bytes(5) + b"\x01\x85"), "an array has no shape"),
    "smaller array": (_array(b"J\x00\x00\x00\x40\x85"), "has 8 bytes"),
    "joblib's array": (
        _joblib(_FLOAT, b"J\x00\x00\x00\x40\x85", b""),
        "announces 8,589,934,592 byt",
    ),
    # depth
    "nested lists": (
        b"\x80\x02" + b"]" * 10_000 + b"a" * 9_999 + _END,
        "nested more than 100 deep",
    ),
    "nested tuples": (b"\x80\x02K\x01" + b"\x85" * 10_000 + _END, "nested more than 100 deep"),
    "nested marks": (b"(" * 10_000 + b"t" * 10_000 + _END, "nested more than 100 deep"),
    "nested states": (
        b"\x80\x02"
        + (_KERAS + b")\x81}" + _text(b"a")) * 10_000
        + b"K\x01"
        + b"sb" * 10_000
        + _END,
        "nested more than 100 deep",
    ),
    # damage
    "empty": (b"", "it is damaged: it ends too early"),
    "cut": (pickle.dumps({"a": 1})[:-3], "is not read: "),
    "missing value": (b"\x80\x02s" + _END, "it is damaged: a value is missing"),
    "missing mark": (b"\x80\x02]u" + _END, "it is damaged: a mark is missing"),
    "list as key": (b"\x80\x02}]K\x01s" + _END, "a _List is a key: expected a string or a number"),
    "bz2": (bz2.compress(b"\x80\x02N."), "it is compressed by bz2: expected zlib, gzip or nothing"),
}
"""The bytes of each, and a part of the sentence that refuses it."""
