"""What 3D Slicer's MONAI Label module sends, in the order in which it sends it, against the real server.

The module cannot run outside Slicer, so `SlicerModule` does what its source does with the answers.
"""

import json
import re
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock
from urllib.parse import quote

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from monailabel.client.client import MONAILabelClientException

from tests.apps.routes.hostile import NAMES, Answer, faults, forged_lines
from tests.apps.servers.running_server import RunningServer, wait_for
from tests.tiny_studies import TinyStudies, copy_trained_studies

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "slicer.md"
VALUE = 3
"""What the tiny task calls its lesion; Slicer counts segments from 1 and must be told."""


@dataclass
class SlicerModule:
    """The module without its windows."""

    server: RunningServer
    name: str = "user-xyz"
    info: dict[str, Any] = field(default_factory=dict)
    segments: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.client = self.server.client(self.name)

    def connect(self) -> None:
        assert not self.client.auth_enabled()
        self.info = self.client.info()

    def parameters(self, section: str, name: str) -> dict[str, Any]:
        config = self.info[section][name].get("config", {})
        return {key: value[0] if isinstance(value, list) else value for key, value in config.items()}

    def next_sample(self) -> dict[str, Any]:
        strategy = next(iter(self.info["strategies"]))
        return self.client.next_sample(strategy, self.parameters("strategies", strategy))

    def model_of_new_samples(self) -> str:
        """The model that runs by itself when a sample opens."""
        models = self.info["models"].items()
        return next(name for label in self.info["labels"] for name, model in models if label in model["labels"])

    def run(self, model: str, scan: str) -> tuple[sitk.Image, dict[str, Any]]:
        wish = self.parameters("models", model) | {"result_extension": ".nrrd", "result_dtype": "uint8"}
        file, answer = self.client.infer(model, scan, wish)
        image = sitk.ReadImage(file)
        labels = answer.get("label_names") or self.info["models"][model]["labels"]
        names = [name for name, _ in sorted(labels.items(), key=lambda item: item[1])]
        names = [name for name in names if name != "background"]
        # Slicer goes by place: the first name is value 1.
        array = sitk.GetArrayFromImage(image)
        self.segments |= {name: array == place for place, name in enumerate(names, 1)}
        return image, answer

    def submit(self, scan: str, geometry: sitk.Image, folder: Path) -> dict[str, Any]:
        label = np.zeros(sitk.GetArrayViewFromImage(geometry).shape, np.uint8)
        for place, mask in enumerate(self.segments.values(), 1):
            label[mask] = place
        image = sitk.GetImageFromArray(label)
        image.CopyInformation(geometry)
        file = folder / f"{scan}.nii.gz"
        sitk.WriteImage(image, str(file))
        listed = [{"name": name, "idx": place} for place, name in enumerate(self.segments, 1)]
        return self.client.save_label(
            scan, str(file), params={"label_info": listed, "model": self.model_of_new_samples()}
        )


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> TinyStudies:
    return copy_trained_studies(tmp_path_factory, tmp_path_factory.mktemp("slicer"))


