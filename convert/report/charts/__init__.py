"""The charts of the HTML report: one module a chart, each a function that gives an element."""
