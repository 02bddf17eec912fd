"""Access to everything outside the package: processes, HTTP, terminal output, files; and the error classes."""
