"""MONAI Label's own client walks the whole loop against the real server."""

import json
import signal
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import itk
import nibabel as nib
import numpy as np
import psutil
import pytest
import requests
from monailabel.client.client import MONAILabelClientException

from apps.calibrated_ensemble.retraining.on_server import retrain_on_server
from apps.calibrated_ensemble.retraining.options import RetrainingOptions
from lib.images.files import read_scan, write_volume
from lib.simulation.phantoms import Phantom, make_phantom
from tests.apps.servers.running_server import RunningServer, wait_for

ORIENTATIONS = ("RAS", "LPS", "PIR", "ASL", "SPL")
TILT = 17.0
LABELLED = 6
UNLABELLED = 7
TASK = """
name: tiny
modality: CT
labels: {lesion: 3}
spacing: [3.0, 3.0, 3.0]
w_dsc: [0.0]
offsets: [-1, 0, 1]
fold_count: 2
preset: demo
network: {init_filters: 4, blocks_down: [1, 1]}
training: {iterations: ITERATIONS, patch_voxels: 4096, batch_size: 2}
"""


def phantom(index: int) -> Phantom:
    """Every third one is oblique, all take the orientations in turn; labels hold the task's value."""
    return make_phantom(
        index, orientation=ORIENTATIONS[index % len(ORIENTATIONS)], tilt=TILT if index % 3 == 1 else 0.0
    )


def write_label(path: Path, source: Phantom) -> Path:
    write_volume(path, type(source.label)(source.label.array * 3, source.label.affine))
    return path


def write_studies(folder: Path, *, labelled: int = LABELLED, unlabelled: int = UNLABELLED) -> Path:
    for index in range(labelled + unlabelled):
        made = phantom(index)
        write_volume(folder / f"{made.name}.nii.gz", made.scan)
        if index < labelled:
            write_label(folder / "labels" / "final" / f"{made.name}.nii.gz", made)
    return folder


def write_task(folder: Path, *, iterations: int = 80) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(TASK.replace("ITERATIONS", str(iterations)))
    return path


def name(index: int) -> str:
    return f"phantom_{index:03d}"


def infer_status(server: RunningServer, model: str, image: str) -> requests.Response:
    return server.request("POST", f"/infer/{model}", params={"image": image})


def train(server: RunningServer, trainer: str) -> str:
    """Run a trainer to its end and give its last lines."""
    server.client().train_start(trainer, {})
    state = server.finish("train")
    assert state["status"] == "DONE", "\n".join(state["details"])
    return "\n".join(state["details"])


def scores(workspace: Path) -> dict[str, tuple[str, float, float]]:
    """Scan to generation, mean and time of its scores, straight from the database file."""
    with sqlite3.connect(f"file:{workspace / 'database.sqlite'}?mode=ro", uri=True) as connection:
        rows = connection.execute(
            "SELECT scans.name, generation, mean, time FROM scores JOIN scans ON scans.id = scan_id WHERE mean NOTNULL"
        ).fetchall()
    return {scan: (generation, mean, time) for scan, generation, mean, time in rows}


@dataclass
class Walk:
    """A server whose first generation was trained over HTTP, and what it answered before."""

    server: RunningServer
    folder: Path
    before: dict[str, Any] = field(default_factory=dict)
    first_generation: str = ""
    details: str = ""


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    folder = tmp_path_factory.mktemp("walk")
    studies = write_studies(folder / "studies")
    conf = {"task": str(write_task(folder)), "lease_minutes": "30", "stock_routes": "session"}
    server = RunningServer(studies, folder, conf)
    try:
        walk = Walk(server, folder)
        client = server.client("early bird")
        walk.before = {
            "info": client.info(),
            "segmentation": infer_status(server, "calibrated_ensemble", name(LABELLED)),
            "heatmap": infer_status(server, "heatmap", name(LABELLED)),
            "scoring": server.request("POST", "/scoring/estimated_dsc?run_sync=true", json={}),
            "sample": client.next_sample("least_certain", {}),
            "other_sample": server.client("second").next_sample("least_certain", {}),
            "one_weight": train(server, "loss_weight_plus_1"),
            "info_after_one_weight": client.info(),
        }
        walk.details = train(server, "ensemble")
        walk.first_generation = client.info()["generation"]
        yield walk
        server.stop()
    finally:
        server.kill()


