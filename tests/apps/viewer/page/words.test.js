import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  countsLine,
  millilitres,
  percent,
  placeLine,
  waitedTime,
} from '../../../../apps/calibrated_ensemble/viewer/page/words.js';

test('fractions are percent, and a dash where there is none', () => {
  assert.equal(percent(0.834), '83 %');
  assert.equal(percent(0), '0 %');
  assert.equal(percent(undefined), '–');
  assert.equal(percent(NaN), '–');
});

test('volumes are millilitres with the digits that matter', () => {
  const said = [0, 3, 44, 449, 16300, 1234567].map(millilitres);
  assert.deepEqual(said, ['0 ml', '< 0.01 ml', '0.04 ml', '0.4 ml', '16.3 ml', '1235 ml']);
});

test('counts tell own scans from those of others', () => {
  const counts = { labelled: 12, leased: 4, free: 25, broken: 0 };
  assert.equal(countsLine(counts, 1), '12 labelled, 1 with you, 3 with others, 25 left');
  assert.equal(countsLine({ ...counts, broken: 2 }, 0), '12 labelled, 4 with others, 25 left, 2 unreadable');
});

test('a place is told by its number, class and size', () => {
  assert.equal(placeLine({ class: 'anterior', volume_mm3: 400 }, 1, 5), '2 of 5, anterior, 0.4 ml');
});

test('the time of waiting is seconds, then minutes, and nothing at first', () => {
  assert.deepEqual([0, 2.9, 3.2, 59.9, 60, 125].map(waitedTime), ['', '', '3 s', '59 s', '1 min 0 s', '2 min 5 s']);
});
