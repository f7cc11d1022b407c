// Questions that must be answered before anything else.

import { element } from './elements.js';

const KEYS = ['keydown', 'keypress', 'keyup'];
// OHIF's dialogs and menus, and ours.
const ANY_DIALOG = 'dialog[open], [role="dialog"]';

/**
 * Ask which of several things is to be done.
 *
 * @param {string} question
 * @param {[string, string][]} choices name and words of each; the name becomes the id of its button, after "ce-"
 * @returns {Promise<string>} the name; "" when the dialog was closed without a choice, as by Escape, and at once when
 *   another question is open
 */
export function choose(question, choices) {
  if (document.querySelector('#ce-question')) return Promise.resolve('');
  return new Promise(resolve => {
    const buttons = choices.map(([name, text]) => element('button', { id: `ce-${name}`, value: name }, text));
    const form = element('form', { method: 'dialog' }, element('p', {}, question), ...buttons);
    const dialog = element('dialog', { id: 'ce-question', className: 'ce' }, form);
    // OHIF's shortcuts listen further down, and take Escape from the browser, which closes the dialog by it.
    for (const kind of KEYS) window.addEventListener(kind, keepFromOthers, true);
    dialog.addEventListener('close', () => {
      for (const kind of KEYS) window.removeEventListener(kind, keepFromOthers, true);
      dialog.remove();
      resolve(dialog.returnValue);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Ask a question of yes and no; resolves to whether the answer is yes. */
export async function ask({ question, yes, no }) {
  const answer = await choose(question, [
    ['no', no],
    ['yes', yes],
  ]);
  return answer === 'yes';
}

/** Whether a dialog is open, OHIF's or ours: what is behind it must not go on. */
export function isDialogOpen() {
  return document.querySelector(ANY_DIALOG) !== null;
}

function keepFromOthers(event) {
  event.stopPropagation();
}
