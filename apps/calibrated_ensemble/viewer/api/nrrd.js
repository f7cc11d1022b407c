// NRRD files as the server sends and takes them: uint8, gzip, in the patient's space.

const LPS_SIGNS = {
  'left-posterior-superior': [1, 1, 1],
  lps: [1, 1, 1],
  'right-anterior-superior': [-1, -1, 1],
  ras: [-1, -1, 1],
};
const UINT8_NAMES = new Set(['unsigned char', 'uchar', 'uint8', 'uint8_t']);
const LONGEST_HEADER = 65536;

/**
 * A uint8 volume and where its voxels lie.
 *
 * @typedef {object} Volume
 * @property {number} channels values per voxel, which lie beside each other in `data`
 * @property {[number, number, number]} size voxels along each axis; the first one varies fastest
 * @property {number[][]} directions for each axis, the step from voxel to voxel in LPS millimetres
 * @property {number[]} origin centre of the first voxel in LPS millimetres
 * @property {Uint8Array} data channels * size[0] * size[1] * size[2] values
 */

/**
 * Read an NRRD file.
 *
 * @param {Uint8Array} bytes the whole file
 * @returns {Promise<Volume>} the volume; a four-dimensional file has its channels on the first axis
 * @throws {Error} when the file is no uint8 NRRD with a place in the patient's space
 */
export async function readNrrd(bytes) {
  const { fields, dataStart } = readHeader(bytes);
  if (!UINT8_NAMES.has(fields.type)) throw new Error(`NRRD: has the type ${fields.type}; uint8 is needed`);
  const signs = LPS_SIGNS[(fields.space ?? '').toLowerCase()];
  if (!signs) throw new Error(`NRRD: has the space ${fields.space}; left-posterior-superior is needed`);
  const sizes = (fields.sizes ?? '').split(/\s+/).map(Number);
  const vectors = (fields['space directions'] ?? '').match(/none|\([^)]*\)/g) ?? [];
  const [size, steps] = sizes.length === 4 ? [sizes.slice(1), vectors.slice(1)] : [sizes, vectors];
  const toLps = text => readVector(text).map((value, axis) => value * signs[axis]);
  const volume = {
    channels: sizes.length === 4 ? sizes[0] : 1,
    size,
    directions: steps.map(toLps),
    origin: toLps(fields['space origin'] ?? ''),
    data: await decode(bytes.subarray(dataStart), fields.encoding),
  };
  checkComplete(volume);
  return volume;
}

/**
 * Write an NRRD file with one value per voxel.
 *
 * @param {{size: number[], directions: number[][], origin: number[]}} grid as in `Volume`
 * @param {Uint8Array[]} slices one for each step along the third axis
 * @returns {Promise<Uint8Array>} the file, gzip inside
 * @throws {Error} when the slices do not fit the grid
 */
export async function writeNrrd({ size, directions, origin }, slices) {
  if (slices.length !== size[2] || slices.some(slice => slice.length !== size[0] * size[1])) {
    throw new Error(`NRRD: ${slices.length} slices do not fit a grid of ${size.join(' x ')} voxels`);
  }
  const header = [
    'NRRD0004',
    'type: uint8',
    'dimension: 3',
    'space: left-posterior-superior',
    `sizes: ${size.join(' ')}`,
    `space directions: ${directions.map(writeVector).join(' ')}`,
    'kinds: domain domain domain',
    'encoding: gzip',
    `space origin: ${writeVector(origin)}`,
    '\n',
  ].join('\n');
  const packed = await through(new Blob(slices), new CompressionStream('gzip'));
  return new Uint8Array(await new Blob([header, packed]).arrayBuffer());
}

function readHeader(bytes) {
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, LONGEST_HEADER));
  const end = /\r?\n\r?\n/.exec(text);
  if (!text.startsWith('NRRD') || !end) throw new Error('NRRD: the file is none, or its header does not end');
  const fields = {};
  for (const line of text.slice(0, end.index).split(/\r?\n/).slice(1)) {
    const [, name, value] = /^([^#:]+): (.*)$/.exec(line) ?? [];
    if (name) fields[name.trim().toLowerCase()] = value.trim();
  }
  return { fields, dataStart: end.index + end[0].length };
}

async function decode(bytes, encoding) {
  if (encoding === 'raw') return bytes;
  if (encoding === 'gzip' || encoding === 'gz') return through(new Blob([bytes]), new DecompressionStream('gzip'));
  throw new Error(`NRRD: has the encoding ${encoding}; raw or gzip is needed`);
}

async function through(blob, transformation) {
  return new Uint8Array(await new Response(blob.stream().pipeThrough(transformation)).arrayBuffer());
}

function readVector(text) {
  return text.replace(/[()]/g, '').split(',').map(Number);
}

function writeVector(vector) {
  return `(${vector.map(value => String(value)).join(',')})`;
}

function checkComplete({ channels, size, directions, origin, data }) {
  const isWhole = size.length === 3 && [channels, ...size].every(count => Number.isInteger(count) && count > 0);
  const hasPlace = [...directions, origin].every(vector => vector.length === 3 && vector.every(Number.isFinite));
  if (!isWhole || directions.length !== 3 || !hasPlace) throw new Error('NRRD: has no complete geometry');
  const count = channels * size[0] * size[1] * size[2];
  if (data.length !== count) throw new Error(`NRRD: holds ${data.length} values; ${count} are needed`);
}
