import pytest

pytest_plugins = ["pytester"]

FAILS = """
def test_it(random_moments):
    print("drawn", random_moments.random())
    assert False
"""


@pytest.fixture
def run(pytester, request):
    """Runs a test that fails, with the fixtures of this suite, in a process of its own."""
    conftest = request.config.rootpath / "tests" / "conftest.py"
    pytester.makeconftest(conftest.read_text(encoding="utf-8"))
    pytester.makepyfile(FAILS)
    return lambda *options: pytester.runpytest_subprocess("-p", "no:cacheprovider", *options)


def drawn(result):
    return [line for line in result.outlines if line.startswith("drawn")]


@pytest.mark.parametrize("processes", [[], ["-n", "1"]])
def test_a_red_run_at_random_moments_is_repeated_by_what_it_prints(run, processes):
    red = run(*processes)
    (line,) = [line for line in red.outlines if line.startswith("repeat these moments with")]
    again = run(*line.split("with ")[1].split())
    assert drawn(again) == drawn(red) != drawn(run("--moments-seed", "-1"))
