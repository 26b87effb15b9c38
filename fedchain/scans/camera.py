"""Pinhole camera with lens distortion: from points to pixels, and from pixels to rays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fedchain.arrays import Array, Matrix, Vector, read_only
from fedchain.elementary import dot

UNDISTORTION_STEPS = 20
"""Steps of the fixed-point iteration that inverts the distortion. For the lens of a PhoXi scanner,
each step makes the error at least five times smaller."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Camera:
    """Camera of OpenCV's model: an orthonormal basis, a position, and the numbers of its lens.

    Reference:
        OpenCV documentation, "Camera Calibration and 3D Reconstruction": the pinhole model with
        radial (k1, k2, k3) and tangential (p1, p2) distortion.
    """

    basis: Matrix
    """Unit vectors of the camera in rows, shape (3, 3): to the right in the picture, down, and
    forward, in the coordinates of the points."""
    position: Vector
    """Centre of the camera in metres, shape (3,)."""
    focal: Vector
    """Focal lengths fx and fy in pixels, shape (2,)."""
    centre: Vector
    """Pixel cx, cy of the optical axis, shape (2,). Pixel (0, 0) is the centre of the first one."""
    distortion: Vector
    """Coefficients k1, k2, k3, p1, p2, shape (5,)."""

    def __post_init__(self) -> None:
        shapes = {"basis": (3, 3), "position": (3,), "focal": (2,), "centre": (2,)}
        for name, shape in {**shapes, "distortion": (5,)}.items():
            array = np.array(getattr(self, name), np.float64)
            if array.shape != shape or not np.isfinite(array).all():
                raise ValueError(f"camera: {name} is {array.tolist()}; allowed: {shape}, finite")
            object.__setattr__(self, name, read_only(array))

    def project(self, points: Array) -> tuple[Array, Array]:
        """Return the pixel of each point, and its depth along the optical axis in metres.

        Args:
            points: points in metres, shape (..., 3).

        Returns:
            Pixels (x, y), shape (..., 2), and depths, shape (...), both float64. A point whose
            depth is not above 0 lies behind the camera, and its pixel means nothing.

        >>> camera = Camera(basis=np.eye(3), position=np.zeros(3), focal=[100, 100],
        ...                 centre=[5, 5], distortion=np.zeros(5))
        >>> camera.project(np.array([0.02, 0.0, 1.0]))[0].tolist()
        [7.0, 5.0]
        """
        # Products and sums in a written order: the channels of a scan have the same bits on every
        # processor. A matrix product of BLAS would not.
        across, down, depth = self._turned(points)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            x, y = self._distorted(across / depth, down / depth)
            pixels = np.stack(
                [x * self.focal[0] + self.centre[0], y * self.focal[1] + self.centre[1]], axis=-1
            )
        return pixels, depth

    def rays(self, height: int, width: int) -> Array:
        """Return the direction in which each pixel looks, shape (height, width, 3), float64.

        The depth of a direction along the optical axis is 1, so that ``position + depth * ray``
        is the point that ``project`` maps to the pixel and the depth.
        """
        columns, rows = np.meshgrid(np.arange(width), np.arange(height))
        aimed_x = (columns - self.centre[0]) / self.focal[0]
        aimed_y = (rows - self.centre[1]) / self.focal[1]
        x, y = aimed_x, aimed_y
        for _ in range(UNDISTORTION_STEPS):
            there_x, there_y = self._distorted(x, y)
            x, y = x + (aimed_x - there_x), y + (aimed_y - there_y)
        right, down, forward = self.basis
        return np.asarray(x[..., None] * right + y[..., None] * down + forward)

    def cropped(self, top: int, left: int) -> Camera:
        """Return the camera of a picture without its first ``top`` rows and ``left`` columns."""
        return replace(self, centre=self.centre - (left, top))

    def moved(self, rotation: Array, shift: Array) -> Camera:
        """Return the camera that sees the points ``rotation @ p + shift`` as this one sees ``p``.

        Args:
            rotation: orthonormal matrix, shape (3, 3).
            shift: shift in metres, shape (3,).
        """
        turned = [dot(rotation.T, row[:, None]) for row in self.basis]
        position = dot(rotation.T, self.position[:, None]) + shift
        return replace(self, basis=np.stack(turned), position=position)

    def _turned(self, points: Array) -> tuple[Array, Array, Array]:
        offsets = np.moveaxis(np.asarray(points, np.float64) - self.position, -1, 0)
        right, down, forward = (np.asarray(dot(row, offsets)) for row in self.basis)
        return right, down, forward

    def _distorted(self, x: Array, y: Array) -> tuple[Array, Array]:
        k1, k2, k3, p1, p2 = self.distortion
        xx, xy, yy = x * x, x * y, y * y
        squared = xx + yy
        radial = 1 + squared * (k1 + squared * (k2 + squared * k3))
        return (
            x * radial + 2 * p1 * xy + p2 * (squared + 2 * xx),
            y * radial + 2 * p2 * xy + p1 * (squared + 2 * yy),
        )
