"""What is trained for each kind, by the keys under which it was kept before."""

import pytest
import torch

from lib.models.kinds.kind import EnsembleKind
from lib.models.kinds.method import Method
from lib.models.kinds.registry import CALIBRATED, DEEP_ENSEMBLE, KINDS, MC_DROPOUT
from lib.networks.unet import build_network
from tests.lib.frozen_labels import frozen_folds, frozen_task
from tests.tiny_training import a_plan


def member_keys(kind: EnsembleKind) -> list[list[str]]:
    members = kind.jobs(frozen_task(), a_plan(), frozen_folds(), (-1.0, 0.5))
    return [[job.key for job in jobs] for jobs in members]


def test_kinds_are_found_by_the_names_that_generations_store() -> None:
    assert {name: str(name) for name in KINDS} == {
        Method.CALIBRATED: "calibrated",
        Method.SEEDS: "seeds",
        Method.DROPOUT: "dropout",
    }
    assert all(kind.name is name for name, kind in KINDS.items())
    assert [kind.name for kind in KINDS.values() if not kind.is_baseline] == [Method.CALIBRATED]


def test_the_calibrated_members_are_every_fold_at_every_offset() -> None:
    """Literal, from commit 0575705; so are the keys below."""
    assert member_keys(CALIBRATED) == [
        [
            "dee4236e9492783a8ef58c7b0e7d2298ec0aa2626e14240bd4dbb2ad7f3d3a29",
            "8d17c2023340e05d1033075cb5876b56c33c67c5c751d8c4d08d320f3f767cc0",
            "3d6c52407a860c0db52800001f76f4f64c2d034e9b652d2bf7d4093db36275a7",
        ],
        [
            "192dacefb6219da90174580ef0deef9f63badbcb2e2efd33a7a4ce2a4f0b9135",
            "0eacc728c975e5bac84bf04bbc7c3443678272aae99cba7ad4197ce8c3f0da00",
            "80a56962441ddeb5940d7e322118dd760e9183a378d1932f5c34d0b003de3987",
        ],
    ]
    weights = [
        [job.weight for job in jobs] for jobs in CALIBRATED.jobs(frozen_task(), a_plan(), frozen_folds(), (0, 1))
    ]
    assert weights == [[(-1, 0), (0, 1), (1, 2)]] * 2


def test_a_deep_ensemble_is_seven_networks_on_all_scans() -> None:
    assert member_keys(DEEP_ENSEMBLE) == [
        ["697676d5f089571b0916fe29588257212e50007076fbe27ee5eedb5428ce5cee"],
        ["63ab55a7f4d58df1a5533a625707e1e1cd9d70b067b17a135ad167c8a96c0721"],
        ["a4bcf7c550bf868d211db3590829bb62f8c9fd8b9894009d361b778bbf5bc6cf"],
        ["8fb6e97631c1872d692e27157ce86fe9dcf3363256d6b03fa1e13477e86cd7cd"],
        ["8d86f286c22f870f419e24cb0cfc0d392dae29bfd586b159d9c0243e38a3cb7d"],
        ["06307f6c86d14c58e015ee13ae1d2ecb8821b61a6d376c76b75a1df09d1be138"],
        ["5213c2cbba67ac848b664043bf36db326959c3699a71258b351acec22885f985"],
    ]


def test_dropout_is_one_network_seven_times() -> None:
    assert member_keys(MC_DROPOUT) == [["3f033633d4b989cd70bab27d91428badfb68a9572376512549eea8e296896255"]] * 7


@pytest.mark.parametrize("kind", [DEEP_ENSEMBLE, MC_DROPOUT])
def test_a_baseline_is_trained_on_all_scans_and_holds_none_out(kind: EnsembleKind) -> None:
    for (job,) in kind.jobs(frozen_task(), a_plan(), frozen_folds(), (-1.0, 0.5)):
        assert [scan.name for scan in job.fold.training] == ["a", "b", "c", "d"]
        assert job.fold.validation == ()
        assert job.weight == (-1.0, 0.5)


@pytest.mark.parametrize("kind", [CALIBRATED, DEEP_ENSEMBLE, MC_DROPOUT])
def test_passes_with_dropout_differ_and_other_networks_are_left_as_they_are(kind: EnsembleKind) -> None:
    task = kind.settings(frozen_task())
    image = torch.rand(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))

    def answer(fold: int) -> torch.Tensor:
        torch.manual_seed(0)
        network = build_network(task.network, class_count=2, spacing=(3, 3, 3))
        kind.finish_network(network, dropout=task.network.dropout, fold=fold)
        with torch.inference_mode():
            return network.eval()(image)

    assert torch.equal(answer(1), answer(1))
    assert torch.equal(answer(1), answer(2)) is (kind is not MC_DROPOUT)
