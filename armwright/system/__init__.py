"""The one way to each thing outside: processes, HTTP, printing, files, and what went wrong."""
