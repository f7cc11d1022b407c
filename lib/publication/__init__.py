"""Which generations may be served: the gate before publishing, what is held back, and what is kept."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "fold_calibration": ["calibration_error_by_scan"],
        "gate": ["GateReport", "GateTolerance", "judge_candidate"],
        "held_back": ["HeldBack", "hold_back", "read_held_back", "release"],
        "listing": ["ListedGeneration", "Standing", "find_generation", "list_generations"],
        "retention": ["Pruning", "prune"],
        "serving": ["roll_back", "serve_generation"],
    },
)
