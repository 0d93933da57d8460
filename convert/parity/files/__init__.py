"""The verdict of every file of a bundle: by running, by regeneration, or by comparison.

Not the checks of an artifact's scores, which come before. `judge_files` has the entry.
"""
