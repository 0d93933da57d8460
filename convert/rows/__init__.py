"""The rows that a model is compared and calibrated on: given, or drawn by a seed."""
