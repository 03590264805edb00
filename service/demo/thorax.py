"""A thorax drawn from a random source: what is where, and its Hounsfield units on a grid.

Body, two lungs, mediastinum and heart, spine, ribs, sternum, trachea and main bronchi, branching vessels, a diaphragm,
and three nodules that are spheres. Right and left are the patient's: x grows to the left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.demo.thorax_shapes import Ellipsoid, Point, Tube, coverage
from service.demo.vessel_tree import grow_vessels
from service.demo.voxel_grid import Image, VoxelGrid

INFINITE = float("inf")
AIR_HU, LUNG_HU, FAT_HU, MUSCLE_HU, BLOOD_HU = -1000.0, -860.0, -100.0, 50.0, 45.0
RIB_HU, CORTICAL_HU, MARROW_HU, LUMEN_HU = 420.0, 550.0, 190.0, -1000.0

NODULES = 3
NODULE_RADIUS_MM = (3.5, 10.0)
NODULE_HU = (-40.0, 90.0)
# How deep the centre of the nodule at the pleura lies, in radii: its great circle along the wall stays in the lung.
PLEURAL_DEPTH = (0.75, 0.95)
# What a nodule keeps between itself and the next structure, vessels thinner than this aside.
CLEARANCE_MM = 5.0
THIN_VESSEL_MM = 1.6
PLACING_TRIES = 20_000

# Points within a voxel at which a nodule is looked up: a 160th of a voxel is the finest step of its edge.
SAMPLES_PER_SLICE, SAMPLES_PER_PIXEL = 10, 4


@dataclass(frozen=True, slots=True)
class NoduleSphere:
    """A nodule as it was drawn: a sphere; mm, LPS, and Hounsfield units."""

    centre: Point
    radius_mm: float
    hounsfield: float
    touches_pleura: bool


@dataclass(frozen=True, slots=True, eq=False)
class Thorax:
    """Everything that is drawn, in patient coordinates."""

    height_mm: float
    lungs: tuple[Ellipsoid, Ellipsoid]
    not_lung: tuple[Ellipsoid, ...]
    airways: tuple[Tube, ...]
    vessels: tuple[Tube, ...]
    nodules: tuple[NoduleSphere, ...]

    def lung_depth(self, point: npt.NDArray[np.float64]) -> float:
        """How far inside lung tissue a point lies, mm; negative outside."""
        return min(self.wall_depth(point), self.inner_depth(point))

    def wall_depth(self, point: npt.NDArray[np.float64]) -> float:
        """How far inside the outer surface of the nearer lung a point lies, mm."""
        return -min(lung.at(point) for lung in self.lungs)

    def inner_depth(self, point: npt.NDArray[np.float64]) -> float:
        """Distance from mediastinum, heart, diaphragm and airways, mm."""
        shapes: tuple[Ellipsoid | Tube, ...] = (*self.not_lung, *self.airways)
        return min(shape.at(point) for shape in shapes)


def plan_thorax(random: np.random.Generator, height_mm: float) -> Thorax:
    """Draw a thorax whose nodules all lie within ``height_mm`` around the origin."""
    tall = height_mm * random.uniform(0.56, 0.66)
    wide, deep = random.uniform(58, 63), random.uniform(72, 77)
    low = -0.12 * height_mm
    lungs = tuple(Ellipsoid((side * 71.0, 3.0, low), (wide, deep, tall)) for side in (-1, 1))
    base = -height_mm / 2
    not_lung = (
        Ellipsoid((0.0, -4.0, 0.0), (random.uniform(26, 31), 70.0, INFINITE)),
        Ellipsoid((24.0, -26.0, base + 0.3 * height_mm), (random.uniform(44, 50), 40.0, 42.0)),
        Ellipsoid((-72.0, 0.0, base - 62.0), (88.0, 95.0, 62.0 + random.uniform(10, 22))),
        Ellipsoid((72.0, 0.0, base - 62.0), (84.0, 92.0, 62.0 + random.uniform(6, 14))),
    )
    carina = random.uniform(-0.05, 0.08) * height_mm
    airways = (
        Tube((0.0, -2.0, carina), (0.0, -4.0, height_mm), 8.5),
        Tube((0.0, -2.0, carina), (-34.0, 2.0, carina - 18), 6.5),
        Tube((0.0, -2.0, carina), (36.0, 4.0, carina - 20), 6.0),
    )
    plain = Thorax(height_mm, (lungs[0], lungs[1]), not_lung, airways, (), ())
    vessels = tuple(
        vessel
        for side in (-1, 1)
        for vessel in grow_vessels(random, (side * 33.0, 4.0, carina - 22), side, plain.lung_depth)
    )
    return _with_nodules(random, Thorax(height_mm, plain.lungs, not_lung, airways, vessels, ()))


def _with_nodules(random: np.random.Generator, thorax: Thorax) -> Thorax:
    nodules: list[NoduleSphere] = []
    for number in range(NODULES):
        radius = float(random.uniform(*NODULE_RADIUS_MM))
        at_pleura = number == 0
        centre = _place(random, thorax, nodules, radius, at_pleura)
        nodules.append(NoduleSphere(centre, radius, float(random.uniform(*NODULE_HU)), at_pleura))
    return Thorax(thorax.height_mm, thorax.lungs, thorax.not_lung, thorax.airways, thorax.vessels, tuple(nodules))


def _place(
    random: np.random.Generator, thorax: Thorax, placed: list[NoduleSphere], radius: float, at_pleura: bool
) -> Point:
    """A free place for a sphere.

    Raises
    ------
    ValueError : there is none, the thorax is too low for it
    """
    margin = radius + CLEARANCE_MM
    reach = max(0.0, thorax.height_mm / 2 - margin - 4)
    thick = [vessel for vessel in thorax.vessels if vessel.radius_mm > THIN_VESSEL_MM]
    for _ in range(PLACING_TRIES):
        point = np.array([random.uniform(-140, 140), random.uniform(-85, 90), random.uniform(-reach, reach)])
        depth = thorax.wall_depth(point)
        if at_pleura:
            low, high = PLEURAL_DEPTH
            fits = low * radius <= depth <= high * radius and abs(point[0]) > 60
        else:
            fits = depth >= margin
        if not fits or thorax.inner_depth(point) < margin + 3:
            continue
        if any(np.linalg.norm(point - other.centre) < margin + other.radius_mm for other in placed):
            continue
        if all(vessel.at(point) >= margin - 2 for vessel in thick):
            return float(point[0]), float(point[1]), float(point[2])
    raise ValueError(f"no free place for a nodule of {radius:.1f} mm in a thorax of {thorax.height_mm:.0f} mm")


def draw_thorax(thorax: Thorax, grid: VoxelGrid) -> Image:
    """Hounsfield units without noise, float32, of the grid's shape; edges carry their partial volume."""
    image = np.empty(grid.shape, dtype=np.float32)
    for number in range(grid.shape[0]):
        image[number] = _draw_slice(thorax, grid, number)
    for vessel in thorax.vessels:
        _draw_tube(image, grid, vessel, BLOOD_HU)
    for nodule in thorax.nodules:
        _draw_sphere(image, grid, nodule)
    return image


