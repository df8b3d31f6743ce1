from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from chromasonic.tuning.sampling._ranges import Ranges, widest


def test_the_widest_range_holds_all_and_keeps_a_common_step():
    near, far = FloatDistribution(0.0, 1.0, step=0.25), FloatDistribution(0.5, 3.0, step=0.25)
    assert widest([near, far]) == FloatDistribution(0.0, 3.0, step=0.25)
    shifted = FloatDistribution(0.1, 1.1, step=0.25)
    assert widest([near, shifted]) == widest([shifted, near]) == FloatDistribution(0.0, 1.1)
    assert widest([IntDistribution(0, 8, step=2), IntDistribution(1, 9, step=2)]) == (
        IntDistribution(0, 9)
    )


UNIT = FloatDistribution(0.0, 1.0)
NARROW, WIDE = FloatDistribution(0.2, 0.6), FloatDistribution(-1.0, 3.0)


def seen(asked):
    ranges = Ranges()
    for number, distribution in asked:
        ranges.see(number, {"x": distribution})
    return ranges


def test_the_newest_range_is_that_of_the_newest_trial_whichever_ended_first():
    for asked in ([(0, UNIT), (1, UNIT), (2, NARROW)], [(2, NARROW), (0, UNIT), (1, UNIT)]):
        ranges = seen(asked)
        assert ranges.newest() == {"x": NARROW}
        assert not ranges.moving()


def test_a_range_that_changes_again_and_again_moves_until_it_settles():
    changing = [(0, UNIT), (1, WIDE), (2, NARROW)]
    assert seen(changing).moving() == {"x"}
    assert not seen([*changing, *((number, NARROW) for number in range(3, 12))]).moving()


def test_choices_stay():
    choices = CategoricalDistribution(["a", "b"])
    ranges = seen([(0, choices), (1, choices)])
    assert ranges.newest() == {"x": choices}
    assert not ranges.moving()
