"""What the worker process does for the route past the Graph: Keras' own converters and answers.

Not called directly: these converters can end their process.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gatelet.convert.exporters.exported import Exported
from gatelet.convert.exporters.targets import EXPORTERS
from gatelet.convert.gates.gates import check_operators
from gatelet.convert.gates.operators import READERS
from gatelet.convert.parity.oracles.keras_jobs import predict
from gatelet.convert.schemes import SCHEMES
from gatelet.convert.worker.tensorflow import import_tensorflow
from gatelet.errors import ConversionError, ModelError

BATCHES = (None, 1)
"""The batch settings that are tried, the better one first."""

OPSET = 17
_SEED = 20240229
_MOVES = ("Dropout", "Flatten", "Permute", "Reshape")


def describe_job(model: str) -> dict[str, Any]:
    """Say what a Keras model takes and gives.

    Args:
        model: Path of the file, with the suffix by which Keras knows its format.

    Returns:
        'interface' as the manifest has it, 'parameters', 'keras' (the version here), and for each
        output its layer and the activation that it ends in, '' for none: 'layers' and 'endings'.

    Raises:
        ModelError: This Keras cannot load it, or it takes something other than numbers.
    """
    loaded, version = _load(model)
    inputs: list[dict[str, Any]] = []
    for one in loaded.inputs:
        dtype = str(np.dtype(one.dtype)) if one.dtype != "string" else "string"
        if dtype == "string":
            raise ModelError(
                "the model takes texts: past the Graph only numbers can be converted; take the "
                "TextVectorization layer out, and give its settings with --vectorizer"
            )
        is_ids = dtype.startswith(("int", "uint")) or _vocabulary(loaded, one) is not None
        kind = "ids" if is_ids else "features"
        taken = sum(known["name"].split("_")[0] == kind for known in inputs)
        inputs.append(
            {
                "name": kind if not taken else f"{kind}_{taken}",
                "dtype": "int32" if kind == "ids" else "float32",
                "shape": [None, *one.shape[1:]],
                "vocabulary": _vocabulary(loaded, one) if kind == "ids" else None,
            }
        )
    outputs = [
        {"name": f"y_{index:02}", "shape": [None, *one.shape[1:]]}
        for index, one in enumerate(loaded.outputs)
    ]
    return {
        "interface": {"inputs": inputs, "outputs": outputs},
        "parameters": int(loaded.count_params()),
        "keras": version,
        "layers": [one._keras_history.operation.name for one in loaded.outputs],
        "endings": [_ending(one) for one in loaded.outputs],
    }


def _ending(tensor: Any) -> str:
    """Return the activation that an output ends in; '' for none."""
    history = tensor._keras_history
    layer = history.operation
    kind = type(layer).__name__
    if kind in _MOVES:
        return _ending(layer._inbound_nodes[history.node_index].input_tensors[0])
    if getattr(layer, "outputs", None):  # a nested model
        return _ending(layer.outputs[history.tensor_index])
    if kind == "TimeDistributed":
        layer = layer.layer
    named = getattr(getattr(layer, "activation", None), "__name__", "")
    return "softmax" if type(layer).__name__ == "Softmax" else str(named)


def export_keras_job(target: str, scheme: str, model: str, interface: str, out: str) -> None:
    """Convert a Keras model as it is, with the best batch setting that works.

    Args:
        target: 'litert' or 'onnx'.
        scheme: The scheme's name.
        model: Path of the file.
        interface: JSON, as the manifest has it.
        out: The folder that the `Exported` goes to.

    Raises:
        ConversionError: No setting gives a file that the gates let pass; it says what each gave.
    """
    loaded, _ = _load(model)
    described = json.loads(interface)
    refusals = []
    convert, row = CONVERTERS[target], EXPORTERS[target]
    candidates: list[tuple[int, Exported]] = []
    for batch in BATCHES:
        try:
            data = convert(loaded, described, batch, scheme)
            facts = READERS[row.suffix](data)
            check_operators(target, facts, None)
        except Exception as error:  # converters raise whatever they like
            said = " ".join(str(error).split())[:200]
            refusals.append(f"batch {batch or 'open'}: {type(error).__name__} {said}")
            continue
        ops = tuple(sorted(set(facts.loops)))
        settings = {"route": "keras", "batch": batch}
        loops = len(facts.loops) if row.loops else 0
        candidates.append((loops, Exported(data, ops, max_batch=batch, facts=settings)))
    if not candidates:
        told = "; ".join(refusals)
        raise ConversionError(f"the converter to {target} gives no usable file: {told}")
    # the fewest loops, and of equal ones the first: the open batch
    min(candidates, key=lambda one: one[0])[1].save(Path(out))


def again_job(
    target: str, scheme: str, model: str, interface: str, batch: int | None, out: str
) -> None:
    """Convert a Keras model again, as an artifact's entry says that it was.

    Args:
        target: 'litert' or 'onnx'.
        scheme: The scheme's name.
        model: Path of the file.
        interface: JSON, as the manifest has it.
        batch: As the manifest has it.
        out: The file to write.
    """
    loaded, _ = _load(model)
    Path(out).write_bytes(CONVERTERS[target](loaded, json.loads(interface), batch, scheme))


def answer_job(model: str, inputs: str, out: str) -> float:
    """Let Keras predict, and tell how far its own rounding takes it.

    Args:
        model: Path of the file.
        inputs: Path of a .npz with x_0, x_1, ... in the model's order.
        out: Where the outputs go as a .npz, y_00, y_01, ...

    Returns:
        The largest difference, relative to max(1, |y|), that weights make which are changed by
        half a unit of their last place: there is no Graph to ask in float64.
    """
    loaded, _ = _load(model)
    with np.load(inputs) as found:
        arrays = [found[f"x_{index}"] for index in range(len(found.files))]
    right = [np.asarray(one) for one in predict(loaded, arrays)]
    named: dict[str, Any] = {f"y_{index:02}": part for index, part in enumerate(right)}
    np.savez(out, **named)
    rng = np.random.default_rng(_SEED)
    for weight in loaded.weights:
        values = np.asarray(weight.numpy())
        if values.dtype == np.float32:
            moved = values * (1 + rng.choice((-1.0, 1.0), values.shape) * 2.0**-24 * 1.0001)
            weight.assign(moved.astype(np.float32))
    moved_outputs = [np.asarray(one) for one in predict(loaded, arrays)]
    return max(
        float(np.nanmax(np.abs(a - b) / np.maximum(1, np.abs(a)), initial=0.0))
        for a, b in zip(right, moved_outputs, strict=True)
    )


def _load(model: str) -> tuple[Any, str]:
    import_tensorflow()
    import keras

    try:
        loaded = keras.saving.load_model(model, compile=False)
    except Exception as error:  # a file of another Keras fails in many ways
        said = " ".join(str(error).split())[:200]
        raise ModelError(
            f"Keras {keras.__version__} cannot load the model, so its own converters cannot have "
            f"it: {type(error).__name__} {said}"
        ) from error
    if not getattr(loaded, "inputs", None):
        raise ModelError("the model does not tell its inputs: call it once, and save it again")
    return loaded, str(keras.__version__)


def _vocabulary(model: Any, taken: Any) -> int | None:
    """Return the smallest vocabulary of the Embedding layers that read an input directly."""
    sizes = [
        int(layer.input_dim)
        for layer in model.layers
        if type(layer).__name__ == "Embedding"
        and any(taken is one for node in layer._inbound_nodes for one in node.input_tensors)
    ]
    return min(sizes) if sizes else None


def _function(model: Any, described: Any, batch: int | None) -> tuple[Any, list[Any]]:
    """Return a tf.function of a model with named inputs and outputs, and its signature."""
    import tensorflow as tf

    specs = [
        tf.TensorSpec(
            (batch, *one["shape"][1:]),
            tf.int32 if one["dtype"] == "int32" else tf.float32,
            name=one["name"],
        )
        for one in described["inputs"]
    ]
    names = [one["name"] for one in described["outputs"]]

    @tf.function(input_signature=specs, autograph=False)  # type: ignore[untyped-decorator]
    def run(*arrays: Any) -> dict[str, Any]:
        given = [tf.cast(x, one.dtype) for x, one in zip(arrays, model.inputs, strict=True)]
        found = model(given if len(given) > 1 else given[0], training=False)
        found = list(found.values()) if isinstance(found, dict) else found
        found = list(found) if isinstance(found, list | tuple) else [found]
        return dict(zip(names, found, strict=True))

    return run, specs


def _to_litert(model: Any, described: Any, batch: int | None, scheme: str) -> bytes:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    run, specs = _function(model, described, batch)
    # passed with the model, its variables are lost from the file; frozen, the names are
    frozen = convert_variables_to_constants_v2(
        run.get_concrete_function(), lower_control_flow=False
    )
    names = [one["name"] for one in described["outputs"]]

    @tf.function(input_signature=specs, autograph=False)  # type: ignore[untyped-decorator]
    def named(*arrays: Any) -> dict[str, Any]:
        return dict(zip(names, frozen(*arrays), strict=True))

    concrete = named.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module())
    if SCHEMES[scheme].weights == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())


def to_onnx(model: Any, described: Any, batch: int | None, scheme: str) -> bytes:
    """Convert a Keras model with tf2onnx.

    Args:
        model: Of Keras 3.
        described: Its interface, as the manifest has it.
        batch: The batch size; None leaves it open.
        scheme: float32.

    Raises:
        ConversionError: tf2onnx is not installed.
    """
    import onnx

    try:
        import tf2onnx
    except ImportError as error:
        raise ConversionError(
            "tf2onnx is not installed: pip install 'gatelet[keras-route]'"
        ) from error
    run, specs = _function(model, described, batch)
    made, _ = tf2onnx.convert.from_function(run, input_signature=specs, opset=OPSET)
    onnx.checker.check_model(made)  # what it does not know it writes all the same
    return bytes(made.SerializeToString())


CONVERTERS: dict[str, Callable[[Any, Any, int | None, str], bytes]] = {
    "litert": _to_litert,
    "onnx": to_onnx,
}