@pytest.fixture(scope="module")
def server(studies: TinyStudies, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    # As docs/slicer.md says where scans are loaded from files of one's own.
    conf = {"task": str(studies.task), "stock_routes": "session,upload"}
    server = RunningServer(studies.folder, tmp_path_factory.mktemp("server"), conf)
    try:
        yield server
        server.stop()
    finally:
        server.kill()


@pytest.fixture
def module(server: RunningServer, request: pytest.FixtureRequest) -> SlicerModule:
    module = SlicerModule(server, request.node.name)
    module.connect()
    return module


@pytest.fixture
def scan(studies: TinyStudies) -> str:
    """A labelled scan, which no test takes from the queue."""
    return studies.labelled[0]


def same_grid(image: sitk.Image, other: sitk.Image) -> bool:
    return image.GetSize() == other.GetSize() and all(
        np.allclose(getattr(image, part)(), getattr(other, part)(), atol=1e-4)
        for part in ("GetOrigin", "GetSpacing", "GetDirection")
    )


def read_scan(studies: TinyStudies, name: str) -> sitk.Image:
    return sitk.ReadImage(str(studies.folder / f"{name}.nii.gz"))


def read_scan_bytes(studies: TinyStudies, name: str) -> bytes:
    return (studies.folder / f"{name}.nii.gz").read_bytes()


def test_info_holds_what_the_module_reads(module: SlicerModule) -> None:
    info = module.info
    assert "config" not in info  # the module takes such a server for one that is too old
    assert info["labels"] == ["lesion"]
    assert isinstance(info["name"], str)
    assert {model["type"] for model in info["models"].values()} == {"segmentation"}
    for section in ("models", "trainers", "strategies", "scoring"):
        assert info[section]
        for entry in info[section].values():
            assert isinstance(entry.get("config", {}), dict)
    for model in info["models"].values():
        assert model["description"]
        assert all(isinstance(value, int) for value in model["labels"].values())
    assert module.model_of_new_samples() == next(iter(info["models"])) == "calibrated_ensemble"
    assert next(iter(info["strategies"])) == "least_certain"
    assert next(iter(info["trainers"])) == "ensemble"
    assert info["datastore"]["completed"] <= info["datastore"]["total"]
    first = next(iter(info["train_stats"].values()))
    assert 0 <= first.get("best_metric", 0) <= 1
    assert first.get("epoch", 1) <= first.get("total_epochs", 1)


def test_a_sample_is_leased_to_who_asked_and_can_be_loaded(server: RunningServer, studies: TinyStudies) -> None:
    ann, bea = SlicerModule(server, "ann"), SlicerModule(server, "bea")
    ann.connect()
    bea.connect()
    sample, other = ann.next_sample(), bea.next_sample()
    assert sample["id"] != other["id"]
    holders = {line["id"]: line["leased_to"] for line in server.request("GET", "/worklist/").json()["scans"]}
    assert (holders[sample["id"]], holders[other["id"]]) == ("ann", "bea")
    # Without a `path` that it sees itself, Slicer downloads to a file called `name`.
    assert "path" not in sample
    assert sample["name"] == f"{sample['id']}.nii.gz"
    downloaded = server.request("GET", "/datastore/image", params={"image": sample["id"]})
    assert downloaded.content == (studies.folder / sample["name"]).read_bytes()
    # It then looks for a prediction that was stored, and goes on without when there is none.
    assert "original" not in ann.client.datastore()["objects"][sample["id"]]["labels"]
    with pytest.raises(MONAILabelClientException, match="404"):
        ann.client.download_label(sample["id"], "original")


def test_slicer_shows_each_class_under_its_name(module: SlicerModule, studies: TinyStudies) -> None:
    for files in studies.phantoms:
        module.segments.clear()
        image, answer = module.run(module.model_of_new_samples(), files.name)
        assert image.GetPixelID() == sitk.sitkUInt8
        assert same_grid(image, read_scan(studies, files.name))
        np.testing.assert_array_equal(module.segments["lesion"], sitk.GetArrayFromImage(image) == VALUE)
        assert answer["label_names"]["lesion"] == VALUE
    assert module.segments["lesion"].any()


def test_slicer_shows_tenths_of_the_heatmap(module: SlicerModule, studies: TinyStudies, scan: str) -> None:
    image, _ = module.run("heatmap", scan)
    assert image.GetPixelID() == sitk.sitkUInt8
    assert same_grid(image, read_scan(studies, scan))
    exact, _ = module.client.infer("heatmap", scan, {"result_extension": ".nrrd"})
    heatmap = sitk.GetArrayFromImage(sitk.ReadImage(exact))
    assert heatmap.max() > 0.15
    for tenth in range(1, 11):
        near = np.abs(10 * heatmap - tenth)
        shown = module.segments[f"{10 * tenth} %"]
        assert shown[near < 0.499].all()
        assert not shown[near > 0.501].any()


def test_a_submitted_label_counts_and_keeps_its_class(
    module: SlicerModule, studies: TinyStudies, tmp_path: Path
) -> None:
    before = module.info["datastore"]["completed"]
    sample = module.next_sample()
    # A segment that was drawn first and emptied again moves the lesion to the second place.
    painted = np.zeros_like(sitk.GetArrayViewFromImage(read_scan(studies, sample["id"])), dtype=bool)
    painted[2:5, 3:9, 4:7] = True
    module.segments = {"sketch": np.zeros_like(painted), "lesion": painted}
    answer = module.submit(sample["id"], read_scan(studies, sample["id"]), tmp_path)
    assert answer["voxels"] == {"lesion": np.count_nonzero(painted)}
    module.connect()
    assert module.info["datastore"]["completed"] == before + 1
    stored = sitk.ReadImage(str(studies.folder / "labels" / "final" / f"{sample['id']}.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(stored), VALUE * painted)
    assert same_grid(stored, read_scan(studies, sample["id"]))
    assert sample["id"] not in {line["id"] for line in module.server.request("GET", "/worklist/").json()["scans"]}


def test_what_slicer_sends_is_refused_when_another_page_sends_it(
    module: SlicerModule, studies: TinyStudies, scan: str
) -> None:
    standing = studies.folder / "labels" / "final" / f"{scan}.nii.gz"
    before = standing.read_bytes()
    file = {"label": (standing.name, read_scan_bytes(studies, scan))}
    for page in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}):
        answer = module.server.request("PUT", "/datastore/label", params={"image": scan}, files=file, headers=page)
        assert answer.status_code == 403
    assert standing.read_bytes() == before
    assert module.client.info()["name"]


def test_a_segment_that_is_no_class_is_refused_with_its_name(
    module: SlicerModule, studies: TinyStudies, scan: str, tmp_path: Path
) -> None:
    standing = studies.folder / "labels" / "final" / f"{scan}.nii.gz"
    before = standing.read_bytes()
    module.run("heatmap", scan)
    with pytest.raises(MONAILabelClientException, match="is no class of the task; name it lesion"):
        module.submit(scan, read_scan(studies, scan), tmp_path)
    assert standing.read_bytes() == before


def test_a_volume_that_was_loaded_in_slicer_is_uploaded_and_segmented(
    module: SlicerModule, studies: TinyStudies, tmp_path: Path
) -> None:
    file = tmp_path / "saved by Slicer.nii.gz"
    sitk.WriteImage(read_scan(studies, studies.labelled[1]), str(file))
    session = module.client.create_session(str(file))["session_id"]
    assert module.client.get_session(session)["name"] == session
    assert module.client.upload_image(str(file), "my volume")["image"] == "my volume"
    image, _ = module.run("calibrated_ensemble", "my volume")
    expected, _ = module.run("calibrated_ensemble", studies.labelled[1])
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(expected))


