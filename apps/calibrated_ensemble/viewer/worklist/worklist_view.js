// The worklist: the least certain scans first, who has them, and how many are left.

import { element } from '../page/elements.js';
import { clockTime, countsLine, percent } from '../page/words.js';

/**
 * Make the list's elements.
 *
 * @param {object} worklist the server's answer
 * @param {object} choices
 * @param {Set<string>} choices.drafts series with work in progress in this browser
 * @param {string} choices.current the series on screen; "" when none
 * @param {(scan: {series: string, study: string}) => void} choices.onOpen
 * @returns {Node}
 */
export function worklistView(worklist, { drafts, current, onOpen }) {
  const { counts, message, scans, generation } = worklist;
  const mine = scans.filter(scan => scan.leased_to_you).length;
  const view = element('div', { id: 'ce-worklist' });
  view.append(element('p', { id: 'ce-counts', className: 'ce-counts' }, countsLine(counts, mine)));
  if (!generation) {
    const text = 'There is no model yet: scans come in random order, and without a prediction.';
    view.append(element('p', { className: 'ce-note' }, text));
  }
  if (message) view.append(element('p', { id: 'ce-empty', className: 'ce-note' }, message));
  if (scans.length) view.append(table(scans, drafts, current, onOpen));
  return view;
}

function table(scans, drafts, current, onOpen) {
  const heads = ['Scan', 'Estimated DSC', ''].map(text => element('th', { scope: 'col' }, text));
  const rows = scans.map(scan => row(scan, drafts.has(scan.id), scan.id === current, onOpen));
  return element(
    'table',
    { className: 'ce-scans' },
    element('thead', {}, element('tr', {}, ...heads)),
    element('tbody', {}, ...rows)
  );
}

function row(scan, hasDraft, isCurrent, onOpen) {
  const name = scan.description || `…${scan.id.slice(-12)}`;
  const isTaken = Boolean(scan.leased_to) && !scan.leased_to_you;
  const open = element(
    'button',
    {
      className: 'ce-open',
      disabled: isTaken || isCurrent,
      data: { series: scan.id },
      aria: { label: `Open ${name}` },
      on: { click: () => onOpen({ series: scan.id, study: scan.study }) },
    },
    isCurrent ? 'On screen' : 'Open'
  );
  const note = noteOf(scan, hasDraft, isTaken);
  return element(
    'tr',
    { data: { series: scan.id }, className: isTaken ? 'ce-taken' : '' },
    element('td', {}, name, ...(note ? [element('div', { className: 'ce-note' }, note)] : [])),
    element(
      'td',
      { title: perClass(scan) },
      scan.mean_estimated_dsc === null ? 'not yet known' : percent(scan.mean_estimated_dsc)
    ),
    element('td', {}, open)
  );
}

function noteOf(scan, hasDraft, isTaken) {
  if (isTaken) return `with ${scan.leased_to} until ${clockTime(scan.lease_expires)}`;
  if (hasDraft) return 'your unfinished work is kept in this browser';
  if (scan.error) return `cannot be read: ${scan.error}`;
  return scan.leased_to_you ? 'with you' : '';
}

function perClass({ estimated_dsc: estimates }) {
  return Object.entries(estimates ?? {})
    .map(([name, estimate]) => `${name} ${percent(estimate)}`)
    .join(', ');
}