def test_info_lists_everything_before_the_first_generation(walk: Walk) -> None:
    info = walk.before["info"]
    assert info["labels"] == ["lesion"]
    assert info["models"]["calibrated_ensemble"]["type"] == "segmentation"
    assert info["models"]["calibrated_ensemble"]["labels"] == {"lesion": 3}
    assert info["models"]["heatmap"]["labels"]["70 %"] == 7
    assert list(info["trainers"]) == ["ensemble", "loss_weight_minus_1", "loss_weight_0", "loss_weight_plus_1"]
    assert list(info["strategies"]) == ["least_certain", "random"]
    assert list(info["scoring"]) == ["estimated_dsc"]
    assert info["datastore"] == {
        "total": LABELLED + UNLABELLED,
        "completed": LABELLED,
        "label_tags": {"final": LABELLED},
    }
    assert info["generation"] is None


@pytest.mark.parametrize("model", ["segmentation", "heatmap"])
def test_a_prediction_before_the_first_generation_is_refused_in_one_clear_line(walk: Walk, model: str) -> None:
    answer = walk.before[model]
    assert answer.status_code == 409
    assert "trainer `ensemble`" in answer.json()["detail"]
    assert "Traceback" not in answer.text
    assert "\n" not in answer.json()["detail"]


def test_scoring_before_the_first_generation_says_so(walk: Walk) -> None:
    assert walk.before["scoring"].status_code == 200
    assert walk.before["scoring"].json()["generation"] is None
    assert "ensemble" in walk.before["scoring"].json()["message"]


def test_before_the_first_generation_two_annotators_get_two_unlabelled_scans(walk: Walk) -> None:
    first, second = walk.before["sample"], walk.before["other_sample"]
    unlabelled = {name(index) for index in range(LABELLED, LABELLED + UNLABELLED)}
    assert {first["id"], second["id"]} < unlabelled
    assert first["id"] != second["id"]
    assert first["mean_estimated_dsc"] is None
    assert "path" not in first


def test_one_loss_weight_alone_publishes_nothing(walk: Walk) -> None:
    assert walk.before["info_after_one_weight"]["generation"] is None
    assert "training: 100 %" in walk.before["one_weight"]


def test_training_reaches_the_figures_that_viewers_read(walk: Walk) -> None:
    # Two folds, stages 1 to 3 and the weight +1 were trained before: four members of one stage are left.
    stats = walk.server.client().info()["train_stats"]["ensemble"]
    assert stats["epoch"] == stats["total_epochs"] == 4 * 20
    assert 0 < stats["best_metric"] <= 1
    assert stats["best_metric"] == pytest.approx(np.mean(list(stats["eval"]["metrics"].values())))
    assert stats["total_time"].count(":") == 2
    assert "training: 100 % (80 of 80)" in walk.details
    assert f"scoring: 100 % ({UNLABELLED} of {UNLABELLED} scans)" in walk.details


@pytest.mark.parametrize("index", range(LABELLED, LABELLED + UNLABELLED))
@pytest.mark.parametrize("extension", [".nii.gz", ".nrrd"])
def test_results_lie_on_the_grid_of_the_scan(walk: Walk, index: int, extension: str) -> None:
    path = walk.server.studies / f"{name(index)}.nii.gz"
    file, params = walk.server.client().infer("calibrated_ensemble", name(index), {"result_extension": extension})
    assert file.endswith(extension)
    label, scan = read_scan(Path(file)), read_scan(path)
    assert label.shape == scan.shape
    np.testing.assert_allclose(label.affine, scan.affine, atol=1e-4)
    assert set(np.unique(label.array)) <= {0, 3}
    voxel = abs(np.linalg.det(scan.affine[:3, :3]))
    assert params["volumes_mm3"]["lesion"] == pytest.approx(np.count_nonzero(label.array) * voxel, rel=1e-5)


