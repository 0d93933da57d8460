"""Figures of quality on labelled rows, and their statistics."""
