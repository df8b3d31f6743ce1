import pytest
from hypothesis import given
from hypothesis import strategies as st

from chromasonic.bayesopt import (
    Categorical,
    Fixed,
    Float,
    Integer,
    Ordinal,
    Space,
    read_space,
    space_from_toml,
    space_to_toml,
)
from chromasonic.errors import SpaceError

EVERY_FORM = """
[learning_rate]
low = 1e-4
high = 1e-1
log = true

[units]
low = 16
high = 256
log = true
step = 16

[dropout]
low = 0
high = 0.5
step = 0.1

[batch_size]
choices = [32, 16]

[heads]
choices = [1, 2]
ordered = false

[optimizer]
choices = ["adam", "sgd", true]

[momentum]
low = 0.0
high = 0.9
when = { optimizer = ["sgd"], heads = [1] }

[epochs]
value = 20
"""


def test_every_form_of_a_table_is_read():
    assert space_from_toml(EVERY_FORM) == Space(
        {
            "learning_rate": Float(1e-4, 1e-1, log=True),
            "units": Integer(16, 256, log=True, step=16),
            "dropout": Float(0.0, 0.5, step=0.1),
            "batch_size": Ordinal([16, 32]),
            "heads": Categorical([1, 2]),
            "optimizer": Categorical(["adam", "sgd", True]),
            "momentum": Float(0.0, 0.9, when={"optimizer": ["sgd"], "heads": [1]}),
            "epochs": Fixed(20),
        }
    )


def test_every_form_reads_back_equal():
    space = space_from_toml(EVERY_FORM)
    assert space_from_toml(space_to_toml(space)) == space


def test_text_is_written_as_a_person_would_write_it():
    space = Space({"lr": Float(1e-5, 0.1, log=True, when={"net": ["a b"]}), "net": Fixed("a b")})
    assert space_to_toml(space) == (
        '[lr]\nlow = 1e-05\nhigh = 0.1\nlog = true\nwhen = { net = ["a b"] }\n'
        '\n[net]\nvalue = "a b"\n'
    )


# Python can hold half of a surrogate pair, UTF-8 cannot.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = TEXT | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(TEXT.filter(bool), VALUES, min_size=1))
def test_any_name_and_any_value_reads_back_equal(values):
    constants = {name: Fixed(value) for name, value in values.items()}
    last = next(reversed(values))
    child = Categorical(["child"], when={last: [values[last]]})
    space = Space({**constants, "a child " + last: child})
    assert space_from_toml(space_to_toml(space)) == space


@given(st.floats(1e-6, 1e6), st.floats(1e-3, 1e6), st.booleans())
def test_any_range_reads_back_equal(low, width, log):
    space = Space({"x": Float(low, low + width, log=log)})
    assert space_from_toml(space_to_toml(space)) == space


@st.composite
def parameters(draw):
    """Any kind of parameter, with any of its attributes."""
    log = draw(st.booleans())
    match draw(st.sampled_from(["float", "stepped", "integer", "ordinal", "categorical"])):
        case "float":
            low = draw(st.floats(1e-9 if log else -1e6, 1e6))
            return Float(low, low + draw(st.floats(1e-2, 1e6)), log=log)
        case "stepped":
            step = draw(st.sampled_from([0.1, 0.25, 3.0]))
            low = draw(st.integers(1, 50)) * step
            return Float(low, low + draw(st.integers(1, 99)) * step, log=log, step=step)
        case "integer":
            step, low = draw(st.integers(1, 9)), draw(st.integers(1 if log else -99, 99))
            return Integer(low, low + step + draw(st.integers(0, 999)), log=log, step=step)
        case "ordinal":
            finite = st.floats(-1e9, 1e9) | st.integers(-(10**9), 10**9)
            return Ordinal(draw(st.lists(finite, min_size=1, unique=True)))
        case _:
            kinds = TEXT | st.booleans() | st.integers(2, 99)
            return Categorical(draw(st.lists(kinds, min_size=1, unique=True)))


@given(st.dictionaries(TEXT.filter(bool), parameters(), min_size=1), TEXT, st.randoms())
def test_any_space_reads_back_equal_whatever_stands_in_its_comments(tables, comment, random):
    space = Space(tables)
    commented = random.sample(list(tables), random.randint(0, len(tables)))
    text = space_to_toml(space, dict.fromkeys(commented, comment))
    assert space_from_toml(text) == space


