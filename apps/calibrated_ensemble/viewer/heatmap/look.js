// How the annotator likes the heatmap, kept in this browser from scan to scan.

const KEY = 'calibrated-ensemble.look';
const DEFAULT = { visible: true, opacity: 0.5, threshold: 0.1 };

/** @returns {import('./heatmap_overlay.js').Look} */
export function keptLook() {
  return { ...DEFAULT, ...JSON.parse(localStorage.getItem(KEY) ?? '{}') };
}

/** @param {import('./heatmap_overlay.js').Look} look */
export function keepLook(look) {
  localStorage.setItem(KEY, JSON.stringify(look));
}
