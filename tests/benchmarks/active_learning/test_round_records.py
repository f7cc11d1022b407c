"""Rounds on disk are whole or refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.active_learning.choice import Strategy
from benchmarks.active_learning.round_records import RoundRecords
from lib.errors import InputError
from tests.benchmarks.active_learning.made_up_rounds import a_round


def test_a_round_is_read_as_it_was_written(tmp_path: Path) -> None:
    records, one = RoundRecords(tmp_path), a_round(1, Strategy.ENTROPY, 2)
    assert not records.has(1, Strategy.ENTROPY, 2)
    records.write(one)
    assert records.has(1, Strategy.ENTROPY, 2)
    assert records.read(1, Strategy.ENTROPY, 2) == one


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: data.replace(b"seconds", b"hours")]
)
def test_a_damaged_round_is_named(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    records = RoundRecords(tmp_path)
    records.write(a_round(0, Strategy.RANDOM, 1))
    (file,) = tmp_path.rglob("round_1.json")
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(InputError, match=r"round_1\.json: cannot be read as a round"):
        records.read(0, Strategy.RANDOM, 1)
