"""Armwright builds, proves and ships container images for machine-learning inference on Arm servers.

The flow through its packages: matrix -> plan -> fetch -> assembly -> proof -> publish.
"""

__version__ = "0.1.0"
