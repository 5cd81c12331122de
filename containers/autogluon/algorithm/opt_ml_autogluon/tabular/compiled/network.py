"""AutoGluon's network of PyTorch from a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from opt_ml_autogluon.tabular.compiled.encoding import column_transformer
from opt_ml_autogluon.tabular.compiled.layout import Layout, Matrix, Unsupported


class Network:
    """Columns as they are or encoded, and categories to embed."""

    def __init__(self, model: Any, layout: Layout) -> None:
        if next(model.model.parameters()).device.type != "cpu":
            raise Unsupported("a network on a GPU")
        self._network = model.model
        dropped = model.features_to_drop or ()
        self._places = [at for at, feature in enumerate(layout.features) if feature.name not in dropped]
        self._encode = column_transformer(model.processor, layout.part(self._places))
        self._vector: list[int] = []
        self._embedded: list[int] = []
        for name, kind in model.feature_type_map.items():
            (self._vector if kind == "vector" else self._embedded).extend(model.feature_arraycol_map[name])

    def __call__(self, matrix: Matrix) -> NDArray[Any]:
        """The predictions as AutoGluon's `_predict_proba` gives them."""
        encoded = self._encode(matrix[:, self._places])
        batch: list[Any] = []
        if self._vector:
            with np.errstate(over="ignore"):  # a number that no float32 can hold is an infinite one
                batch.append(torch.from_numpy(encoded[:, self._vector].astype(np.float32)))
        if self._embedded:
            codes = torch.from_numpy(encoded[:, self._embedded].astype(np.int64))
            batch.append(list(codes.unbind(dim=1)))
        found: NDArray[Any] = self._network.predict(batch)
        return found
