"""Are the weights of a file those of the Keras model? The same converter makes the file again.

Not what the file computes: its scores are held to Keras' in `parity` beside this.

Every constant is compared, in the order of the file, whatever the converter folded or rounded. It
proves nothing where the file has just been made, and nothing where other packages made it and the
two differ.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.bundle.facts import versions_of
from gatelet.convert.keras_route.contents import read_contents
from gatelet.convert.parity import Check
from gatelet.runtime.bundle.opening import Artifact, Bundle

PACKAGES = ("tensorflow", "keras", "tf2onnx", "onnx")
"""That have a part in what the converters write."""

_SAME = 1e-6
"""Of the largest number of a constant: what two processors make of the same product."""
_ROUNDED_OTHERWISE = 1e-3
"""The share of a constant's integers that such a product may move by one."""

Array = NDArray[Any]


def check_weights(bundle: Bundle, artifact: Artifact, again: bytes | None) -> Check:
    """Compare an artifact with the file that the same converter makes of the bundle's Keras model.

    Args:
        bundle: Without a Graph.
        artifact: Of it.
        again: That file; None where it could not be made.
    """
    if again is None and not bundle.generation:
        return _told("not checked", "the converter has just written them; parity compares them")
    if again is None:
        return _told("undecided", "only Keras and the model can tell whose they are")
    data = (bundle.path / artifact.path).read_bytes()
    if data == again:
        return _told("pass", figure=0.0)
    made = bundle.manifest.get("provenance", {}).get("packages", {})
    is_same_code = made == {**made, **versions_of(*PACKAGES)} and made != {}
    doubt = "fail" if is_same_code else "undecided"
    why = "" if is_same_code else ", and other versions of the converter's packages made it"
    found, wanted = (read_contents(artifact.target, one) for one in (data, again))
    if found.form != wanted.form:
        return _told(doubt, f"the converter makes other operators or constants of the model{why}")
    pairs = list(zip(found.constants, wanted.constants, strict=True))
    apart = [_distance(*pair) for pair in pairs]
    if _FAR in apart:
        shape = list(pairs[apart.index(_FAR)][0].shape)
        what = f"constants of {len(pairs)} differ, the first of the shape {shape}{why}"
        return _told(doubt, what, figure=float(apart.count(_FAR)))
    if not any(apart) and found.digest != wanted.digest:
        return _told(doubt, f"constants have changed places{why}")
    if _BY_ONE in apart:
        return _told("undecided", "some integers are one off: another processor may round them so")
    return _told("pass", figure=0.0)


def _told(verdict: str, note: str = "", *, figure: float | None = None) -> Check:
    return Check("weights", figure, 0.0, verdict, unit="constants", note=note, question="computes")


_EQUAL, _NEAR, _BY_ONE, _FAR = range(4)


def _distance(found: Array, wanted: Array) -> int:
    """Return how far two constants of one shape and type are apart."""
    if found.tobytes() == wanted.tobytes():
        return _EQUAL
    if found.dtype.kind == "f":
        slack = _SAME * float(np.abs(wanted).max(initial=0.0))
        is_near = np.abs(found.astype(np.float64) - wanted) <= slack
        return _NEAR if is_near.all() else _FAR
    if found.dtype.kind != "i":
        return _FAR
    apart = np.abs(found.astype(np.int64) - wanted.astype(np.int64))
    return _BY_ONE if apart.max() <= 1 and apart.mean() <= _ROUNDED_OTHERWISE else _FAR
