// For each class: how good the prediction and the present label are expected to be, and how they differ.

import { element } from '../page/elements.js';
import { estimatedDsc } from '../label/estimates.js';
import { millilitres, percent } from '../page/words.js';

/**
 * Make the table.
 *
 * @param {object} state of the annotation
 * @returns {Node}
 */
export function agreementTable({ segments, prediction, work, voxelVolume }) {
  const heads = [
    ['Class', 1],
    ['Estimated DSC', 2],
    ['Changed by you', 2],
  ].map(([text, colSpan]) => element('th', { scope: 'col', colSpan }, text));
  const below = ['', 'prediction', 'now', 'added', 'removed'].map(text => element('th', { scope: 'col' }, text));
  below[2].title =
    'Agreement of the present label with the heatmap; it falls when you correct what the model is sure of';
  const rows = segments.map((segment, index) =>
    row(segment, prediction?.estimated_dsc[segment.name], work.counts?.[index], voxelVolume)
  );
  return element(
    'table',
    { id: 'ce-agreement', className: 'ce-figures' },
    element('thead', {}, element('tr', {}, ...heads), element('tr', { className: 'ce-note' }, ...below)),
    element('tbody', {}, ...rows)
  );
}

function row({ name, colour }, predicted, counts, voxelVolume) {
  const swatch = element('span', { className: 'ce-swatch' });
  swatch.style.background = `rgb(${colour})`;
  const cells = {
    predicted: percent(predicted),
    now: percent(counts && estimatedDsc(counts, predicted)),
    added: volume(counts?.added, voxelVolume, '+'),
    removed: volume(counts?.removed, voxelVolume, '−'),
  };
  const figures = Object.entries(cells).map(([key, text]) => element('td', { data: { figure: key } }, text));
  figures[2].title = `${counts?.added ?? 0} voxels`;
  figures[3].title = `${counts?.removed ?? 0} voxels`;
  return element('tr', { data: { class: name } }, element('th', { scope: 'row' }, swatch, name), ...figures);
}

function volume(voxels, voxelVolume, sign) {
  return voxels ? `${sign}${millilitres(voxels * voxelVolume)}` : '–';
}
