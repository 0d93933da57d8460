"""The vectorizer as ONNX nodes, so that a file takes texts: stock onnxruntime operators only.

Not lower-casing: the caller does that, where the vectorizer does. StringNormalizer depends on the
machine's locale. See docs/decisions/0010-text-in-the-graph.md.
"""

import numpy as np

from gatelet.convert.exporters.onnx.writer import Writer
from gatelet.convert.schemes import Scheme
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.vectorizer.opening import AnyVectorizer
from gatelet.runtime.vectorizer.surrogates import as_utf8
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

TEXT_INPUT = "text"

_NO_TOKEN = -1
"""What stands for a place behind a text's last token, and for a word that is dropped."""


def text_refusal(graph: Graph, scheme: Scheme, vectorizer: AnyVectorizer | None) -> str:
    """Say why a model's vectorizer cannot be in its file; '' where it can."""
    if len(graph.inputs) > 1:
        return (
            f"onnx-text takes texts, and the model takes {len(graph.inputs)} inputs: choose "
            "--target onnx"
        )
    if graph.inputs[0].dtype != "int32":
        return "onnx-text takes texts, and the model takes features: choose --target onnx"
    if vectorizer is None:
        return (
            "onnx-text needs a vectorizer, and the model comes without one: give one with "
            "--vectorizer, or choose --target onnx"
        )
    if not isinstance(vectorizer, Vectorizer):
        return (
            "onnx-text cannot hold a TextVectorization layer, only a Tokenizer of words or "
            "characters: choose --target onnx, and the runtime vectorizes"
        )
    if not vectorizer.char_level and len(vectorizer.split) > 1:
        return (
            f"onnx-text can split words at one character only, and this vectorizer splits at "
            f"{vectorizer.split!r}: choose --target onnx, and the runtime vectorizes"
        )
    return ""


def vocabulary_bytes(vectorizer: AnyVectorizer) -> int:
    """Return what a vectorizer's words and their ids take in a file."""
    # each word has a mark and its length, each id a mark and seven bits to a byte
    words = sum(2 + len(as_utf8(word).encode()) for word in vectorizer.vocabulary)
    return words + sum(1 + -(-i.bit_length() // 7) for i in vectorizer.vocabulary.values())


def write_ids(writer: Writer, vectorizer: Vectorizer) -> str:
    """Append what makes padded ids, int32 [B, maxlen], of `text`, string [B]."""
    writer.scope = "vectorizer"
    tokens = writer.add(
        "Tokenizer",
        TEXT_INPUT,
        domain="com.microsoft",
        mark=0,
        mincharnum=1,
        pad_value="",
        separators=[_separators(vectorizer)],
    )
    # the checker does not know this operator, and crashes on what takes an output of no type
    helper, string = writer.onnx.helper, writer.onnx.TensorProto.STRING
    writer.types.append(helper.make_tensor_value_info(tokens, string, ["batch", "tokens"]))
    words = {"": _NO_TOKEN}
    for word, number in vectorizer.vocabulary.items():
        words.setdefault(as_utf8(word), number)
    unknown = _NO_TOKEN if vectorizer.oov_id is None else vectorizer.oov_id
    ids = writer.add(
        "LabelEncoder",
        tokens,
        domain="ai.onnx.ml",
        keys_strings=list(words),
        values_int64s=list(words.values()),
        default_int64=unknown,
    )
    return writer.cast(_aligned(writer, ids, vectorizer), "INT32")


def _separators(vectorizer: Vectorizer) -> str:
    """Return the expression that the Tokenizer splits at; '' splits characters."""
    if vectorizer.char_level:
        return ""
    characters = sorted({*vectorizer.filters, vectorizer.split})
    return "[" + "".join(rf"\x{{{ord(as_utf8(one)):x}}}" for one in characters) + "]+"


def _aligned(writer: Writer, ids: str, vectorizer: Vectorizer) -> str:
    """Append: drop what is no token, cut to maxlen, pad; int64 [B, D] to [B, maxlen].

    Each token is written to the column that it belongs to, those that are dropped to one more
    column, which is cut off.
    """
    zero, one = writer.int_scalar(0), writer.int_scalar(1)
    maxlen = writer.int_scalar(vectorizer.maxlen)
    is_token = writer.add("GreaterOrEqual", ids, zero)
    counted = writer.cast(is_token, "INT64")
    rank = writer.add("Sub", writer.add("CumSum", counted, one), one)
    count = writer.add("ReduceSum", counted, writer.ints(1), keepdims=1)
    kept = writer.add("Min", count, maxlen)
    if vectorizer.truncating == "pre":
        rank = writer.add("Sub", rank, writer.add("Sub", count, kept))
    column = rank
    if vectorizer.padding == "pre":
        column = writer.add("Add", rank, writer.add("Sub", maxlen, kept))
    stays = writer.add("And", is_token, writer.add("GreaterOrEqual", rank, zero))
    stays = writer.add("And", stays, writer.add("Less", rank, maxlen))
    column = writer.add("Where", stays, column, maxlen)
    shape = writer.add(
        "Concat", writer.sizes(ids, 0, 1), writer.ints(vectorizer.maxlen + 1), axis=0
    )
    fill = writer.constant(np.array([vectorizer.pad_value], np.int64), "pad_value")
    padded = writer.add("ScatterElements", writer.add("Expand", fill, shape), column, ids, axis=1)
    end = writer.ints(vectorizer.maxlen)
    return writer.add("Slice", padded, writer.ints(0), end, writer.ints(1))
