"""scikit-learn's interface: `MLPClassifier` and `MLPRegressor`, which need the extra `sklearn`; `import core` doesn't.

>>> from core.estimators import MLPClassifier
>>> MLPClassifier(hidden_layer_sizes=(8,), max_iter=500)
MLPClassifier(hidden_layer_sizes=(8,), max_iter=500)
"""

from __future__ import annotations

import importlib

try:
    importlib.import_module("sklearn")
except ImportError as error:
    raise ImportError(
        f"core.estimators needs scikit-learn, which can't be imported ({error}); "
        "pip install 'deltabar[sklearn]' installs it"
    ) from error

from core.estimators.classifier import MLPClassifier
from core.estimators.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
