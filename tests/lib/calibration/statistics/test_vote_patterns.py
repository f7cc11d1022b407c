import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lib.calibration.statistics import vote_patterns
from lib.calibration.statistics.vote_patterns import PatternCounts, count_patterns, vote_codes


def counts_by_loop(segmentations, label, class_count, region=None):
    members = len(segmentations)
    voxels = np.zeros((class_count, 2**members), np.int64)
    foreground = np.zeros_like(voxels)
    for place in itertools.product(*(range(n) for n in label.shape)):
        if region is not None and not region[place]:
            continue
        for c in range(1, class_count + 1):
            pattern = sum(2**k for k in range(members) if segmentations[(k, *place)] == c)
            voxels[c - 1, pattern] += 1
            foreground[c - 1, pattern] += label[place] == c
    return voxels, foreground


@st.composite
def scans(draw, scan_count=1):
    """Members, classes and (segmentations, label, region) of scans of different grids."""
    members, classes = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    drawn = []
    for _ in range(scan_count):
        grid = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
        indices = st.integers(0, classes)
        segmentations = draw(hnp.arrays(np.uint8, (members, *grid), elements=indices))
        label = draw(hnp.arrays(np.uint8, grid, elements=indices))
        region = draw(st.none() | hnp.arrays(np.bool_, grid))
        drawn.append((segmentations, label, region))
    return members, classes, drawn


def assert_same(counts, expected):
    np.testing.assert_array_equal(counts.voxels, expected.voxels)
    np.testing.assert_array_equal(counts.foreground, expected.foreground)


@settings(max_examples=150, deadline=None)
@given(scans())
def test_counts_are_those_of_a_loop_over_voxels(drawn):
    _, classes, [(segmentations, label, region)] = drawn
    counts = count_patterns(segmentations, label, class_count=classes, region=region)
    voxels, foreground = counts_by_loop(segmentations, label, classes, region)
    np.testing.assert_array_equal(counts.voxels, voxels)
    np.testing.assert_array_equal(counts.foreground, foreground)


@settings(max_examples=60, deadline=None)
@given(scans(scan_count=3))
def test_counts_of_scans_add_up_to_those_of_all_their_voxels(drawn):
    members, classes, parts = drawn
    total = PatternCounts.zeros(classes, members)
    for segmentations, label, region in parts:
        total = total + count_patterns(segmentations, label, class_count=classes, region=region)
    joined = count_patterns(
        np.concatenate([s.reshape(members, -1) for s, _, _ in parts], axis=1),
        np.concatenate([y.ravel() for _, y, _ in parts]),
        class_count=classes,
        region=np.concatenate([np.ones(y.size, bool) if r is None else r.ravel() for _, y, r in parts]),
    )
    assert_same(total, joined)


@settings(max_examples=60, deadline=None)
@given(scans())
def test_region_is_the_same_as_cutting_the_other_voxels_out(drawn):
    _, classes, [(segmentations, label, region)] = drawn
    region = np.ones(label.shape, bool) if region is None else region
    cut = count_patterns(segmentations[:, region], label[region], class_count=classes)
    assert_same(count_patterns(segmentations, label, class_count=classes, region=region), cut)


@pytest.mark.parametrize("members", [7, 11, 15])
def test_a_large_scan_in_several_chunks_matches_numpys_histogram(members):
    generator = np.random.default_rng(0)
    grid = (71, 80, 61)
    assert np.prod(grid) > vote_patterns._CHUNK
    label = (generator.random(grid) > 0.9).astype(np.uint8) + (generator.random(grid) > 0.95).astype(np.uint8)
    flips = generator.random((members, *grid)) > 0.9
    segmentations = np.where(flips, generator.integers(0, 3, flips.shape), label).astype(np.uint8)
    region = generator.random(grid) > 0.3
    counts = count_patterns(segmentations, label, class_count=2, region=region)
    weights = 2 ** np.arange(members)
    for c in (1, 2):
        codes = np.tensordot(weights, (segmentations == c).astype(np.int64), axes=1)[region]
        in_class = label[region] == c
        np.testing.assert_array_equal(counts.voxels[c - 1], np.bincount(codes, minlength=2**members))
        np.testing.assert_array_equal(counts.foreground[c - 1], np.bincount(codes[in_class], minlength=2**members))


def test_arrays_in_fortran_order_count_the_same():
    generator = np.random.default_rng(1)
    segmentations = generator.integers(0, 3, (3, 4, 5, 6)).astype(np.uint8)
    label = generator.integers(0, 3, (4, 5, 6)).astype(np.uint8)
    expected = count_patterns(segmentations, label, class_count=2)
    turned = count_patterns(np.asfortranarray(segmentations), np.asfortranarray(label), class_count=2)
    assert_same(turned, expected)


def test_inputs_are_left_as_they_were():
    generator = np.random.default_rng(2)
    segmentations = generator.integers(0, 2, (3, 50)).astype(np.uint8)
    label, region = segmentations[0].copy(), generator.random(50) > 0.5
    before = segmentations.copy(), label.copy(), region.copy()
    count_patterns(segmentations, label, class_count=1, region=region)
    for array, old in zip((segmentations, label, region), before, strict=True):
        np.testing.assert_array_equal(array, old)


