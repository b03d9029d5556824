"""Writing a network as TorchScript or ONNX, and running what was written.

Measured with torch 2.14: the exporter that traces (``dynamo=False``) takes a tenth of the time and keeps the batch
size free for every network tried, the spiking one included, for which the newer one (``dynamo=True``) fixes it without
a word. It cannot express an adaptive pooling to a size that does not divide its input (AlexNet's), which the newer one
can. So the second is asked where the first gives up, and both are checked by what they wrote.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

#: Old enough for the ONNX runtimes in use, new enough for what vision networks do.
_OPSET = 17
_INPUT, _OUTPUT = "patches", "logits"


class NotExported(Exception):
    """A network has no form in that format; the text is for a person."""


class Runner(Protocol):
    """A file that was written, opened again; ``name`` says with what."""

    name: str

    def run(self, batch: Tensor) -> Tensor:
        """N×3×P×P float32 to N×classes logits."""
        ...


class _Function:
    def __init__(self, name: str, function: Callable[[Tensor], Tensor], advice: str = "") -> None:
        self.name = name
        self._function = function
        self._advice = advice

    def run(self, batch: Tensor) -> Tensor:
        try:
            with torch.inference_mode():
                return self._function(batch)
        except Exception as error:  # whatever a runtime raises, the file cannot be vouched for
            what = f"the file that was written cannot be run by {self.name} ({_first_line(error)}){self._advice}"
            raise NotExported(what) from error


def write_torchscript(network: nn.Module, example: Tensor, file: Path) -> None:
    """Trace ``network`` on ``example`` (n×3×P×P) and save it. Raises NotExported; OSError for a disk's fault."""
    with _quiet(), torch.no_grad(), _as_not_exported():
        traced: Any = torch.jit.trace(network, example, check_trace=False)  # type: ignore[no-untyped-call]
        content: bytes = traced.save_to_buffer()
    # By way of memory: libtorch's own writer ends the process when the disk is full.
    file.write_bytes(content)


def open_torchscript(file: Path) -> Runner:
    """Our own file, run by libtorch."""
    with _quiet():
        network: Any = torch.jit.load(str(file), map_location="cpu")  # type: ignore[no-untyped-call]
    return _Function("TorchScript", network)


def write_onnx(network: nn.Module, example: Tensor, file: Path) -> None:
    """Save ``network`` as ONNX with a free batch size. Raises NotExported; OSError for a disk's fault."""
    with _quiet(), torch.no_grad():
        try:
            with _as_not_exported():
                content = _traced(network, example)
        except NotExported:
            with _as_not_exported():
                content = _exported(network, example)
    file.write_bytes(content)


def open_onnx(file: Path) -> Runner:
    """Run by onnxruntime where it is installed, else by ONNX's own reference implementation, which is slower.

    The latter has no way with negative paddings (NASNet) and gets the rounding up of pools wrong (GoogLeNet).
    """
    onnx: Any = importlib.import_module("onnx")
    try:
        onnx.checker.check_model(str(file), full_check=True)
    except Exception as error:
        raise NotExported(f"the file that was written is not valid ONNX ({_first_line(error)})") from error
    if importlib.util.find_spec("onnxruntime"):
        runtime: Any = importlib.import_module("onnxruntime")
        session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        return _Function(f"onnxruntime {runtime.__version__}", _asker(session))
    evaluator = importlib.import_module("onnx.reference").ReferenceEvaluator(str(file))
    advice = ', which does not know all networks; "pip install onnxruntime" brings one that does'
    return _Function("ONNX's reference implementation", _asker(evaluator), advice)


def _asker(session: Any) -> Callable[[Tensor], Tensor]:
    return lambda batch: torch.from_numpy(session.run([_OUTPUT], {_INPUT: batch.numpy()})[0])


def _traced(network: nn.Module, example: Tensor) -> bytes:
    memory: Any = io.BytesIO()  # taken, although the signature names paths alone
    names = {_INPUT: {0: "batch"}, _OUTPUT: {0: "batch"}}
    torch.onnx.export(
        network,
        (example,),
        memory,
        input_names=[_INPUT],
        output_names=[_OUTPUT],
        dynamic_axes=names,
        opset_version=_OPSET,
        dynamo=False,
    )
    content: bytes = memory.getvalue()
    return content


def _exported(network: nn.Module, example: Tensor) -> bytes:
    program = torch.onnx.export(
        network,
        (example,),
        input_names=[_INPUT],
        output_names=[_OUTPUT],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise NotExported("torch.onnx.export gave nothing back")
    content: bytes = program.model_proto.SerializeToString()
    return content


@contextmanager
def _as_not_exported() -> Iterator[None]:
    """Whatever a tracer raises becomes a sentence for a person."""
    try:
        yield
    except Exception as error:
        raise NotExported(f"Torch cannot express it so ({_first_line(error)})") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """No deprecations of what is used on purpose, and no remarks on shapes: the check afterwards is stricter."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


#: How a format is written and opened again.
TORCHSCRIPT = (write_torchscript, open_torchscript)
ONNX = (write_onnx, open_onnx)