def test_no_hostile_request_fails_forges_a_line_of_the_log_or_tells_a_path(
    module: SlicerModule, studies: TinyStudies, scan: str
) -> None:
    server = module.server
    for name in NAMES:
        sent = {"params": json.dumps({"client_id": name, "label_info": name, "class": name, "label_tag": name})}
        query = quote(name.encode("utf-8", "surrogatepass"), safe="")
        answers = [
            server.request("DELETE", f"/datastore/image?id={query}"),
            server.request("GET", f"/datastore/label?label={query}&tag={query}"),
            server.request("POST", f"/infer/heatmap?image={query}", data=sent),
            server.request("POST", f"/infer/heatmap?image={scan}&output=json", data=sent),
            server.request("PUT", f"/datastore/image?image={query}", files={"file": ("a.nii.gz", b"no scan")}),
            server.request("PUT", f"/datastore/label?image={query}", data=sent, files={"label": ("a.nii.gz", b"x")}),
            server.request("POST", "/activelearning/random", json={"client_id": name, "strategy": name}),
        ]
        found = [Answer(answer.url, answer.status_code, answer.text) for answer in answers]
        assert [(answer, fault) for answer in found for fault in faults(answer, [str(studies.folder.parent)])] == []
    log = server.log.read_text(encoding="utf-8")
    assert forged_lines(log) == []
    assert "Traceback" not in log


def test_training_is_started_watched_and_stopped(module: SlicerModule, studies: TinyStudies, tmp_path: Path) -> None:
    client = module.client
    assert client.train_status(check_if_running=True) is False
    corrected = read_scan(studies, studies.labelled[-1])
    module.segments = {"lesion": sitk.GetArrayFromImage(corrected) > 140}
    module.submit(studies.labelled[-1], corrected, tmp_path)  # so that there is something to train
    trainer = next(iter(module.info["trainers"]))
    started = client.train_start(trainer, module.parameters("trainers", trainer))
    assert {"id", "status", "start_ts"} <= set(started)
    wait_for(lambda: client.train_status(check_if_running=True), seconds=60, what="the training to run")
    wait_for(lambda: bool(client.train_status()["details"]), seconds=60, what="a line of the training")
    stopped = client.train_stop()
    assert stopped["details"]  # the module takes the last of them without looking
    wait_for(lambda: not client.train_status(check_if_running=True), seconds=60, what="the training to stop")


def test_the_lines_of_the_guide_load_the_heatmap_as_probabilities(
    module: SlicerModule, studies: TinyStudies, scan: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (lines,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    widget = types.SimpleNamespace(current_sample={"id": scan}, info=module.info)
    widget.logic = types.SimpleNamespace(_client=lambda: module.client)
    slicer = MagicMock()
    slicer.util.getModuleWidget.side_effect = {"MONAILabel": widget}.__getitem__
    exec(compile(lines, DOCUMENT, "exec"), {"slicer": slicer})
    (file, properties), _ = slicer.util.loadVolume.call_args
    assert properties["name"] == "heatmap lesion"
    heatmap, header = nrrd.read(file)
    assert header["type"] == "float"
    assert heatmap.dtype == np.float32
    assert same_grid(sitk.ReadImage(file), read_scan(studies, scan))
    assert 0 <= heatmap.min() <= heatmap.max() <= 1
    assert len(np.unique(heatmap)) > 3
    # Where the lesion is it is more probable than elsewhere.
    lesion = np.asanyarray(nib.load(studies.folder / "labels" / "final" / f"{scan}.nii.gz").dataobj) == VALUE
    assert heatmap[lesion].mean() > heatmap[~lesion].mean()
    assert re.search(rf"{scan}: estimated DSC [01]\.\d\d", capsys.readouterr().out)
