"""A TextVectorization layer at the start of a model becomes the bundle's vectorizer.

Not the vectorizer's semantics: those are in `gatelet.runtime.vectorizer.text_vectorization`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gatelet.convert.reading.source import SourceCall, SourceModel
from gatelet.errors import ModelError, UnsupportedLayer
from gatelet.runtime.vectorizer.text_vectorization import (
    OOV_ID,
    SPLIT,
    STANDARDIZE,
    TextVectorization,
)

TEXT_LAYER = "TextVectorization"


def take_text_layer(model: SourceModel) -> tuple[SourceModel, TextVectorization | None]:
    """Take the layer out of a model whose only input it reads.

    Args:
        model: As read.

    Returns:
        The model from ids on, and the vectorizer; the model itself and None without such a layer.

    Raises:
        UnsupportedLayer: The layer stands elsewhere, or has an option that has no exact equal.
    """
    calls = [call for call in model.calls if model.layers[call.layer].class_name == TEXT_LAYER]
    if not calls:
        return model, None
    layer = model.layers[calls[0].layer]
    if len(calls) > 1 or len(model.inputs) > 1 or calls[0].inputs != (model.inputs[0].value,):
        raise _refused(layer.name, "stands elsewhere than right behind the model's only input")
    vectorizer = text_layer_vectorizer(layer.name, layer.config)
    source = replace(model.inputs[0], shape=(None, vectorizer.maxlen))
    rest = tuple(
        _reading(call, calls[0].outputs[0], source.value)
        for call in model.calls
        if call != calls[0]
    )
    layers = {name: one for name, one in model.layers.items() if name != layer.name}
    return replace(model, layers=layers, calls=rest, inputs=(source,)), vectorizer


def _reading(call: SourceCall, old: str, new: str) -> SourceCall:
    return replace(call, inputs=tuple(new if name == old else name for name in call.inputs))


def text_layer_vectorizer(name: str, config: Mapping[str, Any]) -> TextVectorization:
    """Return the vectorizer that does what the layer does.

    Args:
        name: The layer's, for messages.
        config: Its settings; `vocabulary` begins with padding and unknown.

    Raises:
        ModelError: A setting is damaged.
        UnsupportedLayer: The layer has an option that has no exact equal.
    """
    if config.get("output_mode", "int") != "int":
        raise _refused(name, f"has output_mode='{config['output_mode']}'; supported: 'int'")
    if config.get("ragged"):
        raise _refused(name, "is ragged; supported: ragged=False")
    encoding = str(config.get("encoding", "utf-8"))
    if encoding.lower().replace("_", "-") not in ("utf-8", "utf8"):
        raise _refused(name, f"has encoding='{encoding}'; supported: 'utf-8'")
    for option, known in (("standardize", STANDARDIZE), ("split", SPLIT)):
        if config.get(option) not in known:
            raise _refused(
                name, f"has a {option} of its own; supported: {', '.join(map(str, known))}"
            )
    maxlen = config.get("output_sequence_length")
    if maxlen is None:
        raise _refused(
            name,
            "has no output_sequence_length, so what it gives depends on the other texts of a "
            "batch; set one",
        )
    ngrams = config.get("ngrams")
    widths = tuple(range(1, ngrams + 1)) if isinstance(ngrams, int) else ngrams
    vocabulary = {word: i for i, word in enumerate(config["vocabulary"]) if i > OOV_ID}
    try:
        return TextVectorization(
            standardize=config.get("standardize"),
            split=config.get("split"),
            ngrams=None if widths is None else tuple(widths),
            maxlen=maxlen,
            vocabulary=vocabulary,
        )
    except (TypeError, ValueError) as error:
        raise ModelError(f"layer '{name}' ({TEXT_LAYER}): {error}") from error


def _refused(name: str, what: str) -> UnsupportedLayer:
    return UnsupportedLayer(
        f"layer '{name}' ({TEXT_LAYER}) {what}", layer=name, class_name=TEXT_LAYER
    )
