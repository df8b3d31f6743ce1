import pytest
import torch

from chromasonic.errors import DeviceError
from chromasonic.melody_generation.training.devices import choose_device, gpus_of


@pytest.fixture
def three_gpus(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-7,6")


@pytest.mark.parametrize(
    ("device", "gpus"),
    [
        ("cuda", ("4", "GPU-7", "6")),
        ("cuda:0", ("4",)),
        ("cuda:1", ("GPU-7",)),
        ("cuda:3", ()),
        ("cpu", ()),
        ("mps", ()),
    ],
)
def test_trials_use_the_gpus_that_the_device_names(three_gpus, device, gpus):
    assert gpus_of(torch.device(device)) == gpus


@pytest.mark.parametrize("name", ["tpu", "gpu", "", "cpu:x", "meta"])
def test_another_name_is_refused_and_the_right_ones_are_named(name):
    with pytest.raises(DeviceError, match="a device must be cpu, cuda, cuda:N, mps or auto"):
        choose_device(name)


def test_without_a_gpu_auto_is_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(DeviceError, match="PyTorch finds none"):
        choose_device("cuda")
    with pytest.raises(DeviceError, match="needs an Apple GPU"):
        choose_device("mps")


def test_a_gpu_beyond_those_there_are_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto") == torch.device("cuda")
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(DeviceError, match="PyTorch finds 2 GPUs"):
        choose_device("cuda:2")
