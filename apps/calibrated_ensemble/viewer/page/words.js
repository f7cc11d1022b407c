// Numbers and moments as the annotator reads them.

/** A fraction of 1 as percent, or a dash when there is none. */
export function percent(fraction) {
  return Number.isFinite(fraction) ? `${Math.round(100 * fraction)} %` : '–';
}

/** Cubic millimetres in millilitres, with the digits that matter. */
export function millilitres(cubicMillimetres) {
  const value = cubicMillimetres / 1000;
  if (value === 0) return '0 ml';
  if (value < 0.01) return '< 0.01 ml';
  return `${value.toFixed(value < 0.1 ? 2 : value < 100 ? 1 : 0)} ml`;
}

/** Seconds since 1970 as hours and minutes here. */
export function clockTime(seconds) {
  return new Date(1000 * seconds).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}

/** How long something has been waited for, in words that need not be read before a few seconds are over. */
export function waitedTime(seconds) {
  const whole = Math.floor(seconds);
  if (whole < 3) return '';
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/**
 * How many scans there are, for the head of the worklist.
 *
 * @param {{labelled: number, leased: number, free: number, broken: number}} counts
 * @param {number} mine how many of the leased ones are the annotator's own
 */
export function countsLine({ labelled, leased, free, broken }, mine) {
  const parts = [`${labelled} labelled`];
  if (mine) parts.push(`${mine} with you`);
  parts.push(`${leased - mine} with others`, `${free} left`);
  if (broken) parts.push(`${broken} unreadable`);
  return parts.join(', ');
}

/**
 * Where the annotator has been taken.
 *
 * @param {{class: string, volume_mm3: number}} place
 * @param {number} index from 0
 * @param {number} count
 */
export function placeLine(place, index, count) {
  return `${index + 1} of ${count}, ${place.class}, ${millilitres(place.volume_mm3)}`;
}
