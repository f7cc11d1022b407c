// Labels in few bytes: long runs of one value.

/**
 * Pack a slice.
 *
 * @param {Uint8Array} slice
 * @returns {Uint32Array} value and number of pixels, in turn
 */
export function packRuns(slice) {
  const runs = [];
  for (let start = 0, n = 1; n <= slice.length; n++) {
    if (n === slice.length || slice[n] !== slice[start]) {
      runs.push(slice[start], n - start);
      start = n;
    }
  }
  return Uint32Array.from(runs);
}

/**
 * Unpack what `packRuns` gave.
 *
 * @param {Uint32Array} runs
 * @param {number} size pixels of the slice
 * @returns {Uint8Array}
 * @throws {Error} when the runs are not those of a slice of this size
 */
export function unpackRuns(runs, size) {
  const slice = new Uint8Array(size);
  let end = 0;
  for (let n = 0; n < runs.length; n += 2) {
    slice.fill(runs[n], end, end + runs[n + 1]);
    end += runs[n + 1];
  }
  if (end !== size) throw new Error(`label: its runs cover ${end} pixels; the image has ${size}`);
  return slice;
}
