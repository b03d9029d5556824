"""Tiny tensors: a second thread only waits for the first, and on a busy machine it waits long."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
