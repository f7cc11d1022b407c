"""The log, with what is sent by somebody who knows how its lines look."""

import io
import logging
from collections.abc import Iterator

import pytest

from apps.calibrated_ensemble.log_lines import write_log_in_lines

FORGED = "[2026-01-01 00:00:00,000] [INFO] all labels were removed"


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    before = logging.getLogRecordFactory()
    text = io.StringIO()
    logger = logging.Logger("a stock one")
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter("[%(asctime)s] [%(levelname)s] %(message)s"))
    logger.addHandler(handler)
    write_log_in_lines()
    yield logger, text
    logging.setLogRecordFactory(before)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\u2028", "\x85", "\x0b"])
def test_what_was_sent_makes_no_line_of_its_own(log: tuple[logging.Logger, io.StringIO], end: str) -> None:
    logger, text = log
    logger.info("Removing Image: %s", f"x{end}{FORGED}")
    logger.info(f"Removing Image: x{end}{FORGED}")
    lines = text.getvalue().splitlines()
    assert len(lines) == 2
    assert all("Removing Image: x\\" in line and FORGED in line for line in lines)


def test_a_traceback_is_there_and_none_of_its_lines_looks_like_a_record(
    log: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, text = log
    try:
        raise ValueError(f"x\n{FORGED}")
    except ValueError:
        logger.exception("failed")
    first, *others = text.getvalue().splitlines()
    assert first.endswith("failed")
    assert any("raise ValueError" in line for line in others)
    assert any(FORGED in line for line in others)
    assert all(line.startswith("    ") for line in others)


def test_half_a_character_is_written_as_what_it_is(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, text = log
    logger.info("client %s", "M\ud800")
    assert text.getvalue().encode().endswith(b"client M\\ud800\n")
