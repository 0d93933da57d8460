"""Every error that gatelet raises on purpose.

Not for programmers' wrong arguments: those are ValueError and TypeError.

GateletError
├── ConfigError             a setting, flag or configuration file that cannot be used
├── DataError               a data file, corpus or label that cannot be used
├── InputError              texts, ids or features that a model cannot take
├── OutputError             a place that results cannot be written to
├── ModelError              a Keras file, Graph or vectorizer that cannot be read
│   └── UnsupportedLayer    a layer, or an option of it, that cannot be lowered
├── TrainingError           a training that gave no model
├── ConversionError         an export that did not give a usable artifact
│   ├── CompilerFailed      no C compiler is here, or it cannot make a library
│   ├── Refused             a scheme that would get this model wrong, told by its weights
│   ├── WorkerDied          the child process ended by a signal or by itself
│   ├── WorkerTimeout       the child process took longer than its limit
│   └── WorkerMemory        the child process used more memory than its limit
├── BundleError             a bundle that cannot be used
│   ├── BundleNewer         its format is newer than this gatelet knows
│   ├── BundleDamaged       a file is missing, or is not what the manifest says
│   └── BundleUnsafe        a path in the manifest leaves the bundle
├── DeviceError             a device, emulated or real, on which a model cannot be checked
│   └── DoesNotFit          a model needs more flash, RAM or stack than the device has
├── ParityRefused           an artifact that failed parity and was not asked for explicitly
└── BackendError            an engine that could not run an artifact
    └── BackendMissing      the engine is not installed
"""


class GateletError(Exception):
    """The root of the tree.

    Args:
        message: What, where, expected, got and what to do, in one line.
        **facts: The same facts by name; each becomes an attribute.
    """

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.facts = facts
        self.__dict__.update(facts)


class ConfigError(GateletError):
    """A setting, flag or configuration file cannot be used."""


class DataError(GateletError):
    """A data file, corpus or label cannot be used."""


class InputError(GateletError):
    """Texts, ids or features cannot be taken by this model."""


class OutputError(GateletError):
    """Results cannot be written to this place."""


class ModelError(GateletError):
    """A Keras file, Graph or vectorizer cannot be read."""


class UnsupportedLayer(ModelError):
    """A layer, or an option of it, cannot be lowered."""


class TrainingError(GateletError):
    """A training gave no model."""


class ConversionError(GateletError):
    """An export did not give a usable artifact."""


class CompilerFailed(ConversionError):
    """No C compiler is here, or it cannot make a library of the source."""


class Refused(ConversionError):
    """A scheme would get this model wrong: its weights, or what they do to real rows, say so."""


class WorkerDied(ConversionError):
    """The child process ended by a signal or by itself."""


class WorkerTimeout(ConversionError):
    """The child process took longer than its limit."""


class WorkerMemory(ConversionError):
    """The child process used more memory than its limit."""


class BundleError(GateletError):
    """A bundle cannot be used."""


class BundleNewer(BundleError):
    """The bundle's format is newer than this gatelet knows."""


class BundleDamaged(BundleError):
    """A file of the bundle is missing, or is not what the manifest says."""


class BundleUnsafe(BundleError):
    """A path in the manifest leaves the bundle."""


class DeviceError(GateletError):
    """A model cannot be checked on a device, emulated or real."""


class DoesNotFit(DeviceError):
    """A model needs more flash, RAM or stack than the device has."""

    what: str
    needed: int
    offered: int


class ParityRefused(GateletError):
    """An artifact failed parity and was not asked for explicitly."""


class BackendError(GateletError):
    """An engine could not run an artifact."""


class BackendMissing(BackendError):
    """The engine is not installed."""
