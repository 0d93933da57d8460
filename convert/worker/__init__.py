"""The child process for code that can crash, and the processor time of both."""
