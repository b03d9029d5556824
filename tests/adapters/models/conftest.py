"""Torch's threads spin while they wait; tests share their cores, so they wait quietly, and there is one of them."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")
