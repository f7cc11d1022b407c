"""All kinds by their stored names."""

from lib.models.kinds.calibrated import Calibrated
from lib.models.kinds.deep_ensemble import DeepEnsemble
from lib.models.kinds.kind import EnsembleKind
from lib.models.kinds.mc_dropout import MonteCarloDropout
from lib.models.kinds.method import Method

CALIBRATED: EnsembleKind = Calibrated()
DEEP_ENSEMBLE: EnsembleKind = DeepEnsemble()
MC_DROPOUT: EnsembleKind = MonteCarloDropout()

KINDS: dict[Method, EnsembleKind] = {kind.name: kind for kind in (CALIBRATED, DEEP_ENSEMBLE, MC_DROPOUT)}
