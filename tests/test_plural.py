import pytest

from chromasonic.plural import counted


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0 notes"), (1, "1 note"), (2, "2 notes"), (1200, "1,200 notes")]
)
def test_the_noun_fits_the_number(n, text):
    assert counted(n, "note") == text


def test_an_irregular_plural_is_given():
    assert counted(1, "melody", "melodies") == "1 melody"
    assert counted(2, "melody", "melodies") == "2 melodies"
