import pytest
import torch

from lib.errors import InputError
from lib.networks.devices import choose_device, computes_bfloat16, mixed_precision

CPU = torch.device("cpu")


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


def test_auto_is_the_processor_where_there_is_no_gpu(no_gpu: None) -> None:
    assert choose_device("auto") == choose_device("cpu") == CPU


def test_auto_is_the_gpu_where_there_is_one(two_gpus: None) -> None:
    assert choose_device("auto").type == "cuda"
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    assert choose_device("cpu") == CPU


def test_a_gpu_that_is_not_there_is_refused(two_gpus: None) -> None:
    with pytest.raises(InputError, match=r"'cuda:2' is not on this machine \(2 GPUs\); give auto or cpu"):
        choose_device("cuda:2")


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_gpu_is_refused_on_a_machine_without(name: str, no_gpu: None) -> None:
    with pytest.raises(InputError, match="is not on this machine"):
        choose_device(name)


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "mps", "meta", "cpu,cuda"])
def test_other_devices_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"^device: .*give auto, cpu or cuda$"):
        choose_device(name)


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False, "avx2": True}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_networks_run_in_bfloat16_only_where_the_hardware_has_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    with mixed_precision(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is dtype
    assert computes_bfloat16(CPU) is (dtype is torch.bfloat16)
