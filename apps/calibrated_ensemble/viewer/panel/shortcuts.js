// Our keyboard shortcuts, beside OHIF's own, in its list (Settings, Preferences) and in the panel.

/** Each runs a command of `extension.js`; none of the keys is taken by OHIF. */
export const SHORTCUTS = [
  { commandName: 'ceNextPlace', label: 'Next uncertain place', keys: ['u'] },
  { commandName: 'ceToggleHeatmap', label: 'Heatmap on and off', keys: ['m'] },
  { commandName: 'ceSubmit', label: 'Submit the label', keys: ['ctrl+enter'] },
  { commandName: 'ceNextScan', label: 'Next scan', keys: ['shift+n'] },
];

// Classes come from the server's task: a segment more is one that nobody knows.
const NOT_OFFERED = new Set(['addNewSegment']);

/** OHIF's shortcuts and ours. */
export function withShortcuts(stock) {
  return [...stock.filter(({ commandName }) => !NOT_OFFERED.has(commandName)), ...SHORTCUTS];
}

/** The keys of a shortcut as they are written on keyboards, such as "Ctrl+Enter". */
export function writtenKeys(keys) {
  return keys
    .join('+')
    .split('+')
    .map(key => key[0].toUpperCase() + key.slice(1))
    .join('+');
}
