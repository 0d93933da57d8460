"""What an exporter does in the worker process: a function of paths and names, which JSON carries.

Not called directly: a crash here would take the caller with it.
"""

from pathlib import Path

from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.targets import EXPORTERS
from gatelet.convert.schemes import SCHEMES


def export_job(target: str, scheme: str, model: str, out: str) -> None:
    """Export a model.

    Args:
        target: A name in `EXPORTERS`.
        scheme: The scheme's name.
        model: The folder of a saved `Exportable`.
        out: The folder that the `Exported` goes to.
    """
    exported = EXPORTERS[target].function(Exportable.open(Path(model)), SCHEMES[scheme])
    exported.save(Path(out))
