"""Opening ONNX graphs: threads, and a GPU only where there is one that works."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import onnxruntime as ort

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
_CUDA_LIBRARIES = ("libcuda.so.1", "libcudart.so", "libcublasLt.so", "libcudnn.so")


def usable_providers(wanted: Sequence[str]) -> list[str]:
    """Those of ``wanted`` that onnxruntime has and whose libraries load here, the CPU always last."""
    available = set(ort.get_available_providers())
    chosen = [name for name in wanted if name in available and name != CPU]
    return [name for name in chosen if name != CUDA or _cuda_loads()] + [CPU]


@cache
def _cuda_loads() -> bool:
    # Asking for CUDA without its libraries prints errors for every session, so look before asking.
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    ort.preload_dlls()
    provider = Path(ort.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
    try:
        ctypes.CDLL(str(provider.with_name("libonnxruntime_providers_shared.so")), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(provider))
    except OSError:
        return False
    return True


def open_session(path: Path, *, threads: int = 1, providers: Sequence[str] = (CPU,)) -> ort.InferenceSession:
    """Load a graph; ``threads`` are its intra-op threads. Several threads may call ``run`` at once."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A worker shares its cores with Kafka and Qdrant: threads that spin while they wait would starve them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(path), options, providers=usable_providers(providers))
