"""Sentences of the report on how the bundle was made."""
