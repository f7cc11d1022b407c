from scoring.strategies.registry import RANDOM, STRATEGIES, query_strategies


def test_names_are_those_that_clients_know_the_default_first() -> None:
    assert STRATEGIES == ("least_certain", "random")
    assert RANDOM in STRATEGIES


def test_the_order_for_scans_without_a_priority_needs_no_model() -> None:
    assert not query_strategies()[RANDOM].needs_model


def test_names_fit_the_column_of_the_database() -> None:
    assert all(0 < len(name) <= 32 for name in STRATEGIES)
