from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.errors import ModelError
from encoders.whitening import fit_whitening


def cone(count: int, dim: int, seed: int = 0) -> np.ndarray:
    """Unit vectors around one direction with unequal variances, as a text tower gives them."""
    rng = np.random.default_rng(seed)
    vectors = 1.0 + rng.normal(size=(count, dim)) @ np.diag(rng.uniform(0.1, 1.0, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_without_shrinkage_the_catalogue_has_identity_covariance() -> None:
    vectors = cone(500, 16)
    white = fit_whitening(vectors, shrinkage=0.0).apply(vectors)
    # Centred exactly, 15 directions would be left of unit vectors on a cone only if they were degenerate.
    np.testing.assert_allclose(np.cov(white.T, bias=True), np.eye(16), atol=1e-3)


def test_components_run_from_the_widest_to_the_narrowest() -> None:
    vectors = cone(500, 16)
    fitted = fit_whitening(vectors, shrinkage=1.0)
    variances = fitted.apply(vectors).var(axis=0)
    assert (np.diff(variances) <= 1e-6).all()


def test_full_shrinkage_is_a_rotation_up_to_one_factor() -> None:
    projection = fit_whitening(cone(50, 8), shrinkage=1.0).projection
    gram = projection.T @ projection
    np.testing.assert_allclose(gram, np.eye(8) * gram[0, 0], atol=1e-3 * gram[0, 0])


def test_default_shrinkage_is_the_dimension_against_the_catalogue() -> None:
    vectors = cone(48, 16)
    np.testing.assert_allclose(
        fit_whitening(vectors).projection, fit_whitening(vectors, shrinkage=16 / (48 + 16)).projection
    )


@given(count=st.integers(1, 60), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_any_catalogue_gives_finite_vectors_that_are_not_zero(count: int, seed: int) -> None:
    vectors, later = cone(count, 32, seed), cone(5, 32, seed + 1)
    fitted = fit_whitening(vectors)
    white = fitted.apply(np.concatenate([vectors, later]))
    assert np.isfinite(white).all()
    assert (np.linalg.norm(white, axis=1) > 1e-3).all()


def test_small_catalogues_keep_unseen_items_apart_by_their_texts() -> None:
    vectors = cone(205, 64)
    seen, later = vectors[:5], vectors[5:]
    white = fit_whitening(seen).apply(later)
    white /= np.linalg.norm(white, axis=1, keepdims=True)
    centred = later - later.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    agreement = np.corrcoef((white @ white.T).ravel(), (centred @ centred.T).ravel())[0, 1]
    assert agreement > 0.8


def test_equal_texts_everywhere_need_no_whitening() -> None:
    vectors = np.repeat(cone(1, 8), 4, axis=0)
    np.testing.assert_allclose(fit_whitening(vectors).projection @ np.ones(8), np.ones(8), atol=1e-6)


def test_signs_do_not_depend_on_the_eigensolver() -> None:
    projection = fit_whitening(cone(100, 8)).projection
    largest = projection[np.abs(projection).argmax(axis=0), np.arange(8)]
    assert (largest > 0).all()


def test_empty_catalogue_is_refused() -> None:
    with pytest.raises(ModelError, match="no items"):
        fit_whitening(np.empty((0, 8), dtype=np.float32))
