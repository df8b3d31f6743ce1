"""CPU threads of PyTorch in this process."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_threads(count: int = 1) -> Iterator[None]:
    """Has PyTorch use so many CPU threads while a block, or a decorated function, runs.

    Melody models are small: further threads gain little on an idle machine and cost much on a
    busy one. A fixed number also rounds the same way on every machine.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
