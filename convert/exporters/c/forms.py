"""The forms in which the C target stores a matrix, one row a form, and the types of its numbers.

Not the writing of one: that is `gatelet.convert.exporters.c.writer`.
"""

FORMS = {
    "floats": ("float", "tiles", 0),
    "bytes": ("int8_t", "tiles", 127),
    "values": ("int8_t", "fours", 127),
    "nibbles": ("uint8_t", "nibbles", 7),
    "words": ("int16_t", "pairs", 32767),
}
"""A matrix by its field of struct gatelet_matrix: type, order, and the largest integer."""
PRODUCTS = {
    "bytes": "product_bytes",
    "values": "product_int8",
    "nibbles": "product_int8",
    "words": "product_int16",
}
"""The kernel that multiplies by a form."""
ROUNDING_ACTIVATIONS = ("values", "nibbles", "words")
"""The forms whose products round what they meet, a row at a time."""
SUMMED = ("values", "nibbles")
"""The forms that come with the sums of their columns."""
NAMES_OF_DTYPES = {
    "float": "float32",
    "int8_t": "int8",
    "int16_t": "int16",
    "int32_t": "int32",
    "uint8_t": "uint8",
    "uint16_t": "uint16",
}
"""NumPy's name of a type of C."""
C_TYPES = {
    "float": ("float", 4),
    "ids": ("int32_t", 4),
    "int16": ("int16_t", 2),
    "mask": ("uint8_t", 1),
    "word": ("int32_t", 4),
}
"""What a kind of value is in C, and its bytes."""
