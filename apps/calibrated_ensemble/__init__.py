"""The MONAI Label app and the command line."""

import os

# By default a thread that waits for another one spins, and where server, training and tests share the
# processor it keeps that other one from running: a training step took 5 to 9 times as long.
# It counts for what is started from here, and here itself when PyTorch is not yet loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
