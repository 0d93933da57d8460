"""The figures of each epoch as event files, which TensorBoard reads.

Not what a run keeps of them: history.json and its picture are written at the end, by
`gatelet.train.writing`. TensorFlow writes the files; TensorBoard need not be installed.
"""

from collections.abc import Callable
from pathlib import Path

from gatelet.errors import BackendMissing, OutputError
from gatelet.train.epochs import Epoch
from gatelet.train.model import import_keras

PARTS = {"train": "", "validation": "val_"}
"""A folder for each part, as Keras' callback has them: TensorBoard then draws them together."""


def write_events(
    folder: Path, *, figure: str, metric: str, say: Callable[[str], None]
) -> Callable[[int, Epoch], None]:
    """Begin event files, one a part.

    Args:
        folder: Where their folders go; what is there stays, so a training that goes on has the
            curves of the whole.
        figure: What an epoch tells beside the loss: 'accuracy' or 'mae'.
        metric: What selects the epoch.
        say: Told, once, if the files cannot be written any more: training goes on without.

    Returns:
        A function that takes the number of an epoch, from 1, and its figures.

    Raises:
        OutputError: The files cannot be written there.
        BackendMissing: TensorFlow is not installed.
    """
    import_keras()  # which keeps TensorFlow quiet
    try:
        import tensorflow as tf
    except ImportError as error:
        raise BackendMissing("event files need TensorFlow: pip install 'gatelet[train]'") from error
    try:
        writers = {part: tf.summary.create_file_writer(str(folder / part)) for part in PARTS}
    except tf.errors.OpError as error:
        said = " ".join(str(error.message).split())[:200]
        raise OutputError(
            f"cannot write event files in '{folder}' ({said}): choose another --tensorboard",
            path=str(folder),
        ) from error
    kind = tf.compat.v1.SummaryMetadata
    scalar = kind(
        plugin_data=kind.PluginData(plugin_name="scalars"), data_class="DATA_CLASS_SCALAR"
    )
    names = {"loss": "loss", "accuracy": figure, "metric": metric}

    def report(number: int, epoch: Epoch) -> None:
        try:
            for part, writer in writers.items():
                with writer.as_default():
                    for field, name in names.items():
                        value = getattr(epoch, PARTS[part] + field, None)
                        if value is not None:
                            given = tf.constant(value, tf.float32)
                            tf.summary.write(f"epoch_{name}", given, number, metadata=scalar)
                writer.flush()
        except tf.errors.OpError as error:
            writers.clear()
            say(f"the event files in '{folder}' end here: {error.message}")

    return report
