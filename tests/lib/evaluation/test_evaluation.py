"""From labelled scans to metrics, without the command."""

import json
from pathlib import Path

import pytest

from lib.datasets.decathlon import read_data_set
from lib.datasets.studies_folder import read_studies
from lib.errors import InputError
from lib.evaluation.compared_heatmaps import Comparison
from lib.evaluation.evaluation import evaluate
from tests.evaluated_studies import Judged


def test_the_metrics_are_those_of_the_command(judged: Judged, comparison: Comparison) -> None:
    task, told = comparison.served.task, []
    folders = (judged.data_set / part for part in ("imagesTr", "labelsTr", "regionsTr"))
    images, labels, regions = folders
    evaluation = evaluate(
        judged.workspace,
        read_data_set(images, labels, task, regions=regions).labelled,
        judged.output / "statistics",
        studies=read_studies(judged.studies.folder, task).labelled,
        device="cpu",
        progress=lambda *step, **_: told.append(step[0]),
    )
    assert json.loads(json.dumps(evaluation.metrics)) == judged.metrics
    assert [scan.name for scan in evaluation.scans] == [scan["scan"] for scan in judged.metrics["by_scan"]]
    assert set(told) == {"evaluating", "out of fold"}


def test_scans_that_were_trained_on_judge_nothing(judged: Judged, comparison: Comparison, tmp_path: Path) -> None:
    trained = read_studies(judged.studies.folder, comparison.served.task).labelled
    with pytest.raises(InputError, match="trained on the patients of all 4 labelled scans"):
        evaluate(judged.workspace, trained, tmp_path, device="cpu")
    assert not list(tmp_path.iterdir())
