"""An ONNX file's network in fewer bits: weights in bfloat16, or whole layers in int8."""

import io
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from modescope.errors import UserError
from modescope.evaluation.onnx import Drawing

LAYERS = ("Conv", "Gemm")
QUANTISED = (*LAYERS, "Relu", "Reshape", "Resize", "DepthToSpace")  # the last ones only move what is int8
CALIBRATED, PERCENTILE = 512, 99.9  # draws that set the ranges of what flows between layers, and what is in range
SEED = 2**31 - 1  # of these draws: nobody measures by it
BATCH_SIZE = 64
INT8 = f"""Its layers are int8: static quantisation in QDQ form, a scale for each channel, ranges that hold
{PERCENTILE} % of what {CALIBRATED} draws give. Weights have 7 bits, so that products fit the 16 bits in which CPUs
without VNNI add two of them. Layers that make an image, shortcuts, and norms that no layer absorbs, are float32.
"""


def write_bf16(model: Path, path: Path) -> None:
    """Write the ONNX file `model` with matrices and kernels as bfloat16, cast to float32 where they are used."""
    whole = onnx.load(model)
    graph = whole.graph
    for weight in [each for each in graph.initializer if each.data_type == TensorProto.FLOAT and len(each.dims) > 1]:
        rounded = torch.from_numpy(numpy_helper.to_array(weight).copy()).bfloat16().view(torch.int16).numpy()
        name = f"{weight.name}_bf16"
        cast = helper.make_node("Cast", [name], [weight.name], to=TensorProto.FLOAT)
        graph.initializer.remove(weight)
        graph.initializer.append(
            helper.make_tensor(name, TensorProto.BFLOAT16, weight.dims, rounded.tobytes(), raw=True)
        )
        graph.node.insert(0, cast)
    onnx.save(whole, path)


def write_int8(model: Path, path: Path, drawing: Drawing) -> None:
    """Write the ONNX file `model` of `drawing` with int8 layers. Raises UserError where no layer can be."""
    from onnxruntime.quantization import CalibrationMethod, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as scratch, redirect_stdout(io.StringIO()):
        prepared = Path(scratch) / "prepared.onnx"
        quant_pre_process(model, prepared, skip_symbolic_shape=True)
        whole = onnx.load(prepared)
        kept = float_layers(whole)
        if not set(kept) < {node.name for node in whole.graph.node if node.op_type in LAYERS}:
            raise UserError("this network has no layer that --int8 could change: leave it out")
        quantize_static(
            prepared,
            path,
            Calibration(drawing),
            op_types_to_quantize=list(QUANTISED),
            nodes_to_exclude=kept,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.Percentile,
            # maps are int8 before they are made larger
            extra_options={"CalibPercentile": PERCENTILE, "ForceQuantizeNoInputCheck": True},
        )
    smaller, facts = onnx.load(path), {each.key: each.value for each in onnx.load(model).metadata_props}
    helper.set_model_props(smaller, facts | {"precision": "int8"})
    onnx.checker.check_model(smaller, full_check=True)
    onnx.save(smaller, path)


def float_layers(model: onnx.ModelProto) -> list[str]:
    """Names of the layers whose outputs are images (C channels) or their pixels (C x H x W), and of shortcuts (1x1),
    whose errors no later layer takes back.
    """
    _, *shape = (each.dim_value for each in model.graph.output[0].type.tensor_type.shape.dim)
    weights = {each.name: tuple(each.dims) for each in model.graph.initializer if len(each.dims) > 1}
    sizes = (shape[0], shape[0] * shape[1] * shape[2])
    layers = [(node.name, weights[node.input[1]]) for node in model.graph.node if node.op_type in LAYERS]
    return [name for name, (outputs, _, *kernel) in layers if outputs in sizes or kernel == [1, 1]]


class Calibration:
    """What `quantize_static` reads: batches of inputs of `drawing`, None after the last."""

    def __init__(self, drawing: Drawing):
        self.batches = batches(drawing.inputs(CALIBRATED, SEED))

    def get_next(self) -> dict | None:
        return next(self.batches, None)


def batches(inputs: dict[str, Tensor], size: int = BATCH_SIZE) -> Iterator[dict]:
    """Inputs as NumPy's, `size` rows at a time."""
    for start in range(0, len(inputs["z"]), size):
        yield {name: tensor[start : start + size].numpy() for name, tensor in inputs.items()}
