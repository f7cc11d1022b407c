import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression, lsq_linear, minimize
from scipy.special import expit
from scipy.stats import norm

from lib.calibration.settings import Solver
from lib.calibration.statistics.vote_patterns import PatternCounts, count_patterns
from lib.calibration.votes import combine_votes, fit_coefficients

# The paper's example in one dimension: background N(0, 1), foreground N(2, 1), of which there is less.
PREVALENCE = 0.3
LOSS_WEIGHTS = np.arange(-3.0, 4.0)
# The posterior is sigma(2 x - 2 + logit(prevalence)); the member of loss weight w votes where it is above sigma(w).
THRESHOLDS = (LOSS_WEIGHTS + 2 - np.log(PREVALENCE / (1 - PREVALENCE))) / 2


def posterior(x):
    foreground, background = PREVALENCE * norm.pdf(x, 2, 1), (1 - PREVALENCE) * norm.pdf(x, 0, 1)
    return foreground / (foreground + background)


def interval_masses():
    """Probability of foreground and of anything between neighbouring thresholds, shape (7,)."""
    edges = np.append(THRESHOLDS, np.inf)
    foreground = PREVALENCE * np.diff(norm.cdf(edges, 2, 1))
    return foreground, foreground + (1 - PREVALENCE) * np.diff(norm.cdf(edges, 0, 1))


def votes_of(members):
    return np.arange(2**members)[:, None] >> np.arange(members) & 1


def counts_of(voxels, foreground):
    return PatternCounts(np.atleast_2d(np.asarray(voxels, np.int64)), np.atleast_2d(np.asarray(foreground, np.int64)))


def nested_counts(voxels, foreground):
    """Counts in which the members vote one after the other: entry m belongs to m + 1 votes."""
    members = len(voxels)
    n, g = np.zeros((2, 2**members), np.int64)
    n[2 ** np.arange(1, members + 1) - 1] = voxels
    g[2 ** np.arange(1, members + 1) - 1] = foreground
    return counts_of(n, g)


def random_counts(seed, members, largest=5000):
    generator = np.random.default_rng(seed)
    voxels = generator.integers(1, largest, 2**members)
    return counts_of(voxels, generator.binomial(voxels, generator.random(2**members)))


def objective(counts, a):
    votes, n, g = votes_of(counts.members)[1:], counts.voxels[0, 1:], counts.foreground[0, 1:]
    return float(((n * (votes @ a) - g) ** 2).sum())


@st.composite
def any_counts(draw):
    """Counts of one class with many or few patterns and voxels from 0 to a billion."""
    members = draw(st.integers(1, 5))
    size = 2**members
    exponents = draw(st.lists(st.sampled_from([-1, 0, 1, 3, 6, 9]), min_size=size, max_size=size))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    voxels = np.floor(10.0 ** (np.array(exponents) - generator.random(size) * 0.3)).astype(np.int64)
    share = draw(st.sampled_from(["random", "none", "all", "exact"]))
    if share == "exact":
        ratio = np.clip(votes_of(members) @ generator.dirichlet(np.ones(members + 1))[:members], 0, 1)
    else:
        ratio = {"random": generator.random(size), "none": np.zeros(size), "all": np.ones(size)}[share]
    return counts_of(voxels, np.minimum(np.rint(voxels * ratio).astype(np.int64), voxels))


def test_two_gaussians_in_expectation_give_the_posterior_of_each_interval():
    foreground, total = interval_masses()
    voxels = 10**9
    coefficients = fit_coefficients(nested_counts(np.rint(total * voxels), np.rint(foreground * voxels)))
    np.testing.assert_allclose(np.cumsum(coefficients[0]), foreground / total, atol=1e-6)


