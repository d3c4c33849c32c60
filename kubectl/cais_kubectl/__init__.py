# SPDX-License-Identifier: Apache-2.0
"""`kubectl cais`: what a person does with Registries, from their own machine.

It talks to the cluster through the person's own `kubectl`, so that every way of logging in to a
cluster works, and needs nothing but the standard library (PyYAML for `-o yaml`).
"""

__version__ = "0.1.0"
