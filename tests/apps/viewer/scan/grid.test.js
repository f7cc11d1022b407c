import assert from 'node:assert/strict';
import { test } from 'node:test';

import { gridOf, toSlices, voxelVolume } from '../../../../apps/calibrated_ensemble/viewer/scan/grid.js';

const AXES = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
];
const add = (a, b, factor = 1) => a.map((value, axis) => value + factor * b[axis]);

/** Planes of a stack, turned about two axes, with anisotropic pixels. */
function stack({ columns = 3, rows = 4, count = 5, isDescending = false } = {}) {
  const [cos, sin] = [Math.cos(0.3), Math.sin(0.3)];
  const columnStep = [0.7 * cos, 0.7 * sin, 0];
  const rowStep = [-1.1 * sin * cos, 1.1 * cos * cos, 1.1 * sin];
  const sliceStep = [2.5 * sin * sin, -2.5 * cos * sin, 2.5 * cos];
  const numbers = [...Array(count).keys()];
  return (isDescending ? numbers.reverse() : numbers).map(number => {
    return { position: add([-40, 12, 7], sliceStep, number), columnStep, rowStep, columns, rows };
  });
}

/** The same voxels in a file whose axes are in another order and direction; the value tells the place. */
function volumeOf(planes, axes, flips, channels = 1) {
  const { size, directions, origin } = gridOf(planes);
  const start = axes.reduce(
    (place, axis, n) => (flips[n] ? add(place, directions[axis], size[axis] - 1) : place),
    origin
  );
  const volume = {
    channels,
    size: axes.map(axis => size[axis]),
    directions: axes.map((axis, n) => directions[axis].map(value => (flips[n] ? -value : value))),
    origin: start,
    data: new Uint8Array(channels * size[0] * size[1] * size[2]),
  };
  const [nx, ny, nz] = volume.size;
  for (let k = 0, n = 0; k < nz; k++) {
    for (let j = 0; j < ny; j++) {
      for (let i = 0; i < nx; i++) {
        for (let c = 0; c < channels; c++, n++) volume.data[n] = valueAt(placeOf(volume, [i, j, k]), c);
      }
    }
  }
  return volume;
}

const placeOf = ({ origin, directions }, index) =>
  directions.reduce((place, direction, axis) => add(place, direction, index[axis]), origin);

/** A number that differs from place to place. */
function valueAt(place, channel) {
  const [x, y, z] = place.map(value => Math.round(1000 * value));
  return Math.abs(x * 31 + y * 17 + z * 7 + channel * 101) % 251;
}

test('every order and direction of the axes comes back on the planes', () => {
  const planes = stack();
  for (const axes of AXES) {
    for (let bits = 0; bits < 8; bits++) {
      const flips = [bits & 1, bits & 2, bits & 4].map(Boolean);
      const slices = toSlices(volumeOf(planes, axes, flips), planes);
      planes.forEach(({ position, columnStep, rowStep, columns, rows }, number) => {
        for (let row = 0; row < rows; row++) {
          for (let column = 0; column < columns; column++) {
            const place = add(add(position, columnStep, column), rowStep, row);
            assert.equal(slices[number][row * columns + column], valueAt(place, 0), `${axes} ${flips} ${number}`);
          }
        }
      });
    }
  }
});

test('channels lie beside each other and are told apart', () => {
  const planes = stack({ count: 2 });
  const volume = volumeOf(planes, [2, 0, 1], [true, false, false], 3);
  for (const channel of [0, 1, 2]) {
    const [slice] = toSlices(volume, planes, channel);
    assert.equal(slice[0], valueAt(planes[0].position, channel));
    assert.equal(slice[1], valueAt(add(planes[0].position, planes[0].columnStep), channel));
  }
});

test('one voxel is a volume', () => {
  const planes = stack({ columns: 1, rows: 1, count: 1 });
  assert.deepEqual(toSlices(volumeOf(planes, [0, 1, 2], [false, false, false]), planes), [
    Uint8Array.of(valueAt(planes[0].position, 0)),
  ]);
});

test('a volume that is shifted, rotated, or too small is refused', () => {
  const planes = stack();
  const volume = volumeOf(planes, [0, 1, 2], [false, false, false]);
  const half = add(volume.origin, volume.directions[0], 0.5);
  assert.throws(() => toSlices({ ...volume, origin: half }, planes), /another voxel grid/);
  const [a, b, c] = volume.directions;
  assert.throws(() => toSlices({ ...volume, directions: [b, a, c] }, planes), /another voxel grid/);
  assert.throws(() => toSlices({ ...volume, size: [2, 4, 5] }, planes), /another voxel grid/);
  assert.throws(() => toSlices({ ...volume, directions: [a, b, add(c, a, 0.1)] }, planes), /another voxel grid/);
});

test('noise of float32 headers is no other grid', () => {
  const planes = stack();
  const volume = volumeOf(planes, [0, 1, 2], [false, false, false]);
  const rounded = {
    ...volume,
    origin: volume.origin.map(Math.fround),
    directions: volume.directions.map(d => d.map(Math.fround)),
  };
  assert.deepEqual(toSlices(rounded, planes), toSlices(volume, planes));
});

test('the grid of a series runs along its normal, whatever the order of its images', () => {
  const [ascending, descending] = [gridOf(stack()), gridOf(stack({ isDescending: true }))];
  assert.deepEqual(ascending.order, [0, 1, 2, 3, 4]);
  assert.deepEqual(descending.order, [4, 3, 2, 1, 0]);
  assert.deepEqual(descending.origin, ascending.origin);
  assert.ok(Math.abs(voxelVolume(ascending) - 0.7 * 1.1 * 2.5) < 1e-9);
  const [a, b, c] = ascending.directions;
  const normal = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  assert.ok(normal.reduce((sum, value, axis) => sum + value * c[axis], 0) > 0);
});
