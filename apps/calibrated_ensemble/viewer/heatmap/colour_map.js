// Viridis (Smith and van der Walt, CC0): equal steps of probability look equal, in grey and without colour vision too.

const VIRIDIS = [
  [68, 1, 84],
  [71, 24, 106],
  [71, 45, 123],
  [66, 64, 134],
  [59, 82, 139],
  [51, 99, 141],
  [44, 114, 142],
  [38, 130, 142],
  [33, 145, 140],
  [31, 160, 136],
  [40, 174, 128],
  [63, 188, 115],
  [94, 201, 98],
  [132, 212, 75],
  [173, 220, 48],
  [216, 226, 25],
  [253, 231, 37],
];

/** Positions 0..1 and colours 0..255 between which a transfer function interpolates. */
export const COLOUR_STOPS = VIRIDIS.map((colour, index) => ({ at: index / (VIRIDIS.length - 1), colour }));

/**
 * Give the colour of a probability.
 *
 * @param {number} probability 0..1; what is outside counts as 0 or 1
 * @returns {[number, number, number]} red, green, blue, 0..255
 */
export function colourOf(probability) {
  const place = Math.min(1, Math.max(0, probability)) * (VIRIDIS.length - 1);
  const below = Math.min(Math.floor(place), VIRIDIS.length - 2);
  return VIRIDIS[below].map((value, channel) => value + (place - below) * (VIRIDIS[below + 1][channel] - value));
}

/** CSS gradient of the colours, from 0 at the left to 1 at the right. */
export function cssGradient() {
  return `linear-gradient(to right, ${COLOUR_STOPS.map(({ at, colour }) => `rgb(${colour}) ${100 * at}%`).join(', ')})`;
}
