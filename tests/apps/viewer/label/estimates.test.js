import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  changedSlices,
  Comparison,
  countSlice,
  estimatedDsc,
  sumCounts,
} from '../../../../apps/calibrated_ensemble/viewer/label/estimates.js';

const VALUES = [1, 3];

/** Numbers that look random and are the same in each run. */
function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function example(seed, slices = 4, pixels = 60) {
  const random = randomNumbers(seed);
  const label = () => Uint8Array.from({ length: pixels }, () => [0, 0, 1, 3][Math.floor(4 * random())]);
  const heat = () => Uint8Array.from({ length: pixels }, () => Math.floor(256 * random()));
  const many = make => Array.from({ length: slices }, make);
  return { label: many(label), prediction: many(label), heatmaps: VALUES.map(() => many(heat)) };
}

/** The same figures from whole masks of one class, by definition. */
function byDefinition(value, heatmap, label, prediction) {
  const h = heatmap.flatMap(slice => Array.from(slice, v => v / 255));
  const mask = slices => slices.flatMap(slice => Array.from(slice, v => Number(v === value)));
  const [p, q] = [mask(label), mask(prediction)];
  const sum = numbers => numbers.reduce((a, b) => a + b, 0);
  return {
    dsc: (2 * sum(h.map((v, n) => v * p[n]))) / (sum(h) + sum(p)),
    added: sum(p.map((v, n) => v * (1 - q[n]))),
    removed: sum(q.map((v, n) => v * (1 - p[n]))),
  };
}

test('estimate and differences are those of their definition', () => {
  for (const seed of [1, 2, 3]) {
    const { label, prediction, heatmaps } = example(seed);
    const total = new Comparison(VALUES, prediction, heatmaps, label).total();
    VALUES.forEach((value, index) => {
      const { dsc, added, removed } = byDefinition(value, heatmaps[index], label, prediction);
      assert.ok(Math.abs(estimatedDsc(total[index], 0.5) - dsc) < 1e-12);
      assert.equal(total[index].added, added);
      assert.equal(total[index].removed, removed);
    });
  }
});

test('counting changed slices again gives what counting everything gives', () => {
  const { label, prediction, heatmaps } = example(4);
  const comparison = new Comparison(VALUES, prediction, heatmaps, label);
  const edited = label.map(slice => slice.slice());
  edited[2].fill(3, 5, 25);
  edited[0][7] = 0;
  comparison.update(edited, changedSlices(edited, label));
  const afresh = new Comparison(VALUES, prediction, heatmaps, edited).total();
  comparison.total().forEach((counts, index) => {
    for (const [key, value] of Object.entries(counts)) assert.ok(Math.abs(value - afresh[index][key]) < 1e-9, key);
  });
});

test('a voxel given to another class is added there and removed here', () => {
  const [first, second] = countSlice(VALUES, Uint8Array.of(3), Uint8Array.of(1), [
    Uint8Array.of(0),
    Uint8Array.of(255),
  ]);
  assert.deepEqual([first.added, first.removed, second.added, second.removed], [0, 1, 1, 0]);
});

test('a label that nobody changed has the estimate of the server', () => {
  const { label, heatmaps } = example(5);
  const total = new Comparison(VALUES, label, heatmaps, label).total();
  assert.deepEqual(
    total.map(counts => estimatedDsc(counts, 0.875)),
    [0.875, 0.875]
  );
});

test('an erased class of which nothing is expected agrees', () => {
  const empty = [new Uint8Array(4)];
  const [counts] = new Comparison([1], [Uint8Array.of(0, 1, 1, 0)], [empty], empty).total();
  assert.deepEqual(counts, { label: 0, added: 0, removed: 2, expected: 0, agreeing: 0 });
  assert.equal(estimatedDsc(counts, 0.3), 1);
});

test('without a heatmap differences are counted and nothing is estimated', () => {
  const { label, prediction, heatmaps } = example(6);
  const without = new Comparison(VALUES, prediction, null, label).total();
  const total = new Comparison(VALUES, prediction, heatmaps, label).total();
  without.forEach((counts, index) => {
    assert.equal(counts.added, total[index].added);
    assert.ok(Number.isNaN(estimatedDsc(counts, 0.5)));
  });
});

test('values that no class has count nowhere', () => {
  const counts = countSlice([1], Uint8Array.of(2, 255), Uint8Array.of(0, 7), [Uint8Array.of(255, 0)]);
  assert.deepEqual(counts, [{ label: 0, added: 0, removed: 0, expected: 1, agreeing: 0 }]);
});

test('sums leave what is summed as it was', () => {
  const slice = [{ label: 1, added: 2, removed: 3, expected: 4, agreeing: 5 }];
  assert.deepEqual(sumCounts([slice, slice, slice]), [{ label: 3, added: 6, removed: 9, expected: 12, agreeing: 15 }]);
  assert.equal(slice[0].label, 1);
});

test('changed slices are those in which a pixel differs', () => {
  const slices = [Uint8Array.of(1, 2), Uint8Array.of(3, 4), Uint8Array.of(5, 6)];
  assert.deepEqual(changedSlices(slices, slices), []);
  assert.deepEqual(changedSlices(slices, [slices[0], Uint8Array.of(3, 5), Uint8Array.of(0, 6)]), [1, 2]);
});
