"""Which experiments there are."""

from dataclasses import dataclass

CROPS_HELD_OUT = 60


@dataclass(frozen=True)
class Experiment:
    """A model and the scans that judge it.

    Attributes:
        name: of its folder.
        data_set: folder of the data, with `imagesTr` and `labelsTr`; "" for made-up scans.
        task: name of a task that comes with the app.
        labelled: scans to train on; all when None, which are then judged in cross-validation, each by the
            members that have not seen it.
        seed: of the order in which scans are labelled, and of training.
        held_out: scans that no model of the data set may be trained on; 0: those that are left over.
        phantoms: scans to make up.
    """

    name: str
    data_set: str
    task: str
    labelled: int | None
    seed: int
    held_out: int = 0
    phantoms: int = 0


EXPERIMENTS = (
    Experiment("phantoms_16", "", "phantom", 16, 0, phantoms=56),
    Experiment("glioma_24", "glioma", "glioma", 24, 0),
    Experiment("hippocampus_120_seed_0", "hippocampus", "hippocampus", 120, 0, CROPS_HELD_OUT),
    Experiment("hippocampus_24_seed_0", "hippocampus", "hippocampus", 24, 0, CROPS_HELD_OUT),
    Experiment("glioma_cross_validation", "glioma", "glioma", None, 0),
    Experiment("hippocampus_120_seed_1", "hippocampus", "hippocampus", 120, 1, CROPS_HELD_OUT),
    Experiment("hippocampus_24_seed_1", "hippocampus", "hippocampus", 24, 1, CROPS_HELD_OUT),
)