def test_a_comment_stands_above_its_table():
    space = Space({"x": Fixed(1), "y": Fixed(2)})
    text = space_to_toml(space, {"y": "two lines\nof why", "unknown": "nothing"})
    assert text == "[x]\nvalue = 1\n\n# two lines\n# of why\n[y]\nvalue = 2\n"


def test_none_cannot_be_written():
    for parameter in (Fixed(None), Categorical(["a", None])):
        with pytest.raises(SpaceError, match="parameter 'x': a value in TOML must not be None"):
            space_to_toml(Space({"x": parameter}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a space must have at least one parameter"),
        ("[x", "a space must be valid TOML, but: Expected"),
        ("[x]\nvalue = 1\n[x]\nvalue = 2", "a space must be valid TOML"),
        (
            "x = [16, 32, 64]",
            r"'x': it must be a table, but got \[16, 32, 64\]. "
            r"Write x = \{ choices = \[...\] \}.$",
        ),
        ("x = [16, 32]", r"choices = \[...\] \} for these two, or x = \{ low = ..., high"),
        ('"a b" = ["x"]', r'Write "a b" = \{ choices'),
        ("x = 5", r"'x': it must be a table, but got 5. Write x = \{ value = ... \}"),
        ("[x]", "'x': a table must hold low and high, or choices, or value, but has none"),
        ("[x]\nlog = true", "a table must hold low and high, .* but has none of these"),
        ("[x]\nlow = 1\nvalue = 1", "but has low and value. Use one of these forms"),
        ("[x]\nlow = 1", "'x': the key 'high' must be there, but is missing"),
        ("[x]\nhigh = 1.0", "'x': the key 'low' must be there, but is missing"),
        ("[x]\nlow = 1\nhigh = 2\nsteps = 1", "'x': keys must be among .* but got 'steps'"),
        ("[x]\nvalue = 1\ntype = 'fixed'", "but got a key 'type'. Remove it"),
        ("[x]\nlow = 1\nhigh = '2'", "'x': high must be a finite number, but got '2'"),
        ("[x]\nlow = 1\nhigh = 2\nlog = 'yes'", "'x': log must be True or False, but got 'yes'"),
        ("[x]\nlow = 1\nhigh = 2\nstep = 0.5", "'x': step must be an integer, but got 0.5"),
        ("[x]\nlow = 1.0\nhigh = nan", "'x': high must be a finite number, but got nan"),
        ("[x]\nchoices = 'adam'", "'x': choices must be a list, but got 'adam'"),
        ("[x]\nchoices = []", "'x': choices must hold at least one value"),
        ("[x]\nchoices = ['a']\nordered = true", "'x': ordered choices must be numbers"),
        ("[x]\nchoices = ['a']\nordered = 1", "'x': ordered must be true or false, but got 1"),
        ("[x]\nvalue = 1\nordered = true", "'x': keys must be among .* but got 'ordered'"),
        ("[x]\nvalue = 2020-01-01", "'x': a value must be text"),
        ("[x]\nvalue = 1\nwhen = 'y'", "'x': when must map names of parents to lists"),
        ("[x]\nvalue = 1\nwhen = { y = 1 }", "'x': the values of 'y' in when must be a list"),
        ("[x]\nvalue = 1\nwhen = { y = [1] }", "'x': in when, .* but got 'y'"),
    ],
)
def test_a_text_that_describes_no_space_is_refused_in_one_line(text, message):
    with pytest.raises(SpaceError, match=message) as caught:
        space_from_toml(text)
    assert "\n" not in str(caught.value)


def test_a_file_is_read(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(EVERY_FORM, encoding="utf-8-sig")
    assert read_space(path) == read_space(str(path)) == space_from_toml(EVERY_FORM)


def test_errors_of_a_file_name_it(tmp_path):
    path = tmp_path / "space.toml"
    with pytest.raises(SpaceError, match=r"space\.toml: the file must be readable, but: No such"):
        read_space(path)
    with pytest.raises(SpaceError, match="the file must be readable, but: Is a directory"):
        read_space(tmp_path)
    path.write_bytes(b"\xff\xfe[x]")
    with pytest.raises(SpaceError, match=r"space\.toml: the file must be UTF-8"):
        read_space(path)
    path.write_text("x = 1")
    with pytest.raises(SpaceError, match=r"space\.toml: parameter 'x': it must be a table"):
        read_space(path)
