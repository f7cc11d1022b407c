from lib.progress import JointProgress


def test_parts_add_up_in_whatever_order_they_report() -> None:
    told: list[tuple[str, int, int, dict[str, float]]] = []
    joint = JointProgress(lambda *reported, **figures: told.append((*reported, figures)), done=10, total=20)
    first, second = joint.part(), joint.part()
    first("training", 2, 4, loss=0.5)
    second("training", 3, 6)
    first("training", 4, 4)
    second("training", 6, 6)
    assert told == [
        ("training", 12, 20, {"loss": 0.5}),
        ("training", 15, 20, {}),
        ("training", 17, 20, {}),
        ("training", 20, 20, {}),
    ]