def test_predictions_lie_where_the_lesions_are_in_world_coordinates(walk: Walk) -> None:
    """A flipped or transposed result would be as likely inside the lesions as anywhere in the organ."""
    inside, anywhere = [], []
    for index in range(LABELLED, LABELLED + UNLABELLED):
        made = phantom(index)
        file, _ = walk.server.client().infer("heatmap", name(index), {})
        heatmap = nib.load(file)
        # Each voxel's world point is looked up in the phantom, not its index.
        indices = np.argwhere(made.region.array > 0)
        points = nib.affines.apply_affine(heatmap.affine, indices)
        places = np.rint(nib.affines.apply_affine(np.linalg.inv(made.posterior.affine), points)).astype(int)
        posterior = made.posterior.array[tuple(places.T)]
        if posterior.max() > 0.9:
            values = np.asanyarray(heatmap.dataobj)[tuple(indices.T)]
            inside.append(values[posterior > 0.9].mean())
            anywhere.append(values[posterior < 0.1].mean())
    assert len(inside) >= 3
    assert np.mean(inside) > 2 * np.mean(anywhere)


def test_itk_and_nibabel_see_an_oblique_result_in_the_same_place(walk: Walk) -> None:
    index = next(i for i in range(LABELLED, LABELLED + UNLABELLED) if i % 3 == 1)
    nrrd, _ = walk.server.client().infer("heatmap", name(index), {"result_extension": ".nrrd"})
    nifti, _ = walk.server.client().infer("heatmap", name(index), {"result_extension": ".nii.gz"})
    by_itk, by_nibabel = itk.imread(nrrd), nib.load(nifti)
    corner = [3, 5, 7]
    lps = np.array(by_itk.TransformIndexToPhysicalPoint(corner))
    np.testing.assert_allclose(lps * [-1, -1, 1], nib.affines.apply_affine(by_nibabel.affine, corner), atol=1e-3)
    np.testing.assert_array_equal(itk.array_from_image(by_itk).T, np.asanyarray(by_nibabel.dataobj))


def test_the_heatmap_is_float_by_default_and_tenths_for_viewers(walk: Walk) -> None:
    client = walk.server.client()
    exact, params = client.infer("heatmap", name(LABELLED), {})
    bands, band_params = client.infer("heatmap", name(LABELLED), {"result_dtype": "uint8"})
    probabilities, tenths = nib.load(exact), nib.load(bands)
    assert probabilities.get_data_dtype() == np.float32
    assert tenths.get_data_dtype() == np.uint8
    values = np.asanyarray(probabilities.dataobj)
    assert values.min() >= 0
    assert values.max() <= 1
    np.testing.assert_array_equal(np.asanyarray(tenths.dataobj), np.rint(values * 10))
    assert np.asanyarray(tenths.dataobj).max() >= 3
    assert params["estimated_dsc"] == band_params["estimated_dsc"]
    assert band_params["label_names"]["100 %"] == 10


def test_the_estimate_is_that_of_the_files(walk: Walk) -> None:
    client = walk.server.client()
    label, params = client.infer("calibrated_ensemble", name(LABELLED), {})
    heatmap, _ = client.infer("heatmap", name(LABELLED), {})
    p = np.asanyarray(nib.load(label).dataobj) == 3
    h = np.asanyarray(nib.load(heatmap).dataobj).astype(np.float64)
    assert p.any()
    expected = 2 * (h * p).sum() / (h.sum() + p.sum())
    assert params["estimated_dsc"]["lesion"] == pytest.approx(expected, abs=1e-5)
    assert params["mean_estimated_dsc"] == params["estimated_dsc"]["lesion"]
    assert scores(walk.server.workspace)[name(LABELLED)][1] == pytest.approx(expected, abs=1e-5)


