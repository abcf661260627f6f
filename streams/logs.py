"""How the worker logs: one line an event on stderr, libraries only when they warn."""

from __future__ import annotations

from typing import Any

NOISY = (
    "faust",
    "mode",
    "aiokafka",
    "kafka",
    "httpx",
    "httpcore",
    "asyncio",
    "onnxscript",
    "onnx_ir",
    "torch",
)


def logging_config(level: str) -> dict[str, Any]:
    """A ``logging.config.dictConfig`` for the given level of Freshet's own loggers."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {name: {"level": "DEBUG" if level == "DEBUG" else "WARNING"} for name in NOISY},
    }
