// A label on its way to the server, where another one may have come in between.

import { choose } from '../page/question.js';

const CONFLICT = 409;

/**
 * What the server says of a label that came in between.
 *
 * @typedef {object} Conflict
 * @property {string} message who submitted it, and that both are kept
 * @property {string} label_version of the label that stands
 * @property {string} kept_as under which name the server keeps the one that was sent
 */

/**
 * Send a label until it is stored, or the annotator leaves the other one standing.
 *
 * @param {(startedFrom: string) => Promise<object>} send gives the server's answer
 * @param {string} startedFrom version of the label that the work began from
 * @param {(conflict: Conflict) => Promise<'mine' | 'theirs' | ''>} chooseOne which label is to stand; "" when the
 *   annotator wants to look first
 * @returns {Promise<{stored: object | null, left: Conflict | null}>} the answer when the label is stored; the conflict
 *   when the other one stands; neither when nothing was chosen
 * @throws {import('../api/api.js').ServerError} for any other reason
 */
export async function submit(send, startedFrom, chooseOne) {
  let from = startedFrom;
  for (;;) {
    try {
      return { stored: await send(from), left: null };
    } catch (error) {
      if (!isConflict(error)) throw error;
      const choice = await chooseOne(error.detail);
      if (choice !== 'mine') return { stored: null, left: choice === 'theirs' ? error.detail : null };
      from = error.detail.label_version;
    }
  }
}

/** Have the annotator choose between their label and one that came in between. */
export function chooseLabel({ message }) {
  return choose(message, [
    // The first one has the focus, and the key that submitted may still be down.
    ['look', 'Decide later'],
    ['theirs', 'Leave theirs'],
    ['mine', 'Put mine in its place'],
  ]);
}

function isConflict({ status, detail }) {
  return status === CONFLICT && detail?.conflict === 'label';
}
