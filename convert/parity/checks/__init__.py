"""The checks of one artifact: functions from figures to rows of the report."""
