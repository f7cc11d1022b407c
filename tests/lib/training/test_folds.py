import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.errors import InputError
from lib.preprocessing.prepared_scans import PreparedScan
from lib.training.folds import assign_folds, split_folds

names = st.lists(st.text(max_size=4), unique=True, max_size=20)


def sizes(folds, fold_count):
    counted = Counter(folds.values())
    return [counted[fold] for fold in range(fold_count)]


def patients_named(count, prefix="p"):
    return [f"{prefix}{index:03d}" for index in range(count)]


@settings(max_examples=200, deadline=None)
@given(
    fold_count=st.integers(2, 6),
    additions=st.lists(names, min_size=1, max_size=6),
    seed=st.integers(0, 3),
)
def test_additions_move_nobody_and_keep_the_folds_within_one_patient(fold_count, additions, seed):
    patients, folds = set(patients_named(fold_count)), {}
    for new in [[], *additions]:
        patients |= set(new)
        after = assign_folds(sorted(patients), fold_count=fold_count, previous=folds, seed=seed)
        assert set(after) == patients
        assert {patient: after[patient] for patient in folds} == folds
        assert max(sizes(after, fold_count)) - min(sizes(after, fold_count)) <= 1
        folds = after


@settings(max_examples=100, deadline=None)
@given(
    patients=st.lists(st.text(max_size=3), min_size=3, max_size=30),
    previous=st.dictionaries(st.text(max_size=3), st.integers(-1, 7)),
    seed=st.integers(0, 3),
    shuffle=st.integers(0, 10**6),
)
def test_order_and_repetition_of_the_list_do_not_matter(patients, previous, seed, shuffle):
    patients = [*patients, "a", "b", "c"]
    turned = patients + patients[:2]
    random.Random(shuffle).shuffle(turned)
    folds = assign_folds(patients, fold_count=3, previous=previous, seed=seed)
    shuffled_previous = dict(sorted(previous.items(), reverse=True))
    again = assign_folds(turned, fold_count=3, previous=shuffled_previous, seed=seed)
    assert list(again.items()) == list(folds.items())
    assert set(folds) == set(patients)


@settings(max_examples=150, deadline=None)
@given(
    before=st.integers(2, 8),
    after=st.integers(2, 8),
    kept=st.integers(0, 20),
    new=st.integers(0, 20),
    uneven=st.lists(st.integers(0, 7), min_size=20, max_size=20),
)
def test_every_fold_holds_a_patient_whatever_was_before(before, after, kept, new, uneven):
    previous = {patient: uneven[index] % before for index, patient in enumerate(patients_named(kept))}
    patients = [*previous, *patients_named(new, "new"), *patients_named(after, "more")]
    folds = assign_folds(patients, fold_count=after, previous=previous)
    assert min(sizes(folds, after)) >= 1


def test_a_repeated_call_changes_nothing():
    patients = patients_named(11)
    folds = assign_folds(patients, fold_count=3, previous={})
    assert assign_folds(patients, fold_count=3, previous=folds) == folds


def test_seed_changes_the_assignment():
    patients = patients_named(30)
    assert assign_folds(patients, fold_count=3, previous={}) != assign_folds(
        patients, fold_count=3, previous={}, seed=1
    )


def test_neighbours_in_the_list_are_spread_by_chance_not_in_turn():
    patients = patients_named(60)
    folds = [assign_folds(patients, fold_count=3, previous={})[patient] for patient in patients]
    assert folds != [index % 3 for index in range(60)]
    assert folds != sorted(folds)


def test_patient_who_left_makes_room_for_a_new_one():
    patients = patients_named(9)
    folds = assign_folds(patients, fold_count=3, previous={})
    gone = patients[4]
    remaining = [patient for patient in patients if patient != gone]
    assert assign_folds(remaining, fold_count=3, previous=folds) == {p: f for p, f in folds.items() if p != gone}
    assert assign_folds([*remaining, "new"], fold_count=3, previous=folds)["new"] == folds[gone]


