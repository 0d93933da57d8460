"""The digest by which the words of a model, and their ids, are known again.

Not the digest of the file that they are in.
"""

import hashlib
import json
from collections.abc import Mapping


def vocabulary_sha256(vocabulary: Mapping[str, int]) -> str:
    """Return the digest of words and their ids.

    Returns:
        64 hexadecimal digits: the SHA-256 of the JSON list of [word, id], by id, in ASCII.
    """
    by_id = sorted(vocabulary.items(), key=lambda item: (item[1], item[0]))
    return hashlib.sha256(json.dumps(by_id).encode("ascii")).hexdigest()
