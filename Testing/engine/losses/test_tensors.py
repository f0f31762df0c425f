"""Classes as planes of zeros and ones."""

from __future__ import annotations

import pytest
import torch

from alhvr.losses.tensors import most_probable, one_hot


@pytest.mark.parametrize("size", [(5, 7), (3, 4, 5)])
def test_the_most_probable_class_is_the_one_that_torch_finds(size) -> None:
    probability = torch.randn(3, 6, *size, generator=torch.Generator().manual_seed(0)).softmax(dim=1)
    expected = one_hot(probability.argmax(dim=1), 6, torch.float32)
    assert torch.equal(most_probable(probability), expected)


def test_of_equal_probabilities_the_lowest_class_alone_is_taken() -> None:
    probability = torch.tensor([[0.4, 0.1], [0.4, 0.45], [0.2, 0.45]]).reshape(1, 3, 1, 2)
    assert most_probable(probability)[0, :, 0].T.tolist() == [[1, 0, 0], [0, 1, 0]]


def test_an_index_that_is_no_class_has_zeros_only() -> None:
    planes = one_hot(torch.tensor([[[2, 255, 0]]]), 3, torch.float64)
    assert planes.dtype == torch.float64 and planes[0, :, 0].T.tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
