"""Generations on disk: whole, immutable, and refused where they are not as published."""

import json
import os
import pickle
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lib.calibration.registry import CALIBRATORS
from lib.calibration.settings import FoldAggregation
from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics, reduce_outputs
from lib.calibration.votes import WeightedVotes
from lib.errors import DamagedGenerationError, StorageError
from lib.models.generation import Generation, read_generation
from lib.models.generation_folder import damaged_files, folders_with_key
from lib.models.kinds.method import Method
from lib.models.publishing import publish
from lib.models.training_result import TrainingResult
from lib.models.workspace import Workspace
from lib.storage.digest import digest_file
from tests.lib.training.test_checkpoints import Bomb
from tests.tiny_training import a_plan, a_task, full_disk, tree

Publish = Callable[..., Generation]

KEY = "0123456789abcdef" * 4
FILES = (
    "task.json",
    "plan.json",
    "calibration.json",
    "folds.json",
    "metrics.json",
    "statistics.npz",
    "labels.json",
    "members/fold_0_offset_0.pt",
    "members/fold_1_offset_2.pt",
)


def some_statistics() -> OutOfFoldStatistics:
    """Of noise."""
    rng = np.random.default_rng(0)
    softmax = rng.random((3, 1, 6, 5, 4), np.float32)
    label = rng.integers(0, 2, (6, 5, 4), np.uint8)
    return reduce_outputs(softmax, (softmax[:, 0] > 0.5).astype(np.uint8), label, served=1)


RESULT = TrainingResult(
    key=KEY,
    method=Method.SEEDS,
    labels_digest="l" * 64,
    task=a_task(),
    plan=a_plan(),
    w_dsc=(-1.0,),
    statistics=some_statistics(),
    calibration=WeightedVotes(coefficients=((0.1, 1 / 3, 0.5),), combination=FoldAggregation.MEAN),
    fold_of_patient={"anna": 0, "bert": 1},
    typical_volumes=(123.4,),
    metrics={"dice": {"lesion": 0.8}, "left_out": {}},
    members=[],
    label_digests={"anna": "a" * 64, "bert": "b" * 64},
    evaluations={},
)


@pytest.fixture
def members(tmp_path: Path) -> list[list[Path]]:
    """One file for each of two folds and three offsets, which holds their numbers."""
    (tmp_path / "members").mkdir()
    paths = [[tmp_path / "members" / f"{fold}{offset}.pt" for offset in range(3)] for fold in range(2)]
    for fold, row in enumerate(paths):
        for offset, path in enumerate(row):
            torch.save({"weight": torch.tensor([fold, offset])}, path)
    return paths


@pytest.fixture
def publish_result(tmp_path: Path, members: list[list[Path]]) -> Publish:
    def publish_result(key: str = KEY, **changes: Any) -> Generation:
        return publish(replace(RESULT, key=key, members=members, **changes), Workspace(tmp_path))

    return publish_result


@pytest.fixture
def published(publish_result: Publish) -> Generation:
    return publish_result()


def accept(generation: Generation, name: str) -> None:
    """Write the digest of a changed file into the manifest."""
    manifest = generation.path / "manifest.json"
    content = json.loads(manifest.read_text())
    content["files"][name] = digest_file(generation.path / name)
    manifest.write_text(json.dumps(content))


def test_what_is_published_is_read_back(published: Generation) -> None:
    read = read_generation(published.path)
    assert (read.id, read.key, read.task, read.plan) == (published.id, KEY, a_task(), a_plan())
    assert read.id == published.path.name
    assert (read.method, read.labels_digest) == (Method.SEEDS, "l" * 64)
    for name in ("w_dsc", "calibration", "fold_of_patient", "typical_volumes", "metrics"):
        assert getattr(read, name) == getattr(RESULT, name)
    written, stored = (one.statistics.to_arrays() for one in (RESULT, read))
    assert written.keys() == stored.keys()
    for name in written:
        np.testing.assert_array_equal(written[name], stored[name])
    assert (read.typical_volumes, read.metrics) == ((123.4,), RESULT.metrics)
    read.verify()


@pytest.mark.parametrize("heatmap", CALIBRATORS)
def test_every_calibration_is_read_back_as_it_was_published(publish_result: Publish, heatmap: str) -> None:
    task = a_task(heatmap=heatmap)
    calibration = task.calibrator.fit(RESULT.statistics)
    published = publish_result(task=task, calibration=calibration)
    assert published.calibration == calibration
    assert type(published.calibration) is CALIBRATORS[heatmap].fitted


