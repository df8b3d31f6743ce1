import subprocess
import sys

import pytest

from chromasonic import melody_generation
from chromasonic.melody_generation import hyperparameter_search


def test_the_search_is_found_in_the_package_and_in_its_module():
    for name in melody_generation.__all__:
        assert getattr(melody_generation, name) is getattr(hyperparameter_search, name)
    assert dir(melody_generation) == melody_generation.__all__
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        melody_generation.nothing  # noqa: B018


def test_the_guides_imports_work():
    from chromasonic.melody_generation.models import TransformerMelodyModel
    from chromasonic.melody_generation.training import create_training_data

    assert isinstance(TransformerMelodyModel, type)
    assert len(create_training_data(10)[0]) == 8


def test_data_are_imported_without_torch():
    code = "import sys, chromasonic.melody_generation.data; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
