"""A compiled ensemble when it serves: no framework is imported here, only NumPy and ONNX Runtime.

Few rows go through the graph. Many rows go through XGBoost's predictor, which is called by its C interface
and takes rows through a tree 64 at a time; its Python package stays out.
"""

from __future__ import annotations

import ctypes
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from opt_ml_ensemble.schema import Matrix

GRAPH, PREPARE, TREES, HEAD = "model.onnx", "prepare.onnx", "trees.ubj", "head.onnx"

_PREDICT = (
    b'{"type": 1, "training": false, "iteration_begin": 0, "iteration_end": 0, "strict_shape": true, '
    b'"cache_id": 0, "missing": NaN}'
)


class Evaluator(Protocol):
    """Predictions for rows, as of `Bundle.predict`."""

    def __call__(self, matrix: Matrix) -> NDArray[np.float64]:
        """Shape (rows,), or (rows, classes) of probabilities."""


class Graph:
    """The whole ensemble in ONNX Runtime, on the thread of the caller.

    Args:
        path: of the graph.

    Raises:
        Exception: whatever ONNX Runtime raises of a file that is missing or broken.
    """

    def __init__(self, path: Path) -> None:
        self._session = _session(path)

    def __call__(self, matrix: Matrix) -> NDArray[np.float64]:
        """See `Evaluator`."""
        found: NDArray[np.float64] = self._session.run(None, {"rows": matrix})[0]
        return found


class TreeLibrary:
    """The trees in XGBoost's predictor, what is around them in ONNX Runtime.

    Args:
        directory: with TREES and HEAD, and PREPARE where there are derived columns.

    Raises:
        Exception: whatever the libraries raise of a file that is missing or broken.
    """

    def __init__(self, directory: Path) -> None:
        prepare = directory / PREPARE
        self._prepare = _session(prepare) if prepare.exists() else None
        self._head = _session(directory / HEAD)
        self._trees = _Trees((directory / TREES).read_bytes())

    def __call__(self, matrix: Matrix) -> NDArray[np.float64]:
        """See `Evaluator`."""
        columns = matrix if self._prepare is None else self._prepare.run(None, {"rows": matrix})[0]
        found: NDArray[np.float64] = self._head.run(
            None, {"columns": columns, "sums": self._trees.sums(columns)}
        )[0]
        return found


class _Trees:
    """A booster behind the C interface of XGBoost."""

    def __init__(self, model: bytes) -> None:
        self._library = _library()
        self._booster = ctypes.c_void_p()
        self._shape = ctypes.POINTER(ctypes.c_uint64)()
        self._dimensions = ctypes.c_uint64()
        self._sums = ctypes.POINTER(ctypes.c_float)()
        self._check(self._library.XGBoosterCreate(None, ctypes.c_uint64(0), ctypes.byref(self._booster)))
        self._check(
            self._library.XGBoosterLoadModelFromBuffer(self._booster, model, ctypes.c_uint64(len(model)))
        )
        self._check(self._library.XGBoosterSetParam(self._booster, b"nthread", b"1"))

    def sums(self, columns: Matrix) -> NDArray[np.float32]:
        """Shape (rows, groups)."""
        columns = np.ascontiguousarray(columns)
        rows, width = columns.shape
        array = b'{"data": [%d, true], "shape": [%d, %d], "typestr": "<f4", "version": 3}' % (
            columns.ctypes.data,
            rows,
            width,
        )
        self._check(
            self._library.XGBoosterPredictFromDense(
                self._booster,
                array,
                _PREDICT,
                None,
                ctypes.byref(self._shape),
                ctypes.byref(self._dimensions),
                ctypes.byref(self._sums),
            )
        )
        # The booster keeps the memory, and writes the next sums there.
        return np.ctypeslib.as_array(self._sums, (rows, int(self._shape[1]))).copy()

    def __del__(self) -> None:
        if self._booster:
            self._library.XGBoosterFree(self._booster)

    def _check(self, status: int) -> None:
        if status:
            cause = self._library.XGBGetLastError().decode(errors="replace")
            raise RuntimeError(cause.strip().partition("\n")[0][:300])


def _library() -> Any:
    spec = find_spec("xgboost")
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    path = next((found for folder in folders for found in Path(folder, "lib").glob("libxgboost.*")), None)
    if path is None:
        raise RuntimeError("XGBoost's library is not in this image")
    library = ctypes.CDLL(str(path))
    library.XGBGetLastError.restype = ctypes.c_char_p
    return library


def trim_memory() -> None:
    """Give the memory back in which graphs were read: more than half of what a process would hold on to."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
    if trim is not None:
        trim(0)


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    # The server has a process for each CPU; a pool of threads would also not survive a fork.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