def test_statistics_are_read_when_they_are_asked_for_and_once(published: Generation) -> None:
    read, early = read_generation(published.path), read_generation(published.path)
    assert early.statistics is early.statistics
    (published.path / "statistics.npz").rename(published.path / "pattern_counts.npz")
    # What serves goes on without them.
    assert read_generation(published.path).calibration == read.calibration
    assert early.statistics.patterns.voxels.any()
    with pytest.raises(DamagedGenerationError, match=r"statistics\.npz: cannot be read .*; train again"):
        _ = read.statistics
    with pytest.raises(DamagedGenerationError, match=r"statistics\.npz: cannot be read"):
        read.statistics_without("a scan that was not trained on")


def test_every_member_is_found_by_its_fold_and_offset(published: Generation) -> None:
    for fold in range(2):
        for offset in range(3):
            assert published.load_member(fold, offset)["weight"].tolist() == [fold, offset]


def test_the_manifest_holds_versions_seed_and_a_checksum_of_every_file(published: Generation) -> None:
    manifest = json.loads((published.path / "manifest.json").read_text())
    assert manifest["versions"]["torch"] == torch.__version__
    assert set(manifest["versions"]) == {"python", "calibrated-ensemble", "torch", "monai", "numpy", "scipy"}
    assert manifest["seed"] == a_task().seed
    assert manifest["key"] == KEY
    assert set(manifest["files"]) == set(tree(published.path)) - {"manifest.json"}
    assert set(FILES) <= set(manifest["files"])