def test_the_heatmap_after_the_segmentation_is_not_computed_again(walk: Walk) -> None:
    client = walk.server.client()
    _, first = client.infer("calibrated_ensemble", name(LABELLED + 1), {})
    _, second = client.infer("heatmap", name(LABELLED + 1), {})
    assert first["seconds"] == second["seconds"]


def test_a_scan_can_be_sent_as_a_file_or_session(walk: Walk) -> None:
    client = walk.server.client()
    path = str(walk.server.studies / f"{name(LABELLED)}.nii.gz")
    by_name, _ = client.infer("calibrated_ensemble", name(LABELLED), {})
    expected = np.asanyarray(nib.load(by_name).dataobj).copy()
    sent, _ = client.infer("calibrated_ensemble", "", {}, file=path)
    session = client.create_session(path)["session_id"]
    of_session, _ = client.infer("calibrated_ensemble", "", {}, session_id=session)
    for file in (sent, of_session):
        np.testing.assert_array_equal(np.asanyarray(nib.load(file).dataobj), expected)


@pytest.mark.parametrize(
    ("path", "status", "part"),
    [
        ("/infer/calibrated_ensemble?image=nobody", 404, "nobody: no such scan"),
        ("/infer/unheard_of?image=phantom_006", 404, "unheard_of"),
        ("/activelearning/unheard_of", 404, "unheard_of"),
    ],
)
def test_unknown_names_are_answered_with_404_and_a_reason(walk: Walk, path: str, status: int, part: str) -> None:
    answer = walk.server.request("POST", path)
    assert answer.status_code == status
    assert part in answer.json()["detail"]


@pytest.mark.parametrize(
    ("params", "part"),
    [
        ({"class": "kidney"}, "give one of lesion"),
        ({"result_dtype": "colour"}, "result_dtype"),
        ({"result_extension": ".png"}, ".nii.gz"),
    ],
)
def test_a_wrong_wish_is_answered_with_what_would_be_right(walk: Walk, params: dict[str, str], part: str) -> None:
    answer = walk.server.request(
        "POST", "/infer/heatmap", params={"image": name(LABELLED)}, data={"params": json.dumps(params)}
    )
    assert answer.status_code == 422
    assert part in answer.json()["detail"]


