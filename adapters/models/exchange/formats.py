"""Writing a network as TorchScript or ONNX, and running what was written.

Measured with torch 2.14: the exporter that traces (``dynamo=False``) takes a tenth of the time and keeps the batch
size free for every network tried, the spiking one included, for which the newer one (``dynamo=True``) fixes it without
a word. It cannot express an adaptive pooling to a size that does not divide its input (AlexNet's), which the newer one
can. So the second is asked where the first gives up, and both are checked by what they wrote.
"""

from __future__ import annotations

import importlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from domain.errors import how_to_install

#: Old enough for the ONNX runtimes in use, new enough for what vision networks do.
_OPSET = 17
_INPUT, _OUTPUT = "patches", "logits"


class NotExported(Exception):
    """A network has no form in that format; the text is for a person."""


class ExportedFile:
    """A file that was written, opened again; ``name`` says with what."""

    def __init__(self, name: str, function: Callable[[Tensor], Tensor]) -> None:
        self.name = name
        self._function = function

    def run(self, batch: Tensor) -> Tensor:
        """N×3×P×P float32 to N×classes logits. Raises NotExported."""
        try:
            with torch.inference_mode():
                return self._function(batch)
        except Exception as error:  # whatever a runtime raises, the file cannot be vouched for
            what = f"the file that was written cannot be run by {self.name} ({_first_line(error)})"
            raise NotExported(what) from error


def write_torchscript(network: nn.Module, example: Tensor, file: Path) -> None:
    """Trace ``network`` on ``example`` (n×3×P×P) and save it. Raises NotExported; OSError for a disk's fault."""
    with _quiet(), torch.no_grad(), _as_not_exported():
        traced: Any = torch.jit.trace(network, example, check_trace=False)  # type: ignore[no-untyped-call]
        content: bytes = traced.save_to_buffer()
    # By way of memory: libtorch's own writer ends the process when the disk is full.
    file.write_bytes(content)


def open_torchscript(file: Path) -> ExportedFile:
    """Our own file, run by libtorch."""
    with _quiet():
        network: Any = torch.jit.load(str(file), map_location="cpu")  # type: ignore[no-untyped-call]
    return ExportedFile("TorchScript", network)


def write_onnx(network: nn.Module, example: Tensor, file: Path) -> None:
    """Save ``network`` as ONNX with a free batch size. Raises NotExported; OSError for a disk's fault."""
    if missing := [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]:
        raise NotExported(f"not installed here: {', '.join(missing)}. To install them: {how_to_install('export')}")
    with _quiet(), torch.no_grad():
        try:
            with _as_not_exported():
                content = _traced(network, example)
        except NotExported:
            with _as_not_exported():
                content = _exported(network, example)
    file.write_bytes(content)


def open_onnx(file: Path) -> ExportedFile:
    """Our own file, checked against the ONNX standard and run by onnxruntime. Raises NotExported."""
    onnx: Any = importlib.import_module("onnx")
    runtime: Any = importlib.import_module("onnxruntime")
    try:
        onnx.checker.check_model(str(file), full_check=True)
        session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise NotExported(f"the file that was written is not valid ONNX ({_first_line(error)})") from error

    def run(batch: Tensor) -> Tensor:
        return torch.from_numpy(session.run([_OUTPUT], {_INPUT: batch.numpy()})[0])

    return ExportedFile(f"onnxruntime {runtime.__version__}", run)


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
