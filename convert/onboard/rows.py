"""Rows of the user's own data for a device: texts become ids here, since it takes ids.

Not the golden rows, which a bundle has.
"""

from gatelet.convert.rows.rows import Rows, ids_of, rows_of
from gatelet.errors import DataError
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset


def rows_for(bundle: Bundle, data: Dataset | Arrays) -> Rows:
    """Return the model's inputs for some rows.

    Raises:
        DataError: They are texts, and the bundle has no vectorizer; or arrays of another shape.
    """
    if isinstance(data, Arrays):
        return rows_of(bundle.interface(), data)
    vectorizer = bundle.vectorizer()
    if vectorizer is None:
        raise DataError(
            f"bundle '{bundle.path}' has no vectorizer, so it cannot be verified on the texts of "
            f"'{data.name}'"
        )
    return Rows({bundle.interface().inputs[0].name: ids_of(vectorizer, data.texts)})
