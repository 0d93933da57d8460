"""From a text to a decision, as users call an artifact: its own reader, its copies of the words."""
