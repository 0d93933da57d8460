"""Embeddings of words that nothing was learned of yet: from which words stand next to each other.

Not the embeddings of a trained model. Words that stand among the same words begin close to each
other, so that what is learned of one holds for the other, however rare it is.

Source: Levy & Goldberg 2014, Neural Word Embedding as Implicit Matrix Factorization; with the
smoothing and the square root of Levy, Goldberg & Dagan 2015, sections 3.2 and 3.3.
"""

from typing import TYPE_CHECKING, Any

from gatelet.errors import BackendMissing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WINDOW = 4
"""How far apart two words are at most to count; those k apart count 1 / k."""
_SMOOTHING = 0.75  # of how frequent the neighbours are: rare ones would tell too much


def embeddings_of(
    ids: "NDArray[np.int32]", initial: "NDArray[np.float32]", *, spread: float
) -> "NDArray[np.float32]":
    """Return embeddings of all words that have neighbours; others keep what they have.

    Args:
        ids: Rows of the training part [N, T]; 0 is padding.
        initial: What the embeddings would be otherwise, [V, F].
        spread: Standard deviation of the numbers.

    Raises:
        BackendMissing: scikit-learn is not installed.
    """
    import numpy as np

    told = _information(ids, len(initial))
    width = min(initial.shape[1], len(initial) - 1)
    found = _compressed(told, width)
    deviation = float(found.std())
    if not deviation:  # no word has a neighbour
        return initial
    made = initial.copy()
    known = np.diff(told.indptr) > 0
    made[known, :width] = found[known] * (spread / deviation)
    return made


def _information(ids: "NDArray[np.int32]", size: int) -> Any:
    """Return how much each word says of those behind and before it, sparse [V, 2V].

    Positive pointwise mutual information: log(p(a, b) / (p(a) p(b))) where that is above 0.
    """
    import numpy as np
    from scipy import sparse

    counts = sparse.csr_matrix((size, size))
    for apart in range(1, min(WINDOW, ids.shape[1] - 1) + 1):
        one, other = ids[:, :-apart].ravel(), ids[:, apart:].ravel()
        real = (one != 0) & (other != 0)
        pairs = (np.full(int(real.sum()), 1 / apart), (one[real], other[real]))
        counts = counts + sparse.coo_matrix(pairs, shape=(size, size))
    both = sparse.hstack([counts, counts.T]).tocoo()
    of_words = np.asarray(both.sum(axis=1)).ravel()
    of_neighbours = np.asarray(both.sum(axis=0)).ravel() ** _SMOOTHING
    of_neighbours /= max(of_neighbours.sum(), 1e-12)
    expected = of_words[both.row] * of_neighbours[both.col]
    both.data = np.maximum(np.log(both.data / expected), 0.0)
    found = both.tocsr()
    found.eliminate_zeros()
    return found


def _compressed(told: Any, width: int) -> "NDArray[np.float64]":
    """Return the widest directions of sparse rows, each by the square root of its weight."""
    import numpy as np

    try:
        from sklearn.utils.extmath import randomized_svd
    except ImportError as error:
        raise BackendMissing(
            "scikit-learn is not installed: pip install 'gatelet[train]', or set 'pretrained' to 0"
        ) from error
    rows, weights, _ = randomized_svd(told, width, random_state=0)
    found: NDArray[np.float64] = rows * np.sqrt(weights)
    return found
