"""Tests and the servers and trainings that they start share few cores: threads and time are short."""

import os
import signal

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.evaluated_studies"]

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ["OMP_NUM_THREADS"] = "1"

# A shell starts what runs in the background with Ctrl-C ignored, and so would all that the tests start and stop by it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says nothing where several tests run at once.
settings.register_profile("shared cores", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared cores")
