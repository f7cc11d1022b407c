// Between a volume in any voxel order and the image planes that the viewer shows.

// Geometry travels through float32 headers: this part of a voxel is noise, more is another grid.
const TOLERANCE = 0.02;

/**
 * Where the pixels of one image lie.
 *
 * @typedef {object} Plane
 * @property {number[]} position centre of the first pixel in LPS millimetres
 * @property {number[]} columnStep from one column to the next, in millimetres (along a row of pixels)
 * @property {number[]} rowStep from one row to the next, in millimetres
 * @property {number} columns
 * @property {number} rows
 */

/**
 * Copy one channel of a volume to the planes of a series, whatever the order of its axes.
 *
 * @param {import('../api/nrrd.js').Volume} volume
 * @param {Plane[]} planes
 * @param {number} [channel]
 * @returns {Uint8Array[]} for each plane, its pixels row by row
 * @throws {Error} when the volume's voxels are not the pixels of the planes
 */
export function toSlices(volume, planes, channel = 0) {
  return planes.map(plane => copyPlane(volume, plane, channel));
}

/**
 * Give the grid of a series for a file, and the order in which its planes fill it.
 *
 * @param {Plane[]} planes in any order, parallel and evenly spaced
 * @returns {{size: number[], directions: number[][], origin: number[], order: number[]}} `order` holds indices of
 *   planes by growing position along column step x row step
 */
export function gridOf(planes) {
  const [{ columnStep, rowStep, columns, rows }] = planes;
  const normal = scaled(cross(columnStep, rowStep), 1 / length(cross(columnStep, rowStep)));
  const heights = planes.map(plane => dot(plane.position, normal));
  const order = [...planes.keys()].sort((a, b) => heights[a] - heights[b]);
  const first = planes[order[0]];
  const last = planes[order.at(-1)];
  const steps = planes.length - 1;
  const sliceStep = steps ? scaled(difference(last.position, first.position), 1 / steps) : normal;
  return {
    size: [columns, rows, planes.length],
    directions: [columnStep, rowStep, sliceStep],
    origin: first.position,
    order,
  };
}

/** Volume of a voxel in cubic millimetres. */
export function voxelVolume({ directions: [a, b, c] }) {
  return Math.abs(dot(a, cross(b, c)));
}

function copyPlane({ size, directions, origin, channels, data }, plane, channel) {
  const toIndex = inverse(directions);
  const first = toIndex(difference(plane.position, origin));
  const perColumn = toIndex(plane.columnStep);
  const perRow = toIndex(plane.rowStep);
  const last = first.map(
    (value, axis) => value + perColumn[axis] * (plane.columns - 1) + perRow[axis] * (plane.rows - 1)
  );
  checkInside([first, last], [perColumn, perRow], size);
  const strides = [channels, channels * size[0], channels * size[0] * size[1]];
  const offset = index => index.reduce((sum, value, axis) => sum + Math.round(value) * strides[axis], 0);
  const [start, columnOffset, rowOffset] = [offset(first) + channel, offset(perColumn), offset(perRow)];
  const slice = new Uint8Array(plane.columns * plane.rows);
  let pixel = 0;
  for (let row = 0; row < plane.rows; row++) {
    let voxel = start + row * rowOffset;
    for (let column = 0; column < plane.columns; column++, pixel++, voxel += columnOffset) slice[pixel] = data[voxel];
  }
  return slice;
}

function checkInside(corners, steps, size) {
  const isWhole = value => Math.abs(value - Math.round(value)) <= TOLERANCE;
  const fits = corners.every(corner => corner.every((v, axis) => Math.round(v) >= 0 && Math.round(v) < size[axis]));
  if (!fits || ![...corners, ...steps].flat().every(isWhole)) {
    throw new Error('The server answered on another voxel grid than that of the images on screen.');
  }
}

function inverse([a, b, c]) {
  const determinant = dot(a, cross(b, c));
  const rows = [cross(b, c), cross(c, a), cross(a, b)].map(row => scaled(row, 1 / determinant));
  return vector => rows.map(row => dot(row, vector));
}

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const difference = (a, b) => a.map((value, axis) => value - b[axis]);
const scaled = (a, factor) => a.map(value => value * factor);
const length = a => Math.hypot(...a);
