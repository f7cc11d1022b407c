import assert from 'node:assert/strict';
import { test } from 'node:test';

import { copies, putBeneath } from '../../../../apps/calibrated_ensemble/viewer/label/merge.js';

const slices = (...rows) => rows.map(row => Uint8Array.from(row));

test('a prediction fills what was not drawn on, and strokes stay on top of it', () => {
  const blank = slices([0, 0, 0, 0], [0, 0, 0, 0]);
  const strokes = slices([0, 3, 0, 1], [0, 0, 0, 0]);
  const prediction = slices([1, 1, 0, 3], [3, 0, 1, 1]);
  assert.deepEqual(putBeneath(prediction, strokes, blank), slices([1, 3, 0, 1], [3, 0, 1, 1]));
});

test('what was erased while a second prediction was awaited stays erased, and older work is replaced', () => {
  const before = slices([1, 1, 3, 3]);
  const now = slices([0, 1, 3, 1]);
  assert.deepEqual(putBeneath(slices([1, 0, 1, 3]), now, before), slices([0, 0, 1, 1]));
});

test('nothing that is given is changed, and copies are their own', () => {
  const [blank, strokes, prediction] = [slices([0, 0]), slices([1, 0]), slices([3, 3])];
  putBeneath(prediction, strokes, blank);
  assert.deepEqual([blank, strokes, prediction], [slices([0, 0]), slices([1, 0]), slices([3, 3])]);
  const [copy] = copies(strokes);
  copy[0] = 9;
  assert.deepEqual(strokes, slices([1, 0]));
});
