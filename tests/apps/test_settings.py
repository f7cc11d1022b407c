from pathlib import Path

import pytest

from apps.calibrated_ensemble.settings import open_workspace, read_app_settings, workspace_folder
from lib.errors import InputError, StorageError


def test_conf_wins_over_the_environment_and_the_environment_over_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALIBRATED_ENSEMBLE_TASK", "glioma")
    monkeypatch.setenv("CALIBRATED_ENSEMBLE_LEASE_MINUTES", "15")
    monkeypatch.setenv("CALIBRATED_ENSEMBLE_PRESET", "")
    settings = read_app_settings({"task": "phantom"})
    assert (settings.task, settings.lease_minutes, settings.preset) == ("phantom", 15.0, None)


def test_other_variables_with_our_prefix_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALIBRATED_ENSEMBLE_DATA", "/somewhere")
    assert read_app_settings({}).workspace is None


def test_a_key_of_monai_label_itself_is_let_through() -> None:
    assert read_app_settings({"server_mode": "true"}) == read_app_settings({})


@pytest.mark.parametrize(
    ("conf", "parts"),
    [
        ({"tasc": "glioma"}, ("--conf tasc", "unknown", "task")),
        ({"lease_minutes": "0"}, ("--conf lease_minutes", "'0'", "greater than 0")),
        ({"lease_minutes": "inf"}, ("--conf lease_minutes", "finite")),
        ({"preset": "huge"}, ("--conf preset", "'huge'", "paper")),
        ({"allowed_hosts": "a, http://b"}, ("--conf allowed_hosts", "'http://b'", "without port")),
        ({"allowed_hosts": "a:8000"}, ("--conf allowed_hosts", "'a:8000'", "commas")),
        ({"allowed_origins": "*"}, ("--conf allowed_origins", "'*'", "https://")),
        ({"allowed_origins": "https://a/viewer"}, ("--conf allowed_origins", "'https://a/viewer'", "no origin")),
        ({"allowed_hosts": "*"}, ("--conf allowed_hosts", "'*'", "names")),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line(conf: dict[str, str], parts: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        read_app_settings(conf)
    assert all(part in str(caught.value) for part in parts)
    assert "\n" not in str(caught.value)


def test_names_of_the_server_are_parted_by_commas() -> None:
    assert read_app_settings({"allowed_hosts": " a.example, ,*.b.example"}).known_hosts == ["a.example", "*.b.example"]
    assert read_app_settings({"allowed_origins": "http://a:3000/, https://b"}).known_origins == [
        "http://a:3000/",
        "https://b",
    ]
    assert read_app_settings({}).known_hosts == read_app_settings({}).known_origins == []


def test_a_wrong_variable_is_named_as_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALIBRATED_ENSEMBLE_LEASE_MINUTES", "soon")
    with pytest.raises(InputError, match="CALIBRATED_ENSEMBLE_LEASE_MINUTES: is 'soon'"):
        read_app_settings({})


def test_the_workspace_is_inside_the_studies_unless_it_is_given(tmp_path: Path) -> None:
    assert workspace_folder(read_app_settings({}), str(tmp_path)) == tmp_path / ".calibrated_ensemble"
    given = read_app_settings({"workspace": str(tmp_path / "elsewhere")})
    assert workspace_folder(given, str(tmp_path)) == tmp_path / "elsewhere"


def test_each_server_of_studies_has_a_workspace_of_its_own() -> None:
    settings = read_app_settings({})
    first = workspace_folder(settings, "http://localhost:8042/dicom-web")
    assert first == Path.home() / ".calibrated_ensemble" / "localhost_8042_dicom-web"
    assert workspace_folder(settings, "http://localhost:8043/dicom-web") != first


def test_a_workspace_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = read_app_settings({"workspace": str(tmp_path / "file" / "workspace")})
    with pytest.raises(StorageError, match="workspace: cannot be made"):
        open_workspace(settings, str(tmp_path))
