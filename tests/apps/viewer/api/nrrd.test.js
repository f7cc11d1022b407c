import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

import { readNrrd, writeNrrd } from '../../../../apps/calibrated_ensemble/viewer/api/nrrd.js';

const HEADER = {
  type: 'unsigned char',
  dimension: '3',
  space: 'left-posterior-superior',
  sizes: '2 3 4',
  'space directions': '(1.5,0,0) (0,0,-2) (0,-0.25,0)',
  kinds: 'domain domain domain',
  encoding: 'raw',
  'space origin': '(-10.5,20,3e1)',
};

const COUNT = 24;
const DATA = Uint8Array.from({ length: COUNT }, (_, index) => index);

function file(changes = {}, data = DATA, newline = '\n') {
  const fields = Object.entries({ ...HEADER, ...changes }).filter(([, value]) => value !== null);
  const lines = ['NRRD0004', '# made by a test', ...fields.map(([name, value]) => `${name}: ${value}`), '', ''];
  return Uint8Array.from(Buffer.concat([Buffer.from(lines.join(newline)), data]));
}

test('a raw file is read with its geometry', async () => {
  const volume = await readNrrd(file());
  assert.deepEqual(volume.size, [2, 3, 4]);
  assert.deepEqual(volume.directions, [
    [1.5, 0, 0],
    [0, 0, -2],
    [0, -0.25, 0],
  ]);
  assert.deepEqual(volume.origin, [-10.5, 20, 30]);
  assert.equal(volume.channels, 1);
  assert.deepEqual(volume.data, DATA);
});

test('a gzip file and one with line ends of Windows hold the same', async () => {
  const raw = await readNrrd(file());
  assert.deepEqual(await readNrrd(file({ encoding: 'gzip' }, gzipSync(DATA))), raw);
  assert.deepEqual(await readNrrd(file({}, DATA, '\r\n')), raw);
});

test('a file in RAS is turned to LPS', async () => {
  const { directions, origin } = await readNrrd(file({ space: 'right-anterior-superior' }));
  assert.deepEqual(origin, [10.5, -20, 30]);
  assert.deepEqual(
    directions.flat().map(value => value + 0),
    [-1.5, 0, 0, 0, 0, -2, 0, 0.25, 0]
  );
});

test('channels are the first axis of a file of four dimensions', async () => {
  const changes = { sizes: '2 1 3 4', 'space directions': `none ${HEADER['space directions']}` };
  const volume = await readNrrd(file({ ...changes, kinds: 'list domain domain domain' }));
  assert.equal(volume.channels, 2);
  assert.deepEqual(volume.size, [1, 3, 4]);
  assert.deepEqual(volume.directions[2], [0, -0.25, 0]);
});

for (const [what, changes, data, message] of [
  ['another type', { type: 'float' }, DATA, /type float/],
  ['an unknown encoding', { encoding: 'bzip2' }, DATA, /encoding bzip2/],
  ['no space', { space: null }, DATA, /space undefined/],
  ['no directions', { 'space directions': null }, DATA, /no complete geometry/],
  ['no origin', { 'space origin': null }, DATA, /no complete geometry/],
  ['two dimensions', { sizes: '4 6' }, DATA, /no complete geometry/],
  ['missing voxels', {}, DATA.subarray(1), /holds 23 values; 24 are needed/],
]) {
  test(`a file with ${what} is refused`, () => assert.rejects(readNrrd(file(changes, data)), message));
}

test('something else is refused', () => assert.rejects(readNrrd(new TextEncoder().encode('{"detail": "no"}')), /none/));

test('what is written is read back, to the last digit', async () => {
  const grid = {
    size: [2, 3, 2],
    directions: [
      [0.1 + 0.2, 1 / 3, 0],
      [0, 1e-7, 1],
      [-0.95, 0, 2.5],
    ],
    origin: [-123.456789012345, 1e-9, 42],
  };
  const slices = [DATA.subarray(0, 6), DATA.subarray(6, 12)];
  const volume = await readNrrd(await writeNrrd(grid, slices));
  assert.deepEqual(volume, { ...grid, channels: 1, data: DATA.slice(0, 12) });
});

test('slices that do not fit the grid are refused', async () => {
  const grid = { size: [2, 3, 2], directions: [], origin: [] };
  await assert.rejects(writeNrrd(grid, [DATA.subarray(0, 6)]), /do not fit/);
  await assert.rejects(writeNrrd(grid, [DATA.subarray(0, 6), DATA.subarray(0, 5)]), /do not fit/);
});
