import hashlib
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chromasonic.tuning.seeds import derive_seed

PARTS = st.lists(st.integers() | st.text(), min_size=1, max_size=3)


def test_a_seed_never_changes_from_one_version_to_the_next():
    # The first four bytes of SHA-256 over the typed parts; stored studies depend on it.
    digest = hashlib.sha256(b"int:7\x1fstr:trial\x1fint:3").digest()
    assert derive_seed(7, "trial", 3) == int.from_bytes(digest[:4], "big") == 1424615929


@given(PARTS)
def test_a_seed_fits_every_generator(parts):
    assert 0 <= derive_seed(*parts) < 2**32


def test_other_parts_give_another_seed():
    parts = [(0,), (1,), ("0",), (0, 0), (0, "x"), ("0x",), ("x", 0), (-1,), (10,), (1, 0)]
    assert len({derive_seed(*each) for each in parts}) == len(parts)


def test_neighbouring_trials_have_unrelated_seeds():
    seeds = [derive_seed(0, "trial", number) for number in range(2000)]
    ones = sum(seed.bit_count() for seed in seeds) / (32 * len(seeds))
    flipped = [(a ^ b).bit_count() for a, b in pairwise(seeds)]
    assert len(set(seeds)) == len(seeds)
    # Half of 32 bits; five standard errors of 2000 draws are about 0.3 bits.
    assert abs(ones - 0.5) < 0.01
    assert abs(sum(flipped) / len(flipped) - 16) < 0.35
