"""The vectorizer as ONNX nodes, so that a file takes texts: stock onnxruntime operators only.

Not lower-casing: the caller does that, where the vectorizer does. StringNormalizer depends on the
machine's locale. See docs/decisions/0010-text-in-the-graph.md.
"""

import numpy as np

from gatelet.convert.exporters.onnx.writer import Writer
from gatelet.errors import ConversionError
from gatelet.runtime.vectorizer.opening import AnyVectorizer
from gatelet.runtime.vectorizer.surrogates import as_utf8
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

__all__ = ["TEXT_INPUT", "check_vectorizer", "write_ids"]

TEXT_INPUT = "text"

_NO_TOKEN = -1
"""What stands for a place behind a text's last token, and for a word that is dropped."""


def check_vectorizer(vectorizer: AnyVectorizer | None) -> Vectorizer:
    """Give the vectorizer, if it can be written.

    Raises:
        ConversionError: There is none, or it is none of words or characters.
    """
    if vectorizer is None:
        raise ConversionError(
            "onnx-text needs a vectorizer, and the model comes without one: give one with "
            "--vectorizer, or choose --target onnx",
            target="onnx-text",
        )
    if not isinstance(vectorizer, Vectorizer):
        raise ConversionError(
            "onnx-text cannot hold a TextVectorization layer, only a Tokenizer of words or "
            "characters: choose --target onnx, and the runtime vectorizes",
            target="onnx-text",
        )
    if not vectorizer.char_level and len(vectorizer.split) > 1:
        raise ConversionError(
            f"onnx-text can split words at one character only, and this vectorizer splits at "
            f"{vectorizer.split!r}: choose --target onnx, and the runtime vectorizes",
            target="onnx-text",
        )
    return vectorizer


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
    """Give the expression that the Tokenizer splits at; '' splits characters."""
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
