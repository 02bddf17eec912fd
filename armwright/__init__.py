"""Armwright builds, proves and ships container images for machine-learning inference on Arm servers.

The flow is the list of modules: matrix -> plan -> fetch -> build -> smoke -> stage.
"""

__version__ = "0.1.0"
