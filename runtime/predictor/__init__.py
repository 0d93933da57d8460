"""The Predictor: texts, ids or features in, labels and scores out.

Importing this package loads nothing; a name of it loads its module.
"""

from gatelet import loads_when_asked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gatelet.runtime.predictor.loading import load
    from gatelet.runtime.predictor.prediction import Prediction
    from gatelet.runtime.predictor.predictor import Predictor
    from gatelet.runtime.predictor.stream import Stream

__all__ = ["Prediction", "Predictor", "Stream", "load"]

if not TYPE_CHECKING:
    __getattr__ = loads_when_asked(
        __name__,
        {
            "Prediction": "prediction",
            "Predictor": "predictor",
            "Stream": "stream",
            "load": "loading",
        },
    )
