import assert from 'node:assert/strict';
import { test } from 'node:test';

import { colourOf, COLOUR_STOPS } from '../../../../apps/calibrated_ensemble/viewer/heatmap/colour_map.js';

// Simulated absence of one kind of cone, for linear RGB (Machado, Oliveira and Fernandes 2009, severity 1).
const VISION = {
  'full colour vision': [1, 0, 0, 0, 1, 0, 0, 0, 1],
  protanopia: [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  deuteranopia: [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
  tritanopia: [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
};

/** Lightness L* (CIE 1976) of an sRGB colour as it looks with a kind of vision. */
function lightness(colour, matrix) {
  const linear = colour.map(value => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  const seen = [0, 1, 2].map(row => linear.reduce((sum, value, n) => sum + matrix[3 * row + n] * value, 0));
  const luminance = 0.2126 * seen[0] + 0.7152 * seen[1] + 0.0722 * seen[2];
  return luminance > 216 / 24389 ? 116 * Math.cbrt(luminance) - 16 : (luminance * 24389) / 27;
}

for (const [vision, matrix] of Object.entries(VISION)) {
  test(`higher probabilities look lighter with ${vision}, in even steps`, () => {
    const probabilities = Array.from({ length: 21 }, (_, n) => n / 20);
    const levels = probabilities.map(probability => lightness(colourOf(probability), matrix));
    const steps = levels.slice(1).map((level, n) => level - levels[n]);
    const even = (levels.at(-1) - levels[0]) / steps.length;
    assert.ok(even > 3, `the whole range spans ${levels.at(-1) - levels[0]}`);
    for (const step of steps) {
      assert.ok(step > 0.5 * even && step < 1.6 * even, `steps ${steps.map(s => s.toFixed(1))}`);
    }
  });
}

test('between two stops the colour is between theirs', () => {
  const [a, b] = COLOUR_STOPS;
  assert.deepEqual(
    colourOf((a.at + b.at) / 2),
    a.colour.map((value, n) => (value + b.colour[n]) / 2)
  );
});

test('what is outside 0 to 1 has the colour of the nearest end', () => {
  assert.deepEqual(colourOf(-1), COLOUR_STOPS[0].colour);
  assert.deepEqual(colourOf(0), COLOUR_STOPS[0].colour);
  assert.deepEqual(colourOf(1), COLOUR_STOPS.at(-1).colour);
  assert.deepEqual(colourOf(2), COLOUR_STOPS.at(-1).colour);
});
