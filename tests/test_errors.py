import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromasonic.errors import LONGEST_LINE, one_line, plain_text

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\u202etxt\x9b1A\r"


def test_escape_codes_of_a_terminal_are_spelled_out():
    plain = plain_text(f"loss {HOSTILE} nats\n\ta line")
    assert plain.startswith("loss \\x1b]0;owned\\x07\\x1b[2J\\x1b[31mred\\u202etxt\\x9b1A\\r nats")
    assert plain.endswith("\n\ta line")


@given(st.text())
def test_plain_text_can_be_printed_and_is_left_alone_the_second_time(text):
    plain = plain_text(text)
    assert all(c.isprintable() or c in "\n\t" for c in plain)
    assert plain_text(plain) == plain


@pytest.mark.parametrize("text", ["Ré♭ 世界", "", "a b", "naïve “quoted” 🎵"])
def test_what_people_write_stays_as_it_is(text):
    assert plain_text(text) == text


def test_the_line_of_an_error_is_short_and_plain_however_large_it_is():
    line = one_line(ValueError(HOSTILE + "x" * 10**8))
    assert len(line) < 2 * LONGEST_LINE
    assert line.isprintable()
