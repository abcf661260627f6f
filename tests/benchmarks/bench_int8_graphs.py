"""Whether int8 makes the small graphs of a model smaller or faster; prints one JSON object a graph.

Run it from the repository: ``python tests/benchmarks/bench_int8_graphs.py MODEL``, MODEL a version's folder.
Dynamic, a scale for each channel, as ``freshet model quantize`` does with the text tower. Times are the
shortest of many runs of a batch on one thread, which a busy machine blurs least.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import QuantType, quantize_dynamic

RUNS, BATCH, CANDIDATES = 300, 64, 200
TYPES: dict[str, Any] = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
SIZES = {"batch": BATCH, "candidates": CANDIDATES}


def main() -> None:
    """Measure and print."""
    logging.disable(logging.WARNING)
    model = Path(sys.argv[1])
    with TemporaryDirectory() as scratch:
        for name in ("item.onnx", "user_step.onnx", "ranker.onnx"):
            bare, small = Path(scratch) / f"bare-{name}", Path(scratch) / name
            graph = onnx.load(model / name)
            del graph.graph.value_info[:]  # transposed weights have other shapes than are noted there
            onnx.save(graph, bare)
            quantize_dynamic(bare, small, per_channel=True, weight_type=QuantType.QInt8)
            print(json.dumps({"graph": name, "fp32": figures(model / name), "int8": figures(small)}))


def figures(path: Path) -> dict[str, float]:
    """Size of a graph, and the time of a batch."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    feed = {
        one.name: rng.random([SIZES.get(side, side) for side in one.shape]).astype(TYPES[one.type])
        for one in session.get_inputs()
    }
    times = []
    for _ in range(RUNS):
        begun = perf_counter()
        session.run(None, feed)
        times.append(perf_counter() - begun)
    return {"kb": round(path.stat().st_size / 1e3), "ms": round(1e3 * min(times), 3)}


if __name__ == "__main__":
    main()