def test_a_truncated_scan_is_answered_with_a_reason(walk: Walk, tmp_path: Path) -> None:
    whole = (walk.server.studies / f"{name(0)}.nii.gz").read_bytes()
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(whole[: len(whole) // 2])
    answer = walk.server.request("POST", "/infer/calibrated_ensemble", files={"file": broken.open("rb")})
    assert answer.status_code == 422
    assert "truncated" in answer.json()["detail"]


def test_batch_inference_stores_a_prediction_of_every_unlabelled_scan(walk: Walk) -> None:
    broken = walk.server.studies / "broken.nii.gz"
    broken.write_bytes(b"no image at all")
    wait_for(lambda: "broken" in walk.server.client().datastore()["objects"], seconds=20, what="the new file")
    try:
        answer = walk.server.request("POST", "/batch/infer/calibrated_ensemble?images=unlabeled")
        assert answer.ok
        state = walk.server.finish("batch/infer")
        assert state["status"] == "DONE", "\n".join(state["details"])
    finally:
        broken.unlink()
    wait_for(lambda: "broken" not in walk.server.client().datastore()["objects"], seconds=20, what="the file to go")
    objects = walk.server.client().datastore()["objects"]
    predicted = {scan for scan, entry in objects.items() if "original" in entry["labels"]}
    unlabelled = {scan for scan, entry in objects.items() if "final" not in entry["labels"]}
    assert predicted == unlabelled
    assert (walk.server.studies / "labels" / "original" / f"{sorted(predicted)[0]}.nii.gz").is_file()


def test_labels_come_in_and_the_queue_moves_on_until_nothing_is_left(walk: Walk, tmp_path: Path) -> None:
    server, generation = walk.server, walk.first_generation
    early, second = server.client("early bird"), server.client("second")
    held = {walk.before["sample"]["id"], walk.before["other_sample"]["id"]}
    means = {scan: mean for scan, (of, mean, _) in scores(server.workspace).items() if of == generation}
    assert set(means) == {name(index) for index in range(LABELLED, LABELLED + UNLABELLED)}
    free = sorted(set(means) - held, key=lambda scan: means[scan])

    # Least certain first, nobody gets what another holds, and asking again moves on.
    first = early.next_sample("least_certain", {})
    other = second.next_sample("least_certain", {})
    again = early.next_sample("least_certain", {})
    assert [first["id"], other["id"], again["id"]] == free[:3]
    assert first["mean_estimated_dsc"] == pytest.approx(means[free[0]])
    assert first["generation"] == generation

    # A right label is taken, counted and not asked for again.
    right = write_label(tmp_path / "right.nii.gz", phantom(int(first["id"][-3:])))
    saved = early.save_label(first["id"], str(right), params={"label_info": [{"name": "lesion", "idx": 3}]})
    assert saved["voxels"]["lesion"] == np.count_nonzero(nib.load(right).dataobj)
    assert saved["warnings"] == []
    info = early.info()
    assert info["datastore"]["completed"] == LABELLED + 1
    stored = nib.load(server.studies / "labels" / "final" / f"{first['id']}.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(stored.dataobj), np.asanyarray(nib.load(right).dataobj))

    # Everything is handed out once; then the answer says that nothing is left, and why.
    third = server.client("third")
    rest = [third.next_sample("random", {})["id"] for _ in range(len(free) - 3)]
    assert sorted(rest) == sorted(free[3:])
    answer = server.request("POST", "/activelearning/least_certain", json={"client_id": "late"})
    assert answer.status_code == 404
    assert answer.json()["detail"]["labelled"] == LABELLED + 1
    assert answer.json()["detail"]["leased"] == UNLABELLED - 1
    assert "annotators" in answer.json()["detail"]["message"]
    with pytest.raises(MONAILabelClientException, match="annotators"):
        server.client("late").next_sample("least_certain", {})


@pytest.mark.parametrize("wrong", ["grid", "class", "nan", "bytes"])
def test_a_wrong_label_is_refused_and_nothing_is_lost(walk: Walk, tmp_path: Path, wrong: str) -> None:
    server = walk.server
    target = name(0)
    standing = server.studies / "labels" / "final" / f"{target}.nii.gz"
    before = standing.read_bytes()
    label, affine = phantom(0).label.array.astype(np.float32) * 3, phantom(0).label.affine
    if wrong == "grid":
        label = label[:-1]
    elif wrong == "class":
        label[0, 0, 0] = 7
    elif wrong == "nan":
        label[0, 0, 0] = np.nan
    path = tmp_path / "wrong.nii.gz"
    nib.save(nib.Nifti1Image(label, affine), path)
    if wrong == "bytes":
        path.write_bytes(b"no image at all")
    kept_before = set((server.workspace / "refused_labels").glob("*"))
    with path.open("rb") as file:
        answer = server.request("PUT", f"/datastore/label?image={target}", files={"label": (path.name, file)})
    assert answer.status_code == 422
    detail = answer.json()["detail"]
    assert detail.startswith(f"label of {target}: ")
    assert "Traceback" not in detail
    assert standing.read_bytes() == before
    (kept,) = set((server.workspace / "refused_labels").glob("*")) - kept_before
    assert kept.name in detail
    assert kept.read_bytes() == path.read_bytes()
    info = server.client().datastore()["objects"][target]["labels"]["final"]
    assert info["ext"] == ".nii.gz"


def test_a_nonsense_label_is_taken_with_warnings_that_lead_to_the_place_and_the_older_one_is_kept(
    walk: Walk, tmp_path: Path
) -> None:
    made, server = phantom(1), walk.server
    older = (server.studies / "labels" / "final" / f"{name(1)}.nii.gz").read_bytes()
    assert infer_status(server, "calibrated_ensemble", name(1)).ok  # the heatmap is known from now on
    path = tmp_path / "empty.nii.gz"
    write_volume(path, type(made.label)(np.zeros_like(made.label.array), made.label.affine))
    saved = server.client().save_label(name(1), str(path))
    assert saved["voxels"] == {"lesion": 0}
    told = saved["warnings"]
    assert any(line.startswith(f"label of {name(1)}: holds no foreground") for line in told)
    assert any("is replaced; it is kept on the server as" in line for line in told)
    (place,) = saved["places"]
    assert (place["kind"], place["class"]) == ("missing_class", "lesion")
    assert place["message"] in told
    i, j, k = place["voxel"]
    assert made.label.array[i, j, k] > 0
    lps = np.diag([-1, -1, 1, 1]) @ made.label.affine @ [i, j, k, 1]
    np.testing.assert_allclose(place["lps_mm"], lps[:3], atol=1e-3)
    assert older in [kept.read_bytes() for kept in (server.workspace / "label_versions").iterdir()]


def test_two_annotators_of_one_scan_are_told_of_each_other(walk: Walk, tmp_path: Path) -> None:
    target = name(0)
    path = write_label(tmp_path / "mine.nii.gz", phantom(0))
    empty = tmp_path / "theirs.nii.gz"
    write_volume(empty, type(phantom(0).label)(np.zeros_like(phantom(0).label.array), phantom(0).label.affine))

    def submit(file: Path, who: str, started_from: str) -> requests.Response:
        params = json.dumps({"client_id": who, "started_from": started_from})
        with file.open("rb") as stream:
            return walk.server.request(
                "PUT", f"/datastore/label?image={target}", data={"params": params}, files={"label": (file.name, stream)}
            )

    standing = walk.server.request("GET", f"/datastore/label/info?label={target}&tag=final").json()["label_version"]
    assert submit(empty, "bob", standing).status_code == 200
    answer = submit(path, "ann", standing)
    assert answer.status_code == 409
    detail = answer.json()["detail"]
    assert (detail["conflict"], detail["submitted_by"]) == ("label", "bob")
    chosen = submit(path, "ann", detail["label_version"])
    assert chosen.status_code == 200
    assert chosen.json()["label_version"] not in ("", detail["label_version"])


def test_refused_labels_are_counted(walk: Walk) -> None:
    kept = list((walk.server.workspace / "refused_labels").iterdir())
    told = walk.server.client().info()["refused_labels"]
    assert told == {"count": len(kept), "bytes": sum(file.stat().st_size for file in kept)}


def test_a_label_of_another_tag_leaves_the_queue_alone(walk: Walk, tmp_path: Path) -> None:
    target = name(LABELLED + UNLABELLED - 1)
    path = write_label(tmp_path / "draft.nii.gz", phantom(LABELLED + UNLABELLED - 1))
    completed = walk.server.client().info()["datastore"]["completed"]
    walk.server.client().save_label(target, str(path), tag="draft")
    assert walk.server.client().info()["datastore"]["completed"] == completed
    assert (walk.server.studies / "labels" / "draft" / f"{target}.nii.gz").is_file()
    answer = walk.server.request(
        "PUT", f"/datastore/label?image={target}&tag=../../elsewhere", files={"label": path.open("rb")}
    )
    assert answer.status_code == 422
    assert not (walk.server.studies.parent / "elsewhere").exists()


def test_a_new_generation_is_served_without_a_restart(walk: Walk, tmp_path: Path) -> None:
    server = walk.server
    target = name(LABELLED)
    _, before = server.client().infer("calibrated_ensemble", target, {})
    write_label(server.studies / "labels" / "final" / f"{name(LABELLED + 1)}.nii.gz", phantom(LABELLED + 1))
    train(server, "ensemble")
    info = server.client().info()
    assert info["generation"] != before["generation"]
    _, after = server.client().infer("calibrated_ensemble", target, {})
    assert after["generation"] == info["generation"]
    assert before["generation"] == walk.first_generation
    assert (server.workspace / "generations" / walk.first_generation / "manifest.json").is_file()
    of_new = {scan for scan, (generation, _, _) in scores(server.workspace).items() if generation == info["generation"]}
    objects = server.client().datastore()["objects"]
    assert of_new == {scan for scan, entry in objects.items() if "final" not in entry["labels"]}


def test_a_night_in_the_queue_of_the_server_is_told_and_seen_by_the_lead(walk: Walk) -> None:
    server = walk.server
    summary = retrain_on_server(server.url, RetrainingOptions(min_new_labels=1000), seconds_between=1.0)
    assert summary["outcome"] == "nothing_to_do"
    assert summary["served"] == server.client().info()["generation"]
    page = server.request("GET", "/progress/")
    assert page.status_code == 200
    assert "nothing to do" in page.text
    assert server.request("GET", "/progress/figures").json()["nights"] == [summary]


def test_kill_9_during_training_and_scoring_loses_nothing(tmp_path: Path) -> None:
    studies = write_studies(tmp_path / "studies", unlabelled=24)
    conf = {"task": str(write_task(tmp_path, iterations=200))}

    # Killed in the middle of training, server and trainer at once.
    server = RunningServer(studies, tmp_path, conf)
    members = server.workspace / "members"
    try:
        server.client().train_start("ensemble", {})
        wait_for(lambda: len(list(members.glob("*.pt"))) >= 3, seconds=120, what="the first checkpoints")
        assert server.background_processes()
    finally:
        server.kill()
    assert not (server.workspace / "current").exists()
    finished = {path.name: path.stat().st_ino for path in members.glob("*.pt")}

    # Nothing half-written is served; the next training goes on where that one was.
    server = RunningServer(studies, tmp_path, conf)
    try:
        assert infer_status(server, "calibrated_ensemble", name(LABELLED)).status_code == 409
        assert server.client().info()["datastore"]["completed"] == LABELLED
        server.client().train_start("ensemble", {})
        wait_for(lambda: len(_scores_if_any(server)) >= 2, seconds=150, what="the first scores")
        # A checkpoint that was trained again would be another file under the same name.
        kept = {path.name: path.stat().st_ino for path in members.glob("*.pt")}
        assert finished.items() <= kept.items()
        assert len(kept) > len(finished)
        trainers = server.background_processes()
    finally:
        # Killed in the middle of scoring, the server alone: the scoring process must notice by itself.
        server.kill(with_children=False)
    _, alive = psutil.wait_procs(trainers, timeout=3)
    for process in alive:
        process.kill()
    assert not alive
    scored = scores(server.workspace)
    assert 2 <= len(scored) < 24

    # A server that starts scores what is missing, and leaves the rest as it was.
    server = RunningServer(studies, tmp_path, conf)
    try:
        state = server.finish("scoring")
        assert state["status"] == "DONE", "\n".join(state["details"])
        complete = scores(server.workspace)
        assert set(complete) == {name(index) for index in range(LABELLED, LABELLED + 24)}
        assert {scan: complete[scan] for scan in scored} == scored
        assert infer_status(server, "calibrated_ensemble", name(LABELLED)).ok
        assert not list(server.workspace.rglob(".tmp-*/manifest.json"))

        # Asked to stop during a training, it takes the training along.
        write_label(studies / "labels" / "final" / f"{name(LABELLED)}.nii.gz", phantom(LABELLED))
        server.client().train_start("ensemble", {})
        wait_for(lambda: bool(server.background_processes()), seconds=30, what="the trainer")
        trainers = server.background_processes()
        server.process.terminate()
        _, alive = psutil.wait_procs(trainers, timeout=10)
        assert not alive
        assert server.process.wait(timeout=30) == -signal.SIGTERM
    finally:
        server.kill()


def _scores_if_any(server: RunningServer) -> dict[str, tuple[str, float, float]]:
    assert server.state("train") in ("SUBMITTED", "RUNNING"), (
        "the training ended before it could be killed while scoring"
    )
    return scores(server.workspace)