def test_uneven_folds_move_nobody_while_each_holds_a_patient():
    previous = {**dict.fromkeys(patients_named(6), 0), "x": 1, "y": 2}
    assert assign_folds(list(previous), fold_count=3, previous=previous) == previous


def test_raised_fold_count_moves_as_few_patients_as_needed():
    previous = assign_folds(patients_named(12), fold_count=3, previous={})
    folds = assign_folds(list(previous), fold_count=4, previous=previous)
    assert sizes(folds, 4) == [3, 3, 3, 3]
    assert sum(folds[patient] != fold for patient, fold in previous.items()) == 3


def test_raised_fold_count_is_even_when_new_patients_come_at_once():
    previous = assign_folds(patients_named(30), fold_count=3, previous={})
    folds = assign_folds([*previous, "new1", "new2"], fold_count=5, previous=previous)
    assert sorted(sizes(folds, 5)) == [6, 6, 6, 7, 7]


def test_lowered_fold_count_moves_only_the_patients_of_the_folds_that_went():
    previous = assign_folds(patients_named(12), fold_count=4, previous={})
    folds = assign_folds(list(previous), fold_count=3, previous=previous)
    assert sizes(folds, 3) == [4, 4, 4]
    assert all(folds[patient] == fold for patient, fold in previous.items() if fold < 3)


def test_two_of_the_first_patients_in_one_fold_are_parted_when_a_fold_would_be_empty():
    folds = assign_folds(["a", "b", "c"], fold_count=3, previous={"a": 0, "b": 0})
    assert sorted(folds.values()) == [0, 1, 2]


@pytest.mark.parametrize(
    ("patients", "message"),
    [
        ([], "labels: come from 0 patients; 3 folds need at least 3, so label scans of 3 more or lower fold_count"),
        (["a", "a", "a"], "come from 1 patient; 3 folds need at least 3, so label scans of 2 more"),
        (["a", "b"], "come from 2 patients; .* label scans of 1 more"),
    ],
)
def test_refuses_fewer_patients_than_folds(patients, message):
    with pytest.raises(InputError, match=message):
        assign_folds(patients, fold_count=3, previous={})


@pytest.mark.parametrize("fold_count", [1, 0, -2])
def test_refuses_fewer_than_two_folds(fold_count):
    with pytest.raises(InputError, match=f"fold_count: is {fold_count}; cross-validation needs at least 2"):
        assign_folds(["a", "b"], fold_count=fold_count, previous={})


def test_names_from_a_file_system_without_unicode_are_taken():
    names_with_raw_bytes = [b"scan_\xff".decode(errors="surrogateescape"), "b", "c"]
    assert sorted(assign_folds(names_with_raw_bytes, fold_count=3, previous={}).values()) == [0, 1, 2]


@given(
    st.lists(st.tuples(st.sampled_from("pqrs"), st.integers(0, 99)), min_size=1, max_size=12, unique=True), st.randoms()
)
def test_every_scan_is_judged_once_by_members_that_saw_no_scan_of_its_patient(
    named: list[tuple[str, int]], random: Any
) -> None:
    scans = [PreparedScan(f"{p}_{n}", patient=p, digest=f"{p}{n}", folder=Path()) for p, n in named]
    assigned = {"p": 0, "q": 1, "r": 2, "s": 1}
    folds = split_folds(scans, assigned, 3)
    assert [fold.number for fold in folds] == [0, 1, 2]
    for fold in folds:
        assert {scan.patient for scan in fold.training}.isdisjoint(scan.patient for scan in fold.validation)
        assert {*fold.training, *fold.validation} == set(scans)
    judged = [scan.name for fold in folds for scan in fold.validation]
    assert sorted(judged) == sorted(scan.name for scan in scans)
    random.shuffle(scans)
    assert split_folds(scans, assigned, 3) == folds
