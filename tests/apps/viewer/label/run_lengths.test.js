import assert from 'node:assert/strict';
import { test } from 'node:test';

import { packRuns, unpackRuns } from '../../../../apps/calibrated_ensemble/viewer/label/run_lengths.js';

for (const [what, slice] of [
  ['nothing', []],
  ['one pixel', [7]],
  ['one run', [2, 2, 2, 2]],
  ['no two alike', [0, 1, 0, 3, 255]],
  ['runs', [0, 0, 0, 1, 1, 3, 0, 0]],
]) {
  test(`a slice of ${what} comes back`, () => {
    const pixels = Uint8Array.from(slice);
    assert.deepEqual(unpackRuns(packRuns(pixels), pixels.length), pixels);
  });
}

test('an empty label takes two numbers', () => {
  assert.deepEqual(packRuns(new Uint8Array(512 * 512)), Uint32Array.of(0, 512 * 512));
});

test('runs of another image are refused', () => {
  const runs = packRuns(new Uint8Array(12));
  assert.throws(() => unpackRuns(runs, 11), /12 pixels; the image has 11/);
  assert.throws(() => unpackRuns(runs, 13), /12 pixels; the image has 13/);
});
