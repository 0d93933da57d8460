"""Graph to a file of TensorFlow Lite for Microcontrollers: one timestep a call.

Not the loop over timesteps, which the device runs.
"""

from gatelet.convert.exporters.tflm.export import export_tflm

__all__ = ["export_tflm"]