def test_member_k_is_bit_k():
    segmentations = np.array([[0, 2, 1], [0, 0, 1], [2, 2, 0]], np.uint8)
    codes = vote_codes(segmentations, 2)
    assert codes.dtype == np.uint16
    assert codes.tolist() == [0b100, 0b101, 0b000]
    assert vote_codes(segmentations, 1).tolist() == [0b000, 0b000, 0b011]


def test_one_voxel_is_counted_once_per_class():
    counts = count_patterns(np.array([[2], [1]], np.uint8), np.array([2], np.uint8), class_count=2)
    assert counts.voxels.tolist() == [[0, 0, 1, 0], [0, 1, 0, 0]]
    assert counts.foreground.tolist() == [[0, 0, 0, 0], [0, 1, 0, 0]]


def test_empty_region_counts_nothing():
    label = np.ones((2, 3), np.uint8)
    counts = count_patterns(label[None], label, class_count=1, region=np.zeros((2, 3), bool))
    assert counts.voxels.tolist() == [[0, 0]]


def test_class_that_is_missing_has_only_the_empty_pattern():
    label = np.array([0, 1, 1, 0], np.uint8)
    counts = count_patterns(np.stack([label, label]), label, class_count=3)
    assert counts.voxels[2].tolist() == [4, 0, 0, 0]
    assert counts.foreground[2].tolist() == [0, 0, 0, 0]
    assert counts.foreground[0].tolist() == [0, 0, 0, 2]


def test_counts_survive_a_file(tmp_path):
    counts = count_patterns(np.array([[1, 0], [1, 1]], np.uint8), np.array([1, 0], np.uint8), class_count=1)
    np.savez(tmp_path / "counts.npz", **counts.to_arrays())
    with np.load(tmp_path / "counts.npz") as arrays:
        read = PatternCounts.from_arrays(arrays)
    assert_same(read, counts)
    assert (read.classes, read.members) == (1, 2)


MEMBERS = np.zeros((3, 2, 2), np.uint8)
LABEL = np.zeros((2, 2), np.uint8)


@pytest.mark.parametrize(
    ("segmentations", "label", "region", "error", "message"),
    [
        (MEMBERS.astype(np.int64), LABEL, None, TypeError, "segmentations are int64"),
        (MEMBERS, LABEL.astype(bool), None, TypeError, "label are bool"),
        (MEMBERS, LABEL[:1], None, ValueError, r"segmentations have shape \(3, 2, 2\).*\(members, 1, 2\)"),
        (MEMBERS[0], LABEL, None, ValueError, r"segmentations have shape \(2, 2\)"),
        (MEMBERS[:0], LABEL, None, ValueError, "0 members vote; there must be 1 to 15"),
        (np.zeros((16, 2, 2), np.uint8), LABEL, None, ValueError, "16 members vote"),
        (MEMBERS, LABEL, np.ones((2, 2), np.uint8), TypeError, "region is uint8"),
        (MEMBERS, LABEL, np.ones((4,), bool), ValueError, r"region has shape \(4,\)"),
        (MEMBERS, LABEL + np.uint8(3), None, ValueError, r"label holds class index 3; there are classes 0\.\.2"),
        (MEMBERS + np.uint8(7), LABEL, None, ValueError, r"segmentations hold class index 7; there are classes 0\.\.2"),
    ],
)
def test_refuses_what_does_not_fit(segmentations, label, region, error, message):
    with pytest.raises(error, match=message):
        count_patterns(segmentations, label, class_count=2, region=region)


def test_refuses_no_classes():
    with pytest.raises(ValueError, match="at least one foreground class"):
        count_patterns(MEMBERS, LABEL, class_count=0)


@pytest.mark.parametrize(
    ("voxels", "foreground", "message"),
    [
        (np.zeros((1, 4)), np.zeros((1, 4), np.int64), "voxels are float64"),
        (np.zeros((1, 4), np.int64), np.zeros(4, np.int64), r"foreground are int64 of shape \(4,\)"),
        (np.zeros((1, 4), np.int64), np.zeros((1, 8), np.int64), "give both the same"),
        (np.zeros((1, 3), np.int64), np.zeros((1, 3), np.int64), r"\(classes, 2\*\*members\)"),
        (np.zeros((1, 2), np.int64), np.ones((1, 2), np.int64), "between 0 and the voxels"),
        (np.ones((1, 2), np.int64), -np.ones((1, 2), np.int64), "between 0 and the voxels"),
    ],
)
def test_refuses_arrays_that_are_no_counts(voxels, foreground, message):
    with pytest.raises(ValueError, match=message):
        PatternCounts(voxels, foreground)


def test_refuses_to_add_counts_of_another_ensemble():
    with pytest.raises(ValueError, match="2 classes and 3 members cannot be added to counts of 1 classes and 3"):
        PatternCounts.zeros(2, 3) + PatternCounts.zeros(1, 3)


def test_refuses_a_file_without_counts():
    with pytest.raises(ValueError, match="pattern counts lack foreground"):
        PatternCounts.from_arrays({"voxels": np.zeros((1, 2), np.int64)})
