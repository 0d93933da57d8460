"""Packages: a c artifact as one folder that an ecosystem's own tool accepts.

Not bundles, which packages are made of, nor the C exporter, which wrote the code.
"""

from gatelet.convert.packages.forms import FORMS
from gatelet.convert.packages.package import Package, open_package
from gatelet.convert.packages.writing import check_place, write_package

__all__ = ["FORMS", "Package", "check_place", "open_package", "write_package"]
