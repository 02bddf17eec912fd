"""The only way to each thing outside the package: processes, HTTP, terminal output, files; and the error classes."""
