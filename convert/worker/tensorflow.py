"""TensorFlow, imported in the worker process only: it takes seconds, and can end its process.

Not what is done with it.
"""

import os
from typing import Any

from gatelet.errors import ConversionError


def import_tensorflow() -> Any:
    """Import TensorFlow without its log lines.

    Raises:
        ConversionError: It is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ConversionError(
            "export to litert needs TensorFlow: pip install 'gatelet[train]'"
        ) from error
    return tf
