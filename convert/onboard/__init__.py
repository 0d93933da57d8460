"""Models on devices: built from a bundle's own C source, run there, and judged to the bit.

Not the devices, compilers and emulators, which are `gatelet.devices`.
"""
