// What is known about the present label: its estimated DSC and how it differs from the prediction.

const CERTAIN = 255;

/**
 * Counts of one class in one or more slices.
 *
 * @typedef {object} ClassCounts
 * @property {number} label voxels of the class in the label
 * @property {number} added of these, voxels that the prediction does not give to the class
 * @property {number} removed voxels that only the prediction gives to the class
 * @property {number} expected sum of the probabilities of the class; NaN without a heatmap
 * @property {number} agreeing sum of these probabilities inside the label; NaN without a heatmap
 */

/** Counts of a label against a prediction, kept up to date slice by slice. */
export class Comparison {
  #values;
  #prediction;
  #heatmaps;
  #slices;

  /**
   * @param {number[]} values value of each class in labels
   * @param {Uint8Array[]} prediction for each image
   * @param {Uint8Array[][] | null} heatmaps for each class and image, probabilities times 255
   * @param {Uint8Array[]} label for each image
   */
  constructor(values, prediction, heatmaps, label) {
    this.#values = values;
    this.#prediction = prediction;
    this.#heatmaps = heatmaps;
    this.#slices = label.map((_, index) => this.#count(label, index));
  }

  /** Count some slices of the label again. */
  update(label, indices) {
    for (const index of indices) this.#slices[index] = this.#count(label, index);
  }

  /** @returns {ClassCounts[]} of the whole scan, for each class */
  total() {
    return sumCounts(this.#slices);
  }

  #count(label, index) {
    const heatmaps = this.#heatmaps?.map(slices => slices[index]) ?? this.#values.map(() => null);
    return countSlice(this.#values, label[index], this.#prediction[index], heatmaps);
  }
}

/**
 * Count one slice.
 *
 * @param {number[]} values value of each class in labels
 * @param {Uint8Array} label
 * @param {Uint8Array} prediction
 * @param {(Uint8Array | null)[]} heatmaps for each class, probabilities times 255
 * @returns {ClassCounts[]} for each class
 */
export function countSlice(values, label, prediction, heatmaps) {
  const classOf = new Int16Array(256).fill(-1);
  values.forEach((value, index) => (classOf[value] = index));
  const counts = heatmaps.map(heatmap => {
    let sum = heatmap ? 0 : NaN;
    for (let n = 0; n < (heatmap?.length ?? 0); n++) sum += heatmap[n];
    return { label: 0, added: 0, removed: 0, expected: sum / CERTAIN, agreeing: heatmap ? 0 : NaN };
  });
  for (let n = 0; n < label.length; n++) {
    const [here, there] = [classOf[label[n]], classOf[prediction[n]]];
    if (here >= 0) {
      counts[here].label += 1;
      counts[here].agreeing += (heatmaps[here]?.[n] ?? NaN) / CERTAIN;
      if (here !== there) counts[here].added += 1;
    }
    if (there >= 0 && here !== there) counts[there].removed += 1;
  }
  return counts;
}

/**
 * Add up the counts of slices.
 *
 * @param {ClassCounts[][]} slices for each slice, its classes
 * @returns {ClassCounts[]} for each class
 */
export function sumCounts(slices) {
  const [first, ...others] = slices;
  const total = first.map(counts => ({ ...counts }));
  for (const slice of others) {
    slice.forEach((counts, index) => {
      for (const key of Object.keys(counts)) total[index][key] += counts[key];
    });
  }
  return total;
}

/**
 * Estimate the DSC of a class: the DSC with the probabilities in the place of the truth.
 *
 * @param {ClassCounts} counts
 * @param {number} predicted the server's estimate for the prediction
 * @returns {number} 0..1; the server's where nothing differs from the prediction, since the server also knows how
 *   large such a class usually is, which counts when the class is absent
 */
export function estimatedDsc({ label, added, removed, expected, agreeing }, predicted) {
  if (!added && !removed) return predicted;
  if (label + expected === 0) return 1;
  return (2 * agreeing) / (label + expected);
}

/**
 * Find the slices that differ.
 *
 * @param {Uint8Array[]} slices
 * @param {Uint8Array[]} others as many, of the same sizes
 * @returns {number[]} their indices
 */
export function changedSlices(slices, others) {
  return [...slices.keys()].filter(index => {
    const [slice, other] = [slices[index], others[index]];
    for (let n = 0; n < slice.length; n++) if (slice[n] !== other[n]) return true;
    return false;
  });
}
