"""Exporters: a Graph and a Scheme in, the bytes of an artifact out; one file a target.

Not about running artifacts (backends), and not about proving them (parity).
"""