@pytest.mark.parametrize("solver", list(Solver))
def test_two_gaussians_sampled_give_a_heatmap_that_follows_the_true_posterior(solver):
    generator = np.random.default_rng(0)

    def draw(size):
        label = (generator.random(size) < PREVALENCE).astype(np.uint8)
        x = generator.standard_normal(size) + 2 * label
        return x, label, (x > THRESHOLDS[:, None]).astype(np.uint8)

    total = PatternCounts.zeros(1, 7)
    for _ in range(5):
        _, label, segmentations = draw(200_000)
        total = total + count_patterns(segmentations, label, class_count=1)
    x, _, segmentations = draw(20_000)
    h = combine_votes(segmentations[None], fit_coefficients(total, solver))[0]
    foreground, mass = interval_masses()
    voted = x > THRESHOLDS[0]
    interval = np.searchsorted(THRESHOLDS, x[voted]) - 1
    np.testing.assert_allclose(h[voted], (foreground / mass)[interval], atol=0.01)
    # Neighbouring members are 1 apart in logit, so that h is within that of the posterior itself.
    true = posterior(x[voted])
    inside = interval < 6
    assert (h[voted][inside] > expit(LOSS_WEIGHTS)[interval[inside]] - 0.01).all()
    assert (h[voted][inside] < expit(LOSS_WEIGHTS + 1)[interval[inside]] + 0.01).all()
    assert abs(h[voted] - true).mean() < 0.05
    assert not h[~voted].any()


@settings(max_examples=150, deadline=None)
@given(any_counts())
def test_nonnegative_fit_gives_a_probability_for_every_pattern(counts):
    (a,) = fit_coefficients(counts)
    assert (a >= 0).all()
    assert a.sum() <= 1 + 1e-12


@settings(max_examples=150, deadline=None)
@given(any_counts())
def test_nonnegative_fit_is_optimal(counts):
    """Over the simplex (slack first) no direction lowers the objective: gradient . a = smallest gradient."""
    (a,) = fit_coefficients(counts)
    n, g = counts.voxels[0, 1:].astype(float), counts.foreground[0, 1:].astype(float)
    scale = max(n.max(), 1.0)
    n, g, votes = n / scale, g / scale, votes_of(counts.members)[1:]
    gradient = np.append(0.0, (n[:, None] * votes).T @ (n * (votes @ a) - g))
    gap = gradient @ np.append(1 - a.sum(), a) - gradient.min()
    assert gap <= 1e-10 * max((g**2).sum(), 1e-30)