def test_members_are_copied_where_they_cannot_be_linked(
    publish_result: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("another file system")

    monkeypatch.setattr(os, "link", refuse)
    generation = publish_result()
    generation.verify()
    assert generation.load_member(1, 2)["weight"].tolist() == [1, 2]


@pytest.mark.parametrize("name", FILES)
def test_a_file_changed_by_one_bit_is_named(published: Generation, name: str) -> None:
    path = published.path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(DamagedGenerationError, match=f"{name}: differs from what was published; train again"):
        published.verify()
    assert damaged_files(published.path) == [path]


def test_members_of_other_folds_than_those_that_matter_may_be_damaged(published: Generation) -> None:
    (published.path / "members" / "fold_1_offset_2.pt").unlink()
    published.verify([0])
    for folds in ([1], [0, 1], None):
        with pytest.raises(DamagedGenerationError, match=r"fold_1_offset_2\.pt: is missing"):
            published.verify(folds)
    (published.path / "folds.json").unlink()
    with pytest.raises(DamagedGenerationError, match=r"folds\.json: is missing"):
        published.verify([0])


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(published: Generation, name: str) -> None:
    (published.path / name).unlink()
    with pytest.raises(DamagedGenerationError, match=f"{name}: is missing; train again"):
        published.verify()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff\xfe"])
def test_a_manifest_that_is_none_is_damage(published: Generation, content: bytes) -> None:
    (published.path / "manifest.json").write_bytes(content)
    for read in (published.verify, lambda: read_generation(published.path)):
        with pytest.raises(DamagedGenerationError):
            read()
    assert damaged_files(published.path) == [published.path / "manifest.json"]


@pytest.mark.parametrize("name", FILES[:6])
@pytest.mark.parametrize("content", [b"", b"{}", b'{"w_dsc": 3', b"PK\x03\x04"])
def test_settings_that_cannot_be_read_are_damage_and_no_traceback(
    published: Generation, name: str, content: bytes
) -> None:
    """Even where the manifest fits them."""
    (published.path / name).write_bytes(content)
    accept(published, name)
    if name in ("folds.json", "metrics.json") and content == b"{}":
        assert read_generation(published.path).id == published.id
        return
    with pytest.raises(DamagedGenerationError, match=published.id) as raised:
        assert read_generation(published.path).statistics
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("write", [torch.save, lambda bomb, path: path.write_bytes(pickle.dumps(bomb, protocol=2))])
def test_a_pickle_in_place_of_weights_does_not_run(
    published: Generation, tmp_path: Path, write: Callable[[Any, Path], Any]
) -> None:
    """Even where the manifest fits it."""
    name = "members/fold_0_offset_1.pt"
    (published.path / name).unlink()
    write(Bomb(tmp_path / "ran"), published.path / name)
    accept(published, name)
    published.verify()
    with pytest.raises(DamagedGenerationError, match=f"{name}: cannot be read as weights"):
        published.load_member(0, 1)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("keep", [0, 300, -1])
def test_a_truncated_or_missing_member_is_named(published: Generation, keep: int) -> None:
    path = published.path / "members" / "fold_1_offset_0.pt"
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(DamagedGenerationError, match=r"fold_1_offset_0\.pt"):
        published.load_member(1, 0)
    path.write_bytes(content[:keep])
    with pytest.raises(DamagedGenerationError, match=r"fold_1_offset_0\.pt"):
        published.load_member(1, 0)


def test_later_generations_and_lost_members_leave_a_published_one_as_it_is(
    published: Generation, publish_result: Publish, members: list[list[Path]]
) -> None:
    before = tree(published.path)
    other = publish_result("f" * 64)
    for row in members:
        for path in row:
            path.unlink()
            torch.save(nn.Conv3d(1, 1, 1).state_dict(), path)
    assert tree(published.path) == before
    published.verify()
    other.verify()


def test_a_publication_that_is_killed_is_never_read(tmp_path: Path, publish_result: Publish) -> None:
    """By a real SIGKILL of a process, after everything is written and before it is moved into place."""
    child = os.fork()
    if child == 0:
        Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        publish_result()
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    workspace = Workspace(tmp_path)
    (half,) = workspace.generations.iterdir()
    assert (half / "manifest.json").is_file()
    assert half.name.startswith(".tmp-")
    assert list(folders_with_key(workspace.generations, KEY)) == []
    generation = publish_result()
    workspace.remove_leftovers()
    assert list(workspace.generations.iterdir()) == [generation.path]
    generation.verify()


def test_a_full_disk_publishes_nothing_and_leaves_nothing(tmp_path: Path, publish_result: Publish) -> None:
    first = publish_result("f" * 64)
    before = tree(tmp_path)
    with full_disk(100), pytest.raises(StorageError, match="free some space"):
        publish_result()
    assert tree(tmp_path) == before
    first.verify()


def test_a_number_that_is_none_is_not_published(tmp_path: Path, publish_result: Publish) -> None:
    """JSON knows no NaN; other readers would stumble over it."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        publish_result(typical_volumes=(np.nan,))
    assert list((tmp_path / "generations").iterdir()) == []


@pytest.mark.parametrize(
    ("dice", "coefficients", "expected"),
    [
        (0.8, (0.1, 0.2, 0.5), {}),
        (0.3, (0.0, 0.0, 0.0), {"lesion": 0.3}),  # found, though the heatmap does not tell where
        (0.3, (0.5, -0.9, 0.1), {"lesion": 0.3}),  # less probable where all members vote for it
        (0.0, (0.1, 0.2, 0.5), {"lesion": 0.0}),  # never found in cross-validation
        (None, (0.0, 0.0, 0.0), {"lesion": 0.0}),  # never labelled
    ],
)
def test_a_class_is_doubtful_that_was_never_found_or_whose_heatmap_does_not_rise(
    publish_result: Publish, dice: float | None, coefficients: tuple[float, ...], expected: dict[str, float]
) -> None:
    calibration = WeightedVotes(coefficients=(coefficients,), combination=FoldAggregation.MEAN)
    settings: dict[str, Any] = {"calibration": calibration, "metrics": {"dice": {"lesion": dice}}}
    assert publish_result(method=Method.CALIBRATED, **settings).doubtful_classes == expected


def test_a_baseline_which_is_not_served_has_no_doubtful_classes(publish_result: Publish) -> None:
    assert publish_result(metrics={"dice": {"lesion": None}}).doubtful_classes == {}


@pytest.mark.parametrize("content", ["[]", '{"anna": "first"}', "null", '{"anna": '])
def test_folds_of_another_shape_are_named(published: Generation, content: str) -> None:
    (published.path / "folds.json").write_text(content)
    with pytest.raises(DamagedGenerationError, match=r"folds\.json: .*train again"):
        read_generation(published.path)


def test_a_message_about_damaged_statistics_names_the_file_once(published: Generation) -> None:
    file = published.path / "statistics.npz"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DamagedGenerationError) as caught:
        _ = read_generation(published.path).statistics
    assert str(caught.value).startswith(f"{file}: cannot be read (")
    assert str(caught.value).count("statistics.npz") == 1
