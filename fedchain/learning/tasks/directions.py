"""Directions: orthonormal directions of inputs, with the same bits on every processor.

LAPACK and BLAS choose their code by the processor, and the last bits of their results differ. All
sums here are element-wise and in a written order.
"""

from __future__ import annotations

import numpy as np

from fedchain.arrays import Matrix
from fedchain.ordered import product
from fedchain.randomness import digest, normals, stream

STEPS, SPARE = 60, 8
"""STEPS: steps of the orthogonal iteration. SPARE: directions that it finds beyond those that are
asked for; with them, the last ones converge sooner."""
DEPENDENT = 1e-9
"""A column counts as zero if at most this share of it is orthogonal to the columns before it."""


def principal_directions(rows: Matrix, count: int) -> Matrix:
    """Return the leading principal directions of centred rows, as orthonormal columns.

    The directions are the eigenvectors of the rows' covariance with the largest eigenvalues, by
    orthogonal iteration with a fixed number of steps.

    Args:
        rows: centred rows, shape (rows, inputs).
        count: number of directions, from 1.

    Returns:
        The directions in falling order of variance, shape (inputs, count).

    Raises:
        ValueError: the rows span fewer than ``count`` dimensions.

    Reference:
        Golub and Van Loan, Matrix Computations, 4th edition, section 8.2.4.

    >>> principal_directions(np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0]]), 1).round(9).tolist()
    [[1.0], [0.0]]
    """
    width = min(count + SPARE, *rows.shape)
    found = stream(0, "principal directions").random((rows.shape[1], width))
    for _ in range(STEPS):
        found = orthonormal(product(rows.T, product(rows, found)))
    spans = int((found != 0).any(axis=0).sum())
    if spans < count:
        raise ValueError(
            f"task.directions: {count} are asked for, but {len(rows)} public inputs span only "
            f"{spans} dimensions; at most {spans} are allowed"
        )
    return found[:, :count]


def random_directions(inputs: int, count: int, seed: int) -> Matrix:
    """Return random directions, as orthonormal columns, shape (inputs, count).

    They are normal numbers (stream ``random projection``), made orthonormal column by column.

    >>> random_directions(30, 4, 0).shape
    (30, 4)
    """
    keys = [digest(seed, "random projection", place) for place in range(count)]
    return orthonormal(normals(keys, inputs).T.astype(np.float64))


def orthonormal(columns: Matrix) -> Matrix:
    """Return an orthonormal basis of the span of columns, by the Gram-Schmidt method.

    A column that lies in the span of those before it becomes zero.

    >>> orthonormal(np.array([[2.0, 1.0, 3.0], [0.0, 3.0, 4.0]])).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    found = np.zeros(columns.shape)
    across = np.zeros(columns.shape[::-1])  # both layouts, since sums run over the first axis
    for place, column in enumerate(columns.T):
        rest = column
        for _ in range(2):  # the second pass removes what rounding leaves in the first
            shares = (found[:, :place] * rest[:, None]).sum(axis=0)
            rest = rest - (across[:place] * shares[:, None]).sum(axis=0)
        whole, left = np.sqrt((np.stack((column, rest), axis=1) ** 2).sum(axis=0))
        if left > DEPENDENT * whole:
            found[:, place] = across[place] = rest / left
    return found