def _draw_slice(thorax: Thorax, grid: VoxelGrid, number: int) -> Image:
    x, y, z = grid.slice_coordinates(number)
    width = grid.pixel_mm
    image = np.full(x.shape, AIR_HU, dtype=np.float32)

    def paint(covered: Image, hounsfield: float) -> None:
        nonlocal image
        image += covered * (np.float32(hounsfield) - image)

    body = Ellipsoid((0.0, 0.0, 0.0), (165.0, 115.0, INFINITE)).distance(x, y, z)
    paint(coverage(body, width), FAT_HU)
    paint(coverage(body + 9, width), MUSCLE_HU)
    # Ribs: bands in the chest wall that run down towards the front, one every 24 mm.
    band = np.abs((z + 0.45 * y) % 24 - 12) - 4
    paint(coverage(np.maximum(np.abs(body + 15.5) - 4, band), width), RIB_HU)
    inner = [shape.distance(x, y, z) for shape in thorax.not_lung]
    lungs = np.minimum(*(lung.distance(x, y, z) for lung in thorax.lungs))
    tissue = np.maximum(lungs, -np.minimum.reduce(inner))
    paint(coverage(tissue, width), LUNG_HU)
    spine = Ellipsoid((0.0, 62.0, 0.0), (19.0, 16.0, INFINITE)).distance(x, y, z)
    paint(coverage(spine, width), CORTICAL_HU)
    paint(coverage(spine + 2.5, width), MARROW_HU)
    canal = Ellipsoid((0.0, 84.0, 0.0), (9.0, 7.0, INFINITE)).distance(x, y, z)
    paint(coverage(canal - 3.5, width), CORTICAL_HU)
    paint(coverage(canal, width), MUSCLE_HU)
    sternum = Ellipsoid((0.0, -95.0, 0.0), (18.0, 6.0, INFINITE)).distance(x, y, z)
    paint(coverage(sternum, width), RIB_HU)
    airway = np.minimum.reduce([tube.distance(x, y, z) for tube in thorax.airways])
    paint(coverage(airway - 1.5, width), MUSCLE_HU)
    paint(coverage(airway, width), LUMEN_HU)
    drawn: Image = image[0]
    return drawn


def _draw_tube(image: Image, grid: VoxelGrid, tube: Tube, hounsfield: float) -> None:
    middle = np.add(tube.start, tube.end) / 2
    half = float(np.linalg.norm(np.subtract(tube.end, tube.start))) / 2
    box = grid.around(middle, half + tube.radius_mm + grid.pixel_mm)
    if box is None:
        return
    samples = list(grid.samples(box, per_slice=3, per_pixel=1))
    covered = sum(coverage(tube.distance(*sample), grid.pixel_mm) for sample in samples) / np.float32(len(samples))
    image[box] += covered * (np.float32(hounsfield) - image[box])


def _draw_sphere(image: Image, grid: VoxelGrid, nodule: NoduleSphere) -> None:
    box = grid.around(np.array(nodule.centre), nodule.radius_mm + 2 * grid.pixel_mm)
    if box is None:
        return
    cx, cy, cz = (np.float32(value) for value in nodule.centre)
    count = SAMPLES_PER_SLICE * SAMPLES_PER_PIXEL**2
    covered = np.zeros(image[box].shape, dtype=np.float32)
    for x, y, z in grid.samples(box, SAMPLES_PER_SLICE, SAMPLES_PER_PIXEL):
        covered += (x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2 <= nodule.radius_mm**2
    image[box] += covered / np.float32(count) * (np.float32(nodule.hounsfield) - image[box])
