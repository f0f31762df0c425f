"""ONNX files of a stranger: what could read other files, run other code, or give no numbers never reaches a runtime."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from model_worlds import engine_model
from onnx import TensorProto, helper, numpy_helper

from alhvr.bundle.graphs import require_graphs
from alhvr.bundle.model import Model, NetworkSpec, read_model
from alhvr.core.errors import ModelError
from alhvr.inference.backends import backend_of_graphs
from alhvr.networks.group import NetworkGroup
from alhvr.networks.onnx_export import export_networks

MUTATIONS = 1500


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return read_model(engine_model(tmp_path_factory.mktemp("m") / "model"))


@pytest.fixture
def graph(model: Model) -> onnx.ModelProto:
    """The encoder of network a."""
    return onnx.load(model.graph_files()["a_encoder"])


def check(model: Model, content: bytes, name: str = "a_encoder") -> None:
    require_graphs({name: content}, model.description.network)


def external(graph: onnx.ModelProto, location: str) -> None:
    tensor = graph.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)


def external_constant(graph: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(1, np.float32), "c")
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="/etc/passwd")
    graph.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


def nan(graph: onnx.ModelProto, value: float, *, raw: bool) -> None:
    tensor = graph.graph.initializer[3]
    array = numpy_helper.to_array(tensor).copy()
    array.flat[-1] = value
    new = numpy_helper.from_array(array, tensor.name) if raw else helper.make_tensor(
        tensor.name, TensorProto.FLOAT, array.shape, array.ravel())
    tensor.CopyFrom(new)


def subgraph(graph: onnx.ModelProto) -> None:
    inner = helper.make_graph([], "inner", [], [])
    graph.graph.node.append(helper.make_node("If", ["image"], ["y"], then_branch=inner, else_branch=inner))


def custom_operator(graph: onnx.ModelProto) -> None:
    graph.graph.node[0].domain = "com.evil"


def custom_domain(graph: onnx.ModelProto) -> None:
    graph.opset_import.add(domain="com.evil", version=1)


def function(graph: onnx.ModelProto) -> None:
    graph.functions.append(helper.make_function("com.evil", "Conv", ["x"], ["y"], [], [helper.make_opsetid("", 17)]))


def renamed_input(graph: onnx.ModelProto) -> None:
    graph.graph.input[0].name = "picture"
    graph.graph.node[0].input[0] = "picture"


def fewer_outputs(graph: onnx.ModelProto) -> None:
    del graph.graph.output[-1]


def output_twice(graph: onnx.ModelProto) -> None:
    graph.graph.output.append(graph.graph.output[0])


def other_type(graph: onnx.ModelProto) -> None:
    graph.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def other_channels(graph: onnx.ModelProto) -> None:
    graph.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 3


def other_dimensions(graph: onnx.ModelProto) -> None:
    graph.graph.input[0].type.tensor_type.shape.dim.add()


def weights_cut(graph: onnx.ModelProto) -> None:
    graph.graph.initializer[0].raw_data = graph.graph.initializer[0].raw_data[:-4]


def sparse(graph: onnx.ModelProto) -> None:
    graph.graph.sparse_initializer.add()


def setting(graph: onnx.ModelProto, name: str, value: object) -> None:
    node = graph.graph.node[0]
    kept = [each for each in node.attribute if each.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value, attr_type=7 if value == [] else None)])


def operator(graph: onnx.ModelProto, kind: str) -> None:
    graph.graph.node[1].op_type = kind


def other_weights(graph: onnx.ModelProto) -> None:
    tensor = graph.graph.initializer[0]
    tensor.CopyFrom(numpy_helper.from_array(np.zeros((7, *tensor.dims[1:]), np.float32), tensor.name))


def half_weights(graph: onnx.ModelProto) -> None:
    tensor = graph.graph.initializer[0]
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))


FAULTS: dict[str, tuple[Callable[[onnx.ModelProto], None], str]] = {
    "data at an absolute path": (lambda g: external(g, "/etc/passwd"), "lie in another file"),
    "data above the folder": (lambda g: external(g, "../../../../etc/passwd"), "lie in another file"),
    "data beside it": (lambda g: external(g, "weights.bin"), "lie in another file"),
    "data of a constant elsewhere": (external_constant, "lie in another file"),
    "NaN": (lambda g: nan(g, np.nan, raw=True), "hold NaN or infinity"),
    "infinity": (lambda g: nan(g, -np.inf, raw=True), "hold NaN or infinity"),
    "NaN as a list of numbers": (lambda g: nan(g, np.nan, raw=False), "hold NaN or infinity"),
    "graphs in an operator": (subgraph, "_branch of an operator is no plain one"),
    "an operator of another domain": (custom_operator, "operators of 'com.evil'"),
    "another domain": (custom_domain, "operators of 'com.evil'"),
    "functions": (function, "functions of its own"),
    "an input of another name": (renamed_input, "its inputs are picture instead of image"),
    "a window of another size": (lambda g: setting(g, "kernel_shape", [3, 5]), "the sizes of its operator Conv"),
    "a window of no size": (lambda g: setting(g, "kernel_shape", []), "the sizes of its operator Conv"),
    "a window of millions": (lambda g: setting(g, "strides", [10**7] * 2), "the sizes of its operator Conv"),
    "groups": (lambda g: setting(g, "group", 0), "the settings of its operator Conv"),
    "a setting that nobody knows": (lambda g: setting(g, "library", "/tmp/evil.so"), "the settings of its operator"),
    "an operator that other networks have": (lambda g: operator(g, "Softmax"), "the kind of its operator Softmax"),
    "an operator that nobody knows": (lambda g: operator(g, "Convolute"), "the kind of its operator Convolute"),
    "no operators": (lambda g: g.graph.ClearField("node"), "level0 is not what the networks"),
    "an operator before its input": (lambda g: g.graph.node.reverse(), "inputs of its operator"),
    "an output that is an input": (lambda g: g.graph.node.append(helper.make_node("Relu", ["level0"], ["image"])),
                                   "the outputs of its operator Relu"),
    "levels of other channels": (other_weights, "its operator Conv are none that these networks have"),
    "weights of another type": (half_weights, "are not of float32"),
    "an output too few": (fewer_outputs, "its outputs are level0, level1, level2, level3 instead"),
    "an output twice": (output_twice, "its outputs are"),
    "an input of another type": (other_type, "image is not of float32"),
    "other channels": (other_channels, "image has the shape"),
    "other dimensions": (other_dimensions, "image has the shape"),
    "fewer weights than the shape says": (weights_cut, "not as many as their shape says"),
    "sparse weights": (sparse, "sparse weights"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_graph_that_is_none_of_ours_is_refused_in_one_line(model: Model, graph: onnx.ModelProto, fault: str) -> None:
    spoil, sentence = FAULTS[fault]
    spoil(graph)
    with pytest.raises(ModelError, match=sentence) as caught:
        check(model, graph.SerializeToString())
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x00" * 50, b"\xff" * 50, b"PK\x03\x04", b"<html>",
                                     b"\x08\x08"])
def test_a_file_that_is_no_graph_is_refused(model: Model, content: bytes) -> None:
    with pytest.raises(ModelError, match=r"a_encoder\.onnx is no network of this model"):
        check(model, content)


def test_a_decoder_in_the_place_of_an_encoder_is_refused(model: Model) -> None:
    with pytest.raises(ModelError, match="its inputs are level0"):
        check(model, model.graph_files()["a_decoder"].read_bytes())


def test_a_graph_of_more_fields_than_any_network_has_is_not_read_to_its_end(model: Model) -> None:
    with pytest.raises(ModelError, match="more than 200000 fields"):
        check(model, b"\x08\x08" * 10_000_000)


@pytest.mark.parametrize(("kind", "dimensions", "width", "channels"), [
    ("unet", 2, 16, 1), ("unet", 2, 2, 3), ("unet", 3, 4, 2), ("vnet", 3, 16, 1), ("vnet", 3, 2, 2)])
def test_every_graph_that_we_export_is_let_through(kind: str, dimensions: int, width: int, channels: int) -> None:
    spec = NetworkSpec(kind, dimensions, 4, in_channels=channels, width=width)
    require_graphs(export_networks(NetworkGroup.build(spec).eval()), spec)


def test_no_change_of_a_few_bytes_makes_the_look_crash_or_hang(model: Model) -> None:
    """Whatever passes it is a message whose weights are whole and finite."""
    draw = random.Random(0)
    content = model.graph_files()["a_decoder"].read_bytes()
    structure = [at for at in range(len(content)) if at < 3000 or at > len(content) - 3000]
    outcomes = {"refused": 0, "passed": 0}
    for number in range(MUTATIONS):
        changed = bytearray(content if number % 2 else content[:draw.randrange(4000)])
        for _ in range(draw.randrange(1, 4)):
            place = draw.choice(structure)
            if place < len(changed):
                changed[place] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
        try:
            check(model, bytes(changed), "a_decoder")
            outcomes["passed"] += 1
        except ModelError:
            outcomes["refused"] += 1
    assert outcomes["refused"] > MUTATIONS / 2 and sum(outcomes.values()) == MUTATIONS


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("spoil", ["an operator that nobody knows", "no nodes", "a shape that does not fit"])
def test_what_a_runtime_refuses_is_one_line(model: Model, backend: str, spoil: str) -> None:
    graphs = {name: onnx.load(path) for name, path in model.graph_files().items()}
    encoder = graphs["b_encoder"].graph
    if spoil == "no nodes":
        del encoder.node[:]
    elif spoil == "an operator that nobody knows":
        encoder.node[0].op_type = "Convolute"
    else:
        encoder.initializer[0].CopyFrom(numpy_helper.from_array(np.zeros(7, np.float32), encoder.initializer[0].name))
    content = {name: graph.SerializeToString() for name, graph in graphs.items()}
    with pytest.raises(ModelError) as caught:
        found = backend_of_graphs(content, backend=backend, threads=1)
        found.decode("b", found.encode("b", np.zeros((1, 1, 32, 32), np.float32)))
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400 and "cannot run" in str(caught.value)


def test_torch_that_refuses_is_one_line(model: Model) -> None:
    from alhvr.inference.torch_backend import TorchBackend

    backend = TorchBackend(NetworkGroup.build(model.description.network), "cpu", "fp32")
    with pytest.raises(ModelError, match="PyTorch cannot run the networks"), torch.inference_mode():
        backend.decode("a", backend.encode("a", np.zeros((1, 5, 32, 32), np.float32)))
