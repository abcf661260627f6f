from importlib.resources import files

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from encoders.dot_products import GRAPH, dot_products


@pytest.mark.parametrize(
    ("q", "n", "d"), [(1, 1, 1), (1, 50, 8), (6, 300, 16), (70, 33, 5), (0, 4, 3), (2, 0, 3)]
)
def test_they_are_the_matrix_product(q, n, d):
    rng = np.random.default_rng(0)
    queries = rng.standard_normal((q, d)).astype(np.float32)
    vectors = rng.standard_normal((n, d)).astype(np.float32)
    np.testing.assert_allclose(dot_products(queries, vectors), queries @ vectors.T, rtol=1e-5, atol=1e-5)


def test_a_view_of_a_larger_array_is_read_right():
    table = np.arange(60, dtype=np.float32).reshape(12, 5)
    np.testing.assert_allclose(dot_products(table[:2], table[3:9]), table[:2] @ table[3:9].T)


def test_the_packaged_graph_is_one_product():
    shapes = {"queries": ["q", "d"], "vectors": ["n", "d"], "products": ["q", "n"]}
    queries, vectors, products = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()
    )
    node = helper.make_node("Gemm", ["queries", "vectors"], ["products"], transB=1)
    graph = helper.make_graph([node], "dot_products", [queries, vectors], [products])
    wanted = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    wanted.producer_name = "freshet"
    assert onnx.load_from_string(files("encoders").joinpath(GRAPH).read_bytes()) == wanted
