from typing import Any

import pytest

from apps.calibrated_ensemble.annotator import annotator_of


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ({"client_id": "Dr. Ann (1f)", "user": "ann"}, "Dr. Ann (1f)"),
        ({"user": "ann"}, "ann"),
        ({"client_id": "", "user": "ann"}, "ann"),
        ({"client_id": None}, ""),
        ({"client_id": 7}, "7"),
        ({}, ""),
    ],
)
def test_a_client_is_who_it_says_it_is_else_the_user_of_the_server(sent: dict[str, Any], name: str) -> None:
    assert annotator_of(sent) == name
