"""Seeds drawn from other seeds, so that every ask and every trial has one of its own."""

import hashlib


def derive_seed(*parts: int | str) -> int:
    """A seed in [0, 2**32) that depends on all `parts` and on nothing else."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
