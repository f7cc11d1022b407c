"""What is segmented: the settings of a task."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "labels": ["class_indices", "label_values"],
        "presets": ["PRESETS", "NetworkSettings", "TrainingSettings"],
        "task": ["Modality", "Task"],
        "task_file": ["read_task"],
    },
)
