// The panel beside the images: the annotator's way from the prediction to the submitted label.

import { agreementTable } from './agreement_table.js';
import { element } from '../page/elements.js';
import { heatmapControls } from './heatmap_controls.js';
import { SHORTCUTS, writtenKeys } from './shortcuts.js';
import { waitingLine } from './waiting.js';

const BOTH_ARE_KEPT =
  'If you submit, yours does not replace another label before you were asked: both are kept, and you choose.';
const ELSEWHERE = {
  'other tab': ['This scan is open in another tab of this browser. Go on there, or here.', 'Go on in this tab'],
  'taken over': [
    'Another tab of this browser goes on with this scan, and has your changes.',
    'Go on in this tab again',
  ],
};

/**
 * Make the panel of an annotation; it follows the annotation's state.
 *
 * @param {import('../label/annotation.js').Annotation} annotation
 * @param {string} client who annotates
 * @returns {HTMLElement}
 */
export function makePanel(annotation, client) {
  const parts = [
    heading(annotation, client),
    messages(annotation),
    otherTab(annotation),
    predictionPart(annotation),
    heatmapControls(annotation),
    submitPart(annotation),
  ];
  const panel = element('section', { id: 'ce-panel', className: 'ce', aria: { label: 'Annotation' } }, ...parts);
  // OHIF's shortcuts rest while a field has the focus; after a click on one, the annotator goes on with the keyboard.
  panel.addEventListener('pointerup', ({ target }) => target.matches('input') && target.blur());
  panel.addEventListener('change', ({ target }) => target.matches('select') && target.blur());
  return panel;
}

/**
 * Make the panel below OHIF's tools.
 *
 * @param {import('../worklist/worklist.js').Worklist} worklist
 * @returns {HTMLElement}
 */
export function makeLowerPanel(worklist) {
  return element('section', { className: 'ce', aria: { label: 'More' } }, worklistPart(worklist), shortcutsPart());
}

function heading(annotation, client) {
  const title = element('h2', { id: 'ce-title' });
  const leave = button('ce-leave', 'Worklist', () => annotation.leave());
  annotation.state.onChange(({ title: text }) => (title.textContent = text || 'Scan'));
  const who = element('p', { id: 'ce-client', className: 'ce-note' }, client);
  return element('header', {}, element('div', { className: 'ce-bar' }, title, leave), who);
}

function messages(annotation) {
  const notice = element('p', { id: 'ce-notice', className: 'ce-good', role: 'status' });
  const warnings = element('ul', { id: 'ce-warnings', className: 'ce-warning' });
  const lost = element('p', { id: 'ce-lost', className: 'ce-warning', role: 'alert' });
  const problem = element('p', { id: 'ce-problem', className: 'ce-problem', role: 'alert' });
  annotation.state.onChange(state => {
    show(notice, state.notice);
    show(lost, state.lost, text => `${text}. ${BOTH_ARE_KEPT}`);
    show(problem, state.problem || refusal(state));
    warnings.replaceChildren(...(state.warnings ?? []).map(text => warning(text, state.places, annotation)));
    warnings.hidden = !state.warnings?.length;
  });
  return element('div', { className: 'ce-messages' }, waitingLine(annotation.state), notice, warnings, lost, problem);
}

/** A warning about the label, with the way to what it is about. */
function warning(text, places, annotation) {
  const line = element('li', {}, text);
  const place = places.find(({ message }) => message === text);
  if (place) {
    const way = button('', 'Show', () => annotation.showPlace(place), 'ce-show');
    line.append(' ', way);
  }
  return line;
}

/** Where the scan is open in another tab of this browser: which tab goes on? */
function otherTab(annotation) {
  const said = element('p', { className: 'ce-warning', role: 'alert' });
  const take = button('ce-take-over', '', () => annotation.takeOver());
  const part = element('section', { id: 'ce-elsewhere', hidden: true }, said, take);
  annotation.state.onChange(({ elsewhere }) => {
    part.hidden = !elsewhere;
    [said.textContent, take.textContent] = ELSEWHERE[elsewhere] ?? ['', ''];
  });
  return part;
}

function predictionPart(annotation) {
  const again = button('ce-predict', 'Run the prediction again', () => annotation.predictAgain());
  const table = element('div');
  annotation.state.onChange(state => {
    again.disabled = !isIdle(state);
    table.replaceChildren(agreementTable(state));
  });
  return element('section', {}, element('h3', {}, 'Label and prediction'), table, again);
}

function submitPart(annotation) {
  const submit = button('ce-submit', 'Submit', () => annotation.submit(), 'ce-main');
  const next = button('ce-next', 'Next scan', () => annotation.next());
  const save = button('ce-download', 'Download the label', () => annotation.download());
  const edited = element('p', { id: 'ce-edited', className: 'ce-note ce-steady' });
  annotation.state.onChange(state => {
    submit.textContent = state.canSendAgain ? 'Send again' : 'Submit';
    submit.disabled = !isIdle(state);
    submit.setAttribute('aria-busy', String(state.doing.startsWith('Submitting')));
    next.disabled = Boolean(state.doing);
    next.textContent = state.warnings ? 'Go on to the next scan' : 'Next scan';
    save.hidden = !state.canSendAgain;
    edited.textContent = state.work.isEdited ? 'Your changes are kept in this browser until you submit.' : '';
  });
  return element('section', {}, edited, element('div', { className: 'ce-bar' }, submit, next), save);
}

function worklistPart(worklist) {
  const opened = ({ target }) => target.open && worklist.refresh();
  const summary = element('summary', { id: 'ce-worklist-toggle' }, 'Worklist');
  return element('details', { on: { toggle: opened } }, summary, worklist.root);
}

function shortcutsPart() {
  const lines = SHORTCUTS.flatMap(({ label, keys }) => [
    element('dt', {}, element('kbd', {}, writtenKeys(keys))),
    element('dd', {}, label),
  ]);
  const stock = [
    ['B', 'Brush'],
    ['E', 'Eraser'],
    ['[ and ]', 'Smaller and larger brush'],
    ['Ctrl+Z', 'Undo'],
    ['Ctrl+Y', 'Redo'],
  ].flatMap(([keys, label]) => [element('dt', {}, element('kbd', {}, keys)), element('dd', {}, label)]);
  const note = element('p', { className: 'ce-note' }, 'All of them can be changed in Settings, Preferences.');
  return element(
    'details',
    {},
    element('summary', { id: 'ce-shortcuts-toggle' }, 'Keyboard'),
    element('dl', { className: 'ce-keys' }, ...lines, ...stock),
    note
  );
}

function refusal({ refused }) {
  return refused && `${refused}. Go back to the worklist, or on to the next scan.`;
}

function isIdle({ isReady, doing, predicting }) {
  return isReady && !doing && !predicting;
}

function show(paragraph, text, words = said => said) {
  paragraph.textContent = text ? words(text) : '';
  paragraph.hidden = !text;
}

function button(id, text, onClick, className = '') {
  return element('button', { id, type: 'button', className, on: { click: onClick } }, text);
}