@pytest.mark.parametrize("members", [2, 4, 7])
@pytest.mark.parametrize("seed", range(4))
def test_nonnegative_fit_is_that_of_scipys_general_optimiser(seed, members):
    counts = random_counts(seed, members)
    (a,) = fit_coefficients(counts)
    scale = float((counts.foreground[0, 1:] ** 2).sum())
    reference = minimize(
        lambda x: objective(counts, x) / scale,
        np.full(members, 0.5 / members),
        method="SLSQP",
        bounds=[(0, 1)] * members,
        constraints={"type": "ineq", "fun": lambda x: 1 - x.sum()},
        options={"ftol": 1e-15, "maxiter": 500},
    )
    np.testing.assert_allclose(a, reference.x, atol=1e-4)
    assert objective(counts, a) / scale <= reference.fun + 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_nonnegative_fit_is_scipys_bounded_one_where_the_sum_stays_below_one(seed):
    members, generator = 5, np.random.default_rng(seed)
    voxels = generator.integers(1, 5000, 2**members)
    counts = counts_of(voxels, generator.binomial(voxels, 0.3 * generator.random(2**members)))
    n, g = counts.voxels[0, 1:], counts.foreground[0, 1:]
    reference = lsq_linear(n[:, None] * votes_of(members)[1:], g, bounds=(0, 1), tol=1e-14)
    assert reference.x.sum() < 1
    np.testing.assert_allclose(fit_coefficients(counts)[0], reference.x, atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_nested_votes_give_the_weighted_isotonic_regression(seed):
    generator = np.random.default_rng(seed)
    voxels = (10 ** generator.uniform(2, 7, 7)).astype(np.int64)
    foreground = (voxels * np.clip(np.linspace(0.1, 0.9, 7) + generator.normal(0, 0.2, 7), 0, 1)).astype(np.int64)
    rising = isotonic_regression(foreground / voxels, weights=voxels.astype(float) ** 2).x
    fitted = np.cumsum(fit_coefficients(nested_counts(voxels, foreground))[0])
    np.testing.assert_allclose(fitted, rising, atol=1e-5)


@pytest.mark.parametrize("members", [2, 4, 7])
def test_unconstrained_fit_is_numpys_least_squares(members):
    counts = random_counts(9, members)
    n, g = counts.voxels[0, 1:].astype(float), counts.foreground[0, 1:].astype(float)
    reference = np.linalg.lstsq(n[:, None] * votes_of(members)[1:], g, rcond=None)[0]
    np.testing.assert_allclose(fit_coefficients(counts, Solver.UNCONSTRAINED)[0], reference, rtol=1e-8, atol=1e-10)


def test_unconstrained_fit_may_leave_zero_to_one_where_the_other_does_not():
    counts = nested_counts([1000, 1000, 1000], [900, 100, 950])
    assert fit_coefficients(counts, Solver.UNCONSTRAINED)[0].min() < 0
    (a,) = fit_coefficients(counts)
    assert (a >= 0).all()
    assert objective(counts, a) > 0


@pytest.mark.parametrize("solver", list(Solver))
def test_rare_patterns_hardly_move_the_fit(solver):
    counts = nested_counts([200_000, 150_000, 400_000], [20_000, 75_000, 380_000])
    rare_voxels, rare_foreground = np.zeros((2, 8), np.int64)
    rare_voxels[[2, 4, 5, 6]] = [300, 200, 250, 100]
    rare_foreground[[2, 4, 5, 6]] = [300, 0, 250, 0]
    a = fit_coefficients(counts + counts_of(rare_voxels, rare_foreground), solver)
    np.testing.assert_allclose(np.cumsum(a[0]), [0.1, 0.5, 0.95], atol=1e-3)


@pytest.mark.parametrize("solver", list(Solver))
def test_pattern_without_votes_does_not_matter(solver):
    counts = random_counts(3, 4)
    background = np.zeros(16, np.int64)
    background[0] = 10**9
    more = counts + counts_of(background, background // 10)
    np.testing.assert_array_equal(fit_coefficients(more, solver), fit_coefficients(counts, solver))


@pytest.mark.parametrize("solver", list(Solver))
def test_number_of_voxels_does_not_matter(solver):
    counts = random_counts(4, 5)
    larger = PatternCounts(counts.voxels * 10**6, counts.foreground * 10**6)
    np.testing.assert_allclose(fit_coefficients(larger, solver), fit_coefficients(counts, solver), atol=1e-9)


@pytest.mark.parametrize("solver", list(Solver))
def test_class_that_was_never_voted_for_has_zero_coefficients_and_leaves_the_other_alone(solver):
    voted = random_counts(5, 3)
    silent = np.array([10**6, *[0] * 7])
    both = PatternCounts(np.vstack([silent, voted.voxels]), np.vstack([silent // 100, voted.foreground]))
    coefficients = fit_coefficients(both, solver)
    assert coefficients[0].tolist() == [0, 0, 0]
    np.testing.assert_array_equal(coefficients[1], fit_coefficients(voted, solver)[0])


@pytest.mark.parametrize("solver", list(Solver))
def test_members_that_voted_alike_share_evenly_and_a_silent_one_gets_nothing(solver):
    voxels, foreground = np.zeros((2, 16), np.int64)
    voxels[[0b0001, 0b0111]], foreground[[0b0001, 0b0111]] = [1000, 3000], [200, 2400]
    (a,) = fit_coefficients(counts_of(voxels, foreground), solver)
    np.testing.assert_allclose(a, [0.2, 0.3, 0.3, 0.0], atol=1e-9)


def test_votes_that_are_always_wrong_or_always_right_give_zero_or_one():
    assert fit_coefficients(nested_counts([50, 70], [0, 0])).tolist() == [[0, 0]]
    np.testing.assert_allclose(fit_coefficients(nested_counts([50, 70], [50, 70])), [[1, 0]], atol=1e-12)


def test_one_voxel_is_enough():
    np.testing.assert_allclose(fit_coefficients(nested_counts([0, 1], [0, 1])), [[0.5, 0.5]], atol=1e-12)


def test_no_scan_at_all_gives_zero():
    assert fit_coefficients(PatternCounts.zeros(2, 7)).tolist() == [[0.0] * 7] * 2


@pytest.mark.parametrize("solver", list(Solver))
def test_fit_is_reproducible(solver):
    counts = random_counts(6, 7)
    np.testing.assert_array_equal(fit_coefficients(counts, solver), fit_coefficients(counts, solver))
