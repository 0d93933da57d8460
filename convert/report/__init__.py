"""Reports of parity that people and other programs read: HTML and JUnit XML.

Not the checks, which are `gatelet.convert.parity`, and not the terminal's table.
"""

from gatelet.convert.report.junit import junit_xml
from gatelet.convert.report.page import Story, page

__all__ = ["Story", "junit_xml", "page"]
