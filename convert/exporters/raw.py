"""Which operations leave values as the user fed them: exporters round what is computed only.

Not litert's: what leaves a column of features a range of its own is another question.
"""

__all__ = ["RAW_STAYS_RAW"]

RAW_STAYS_RAW = (
    "ApplyMask",
    "AveragePooling1D",
    "AveragePooling2D",
    "Concatenate",
    "GlobalAveragePooling1D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MergeTime",
    "ReduceMax",
    "ReduceMean",
    "RepeatVector",
    "Reshape",
    "Reverse",
    "Select",
    "SplitTime",
    "Transpose",
)
"""What only moves values that the user feeds, or picks among them."""
