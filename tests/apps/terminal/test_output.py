import pytest

from apps.calibrated_ensemble.terminal.output import messages, print_table

NAMES = ("scan [b]", "[/x] :smile: [bold]y", "50% [red]")


def test_names_with_brackets_and_colons_are_shown_as_they_are_in_tables(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Of [b] :x:", ("scan", "class [i]"), [(name, "1.0") for name in NAMES])
    shown = capsys.readouterr().out
    for text in (*NAMES, "Of [b] :x:", "class [i]"):
        assert text in shown


def test_names_are_shown_as_they_are_in_messages(capsys: pytest.CaptureFixture[str]) -> None:
    for name in NAMES:
        messages.print(f"{name}: could not be scored", soft_wrap=True)
    assert capsys.readouterr().err.splitlines() == [f"{name}: could not be scored" for name in NAMES]
