"""What Keras does in the worker process to put weights and configuration into one file.

Not called directly: a crash here would take the caller with it.
"""

from pathlib import Path

from gatelet.convert.worker.tensorflow import import_tensorflow


def assemble_job(config: str, weights: str, out: str) -> str | None:
    """Put a model's configuration and weights into one `.keras` file.

    Args:
        config: Path of what `model.to_json()` gave.
        weights: Path of what `model.save_weights` gave.
        out: Where the file goes.

    Returns:
        None, or why this Keras cannot.
    """
    import_tensorflow()
    import keras

    said = ""
    for suffix in (".weights.h5", ".h5"):  # Keras tells its two layouts apart by the name
        named = Path(weights).rename(Path(weights).with_name(f"weights{suffix}"))
        weights = str(named)
        try:
            model = keras.models.model_from_json(Path(config).read_text("utf-8"))
            model.load_weights(weights)
            model.save(out)
        except Exception as error:  # a file of another Keras fails in many ways
            said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        else:
            return None
    return f"Keras {keras.__version__} cannot load the weights: {said}"
