from pathlib import Path

import pytest

from lib.datasets.label_tags import check_tag, labels_folder
from lib.errors import InputError


@pytest.mark.parametrize("tag", ["../../elsewhere", "", "a/b", ".hidden", "-a", "a b", "a\n"])
def test_a_tag_that_is_no_name_of_a_folder_is_refused(tag: str) -> None:
    with pytest.raises(InputError, match="give letters, digits"):
        check_tag(tag)


@pytest.mark.parametrize("tag", ["final", "original", "draft-2", "left_kidney"])
def test_other_tags_are_folders_of_labels(tag: str) -> None:
    check_tag(tag)
    assert labels_folder(Path("studies"), tag) == Path("studies/labels") / tag
