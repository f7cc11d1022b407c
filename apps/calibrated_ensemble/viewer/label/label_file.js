// The label as a file, for the server or for the annotator's disk.

import { gridOf } from '../scan/grid.js';
import { writeNrrd } from '../api/nrrd.js';

/**
 * Pack a label on the grid of its scan.
 *
 * @param {import('../scan/grid.js').Plane[]} planes of the scan's images
 * @param {Uint8Array[]} slices the label of each
 * @param {import('../api/api.js').Segment[]} segments the task's classes
 * @returns {Promise<{file: Uint8Array, present: import('../api/api.js').Segment[]}>} NRRD, and the classes in it
 */
export async function packLabel(planes, slices, segments) {
  const { order, ...grid } = gridOf(planes);
  return {
    file: await writeNrrd(
      grid,
      order.map(index => slices[index])
    ),
    present: segments.filter(({ value }) => slices.some(slice => slice.includes(value))),
  };
}

/** Save a file on the annotator's disk. */
export function download(file, name) {
  const address = URL.createObjectURL(new Blob([file]));
  const link = Object.assign(document.createElement('a'), { href: address, download: name });
  link.click();
  // Browsers start the download after the click has been handled.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
