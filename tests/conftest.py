# SPDX-License-Identifier: Apache-2.0
"""Settings that hold for every test."""

from hypothesis import HealthCheck, settings

# How fast a machine is must not decide whether a property holds.
settings.register_profile("cais", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cais")
