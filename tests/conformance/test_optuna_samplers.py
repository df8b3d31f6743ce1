"""Optuna's own suite for samplers, over ours."""

import pytest
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

from chromasonic.tuning.sampling.by_name import GPSampler


class TestGPSampler(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    """`SingleOnlySamplerTestCase` is for samplers that refuse several objectives."""

    @pytest.fixture
    def sampler(self):
        return GPSampler


class TestGPSamplerWithoutStartup(BasicSamplerTestCase, RelativeSamplerTestCase):
    """The model is asked from the second trial on."""

    @pytest.fixture
    def sampler(self):
        return lambda: GPSampler(seed=0, n_startup_trials=1)
