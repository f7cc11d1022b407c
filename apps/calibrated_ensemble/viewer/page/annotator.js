// Who annotates in this browser.

const KEY = 'calibrated-ensemble.annotator';
const LONGEST_NAME = 60;

/**
 * Give the annotator's name and what the server knows them by, made when this browser is used for the first time.
 *
 * @returns {{name: string, mark: string, client: string}} `client` ends with the browser's own mark, so that two
 *   browsers never share one
 */
export function currentAnnotator() {
  const kept = JSON.parse(localStorage.getItem(KEY) ?? 'null') ?? { name: 'Annotator', mark: newMark() };
  localStorage.setItem(KEY, JSON.stringify(kept));
  return { ...kept, client: `${kept.name} (${kept.mark})` };
}

/** Change the annotator's name; the browser's mark stays. */
export function renameAnnotator(name) {
  const { mark } = currentAnnotator();
  localStorage.setItem(KEY, JSON.stringify({ name: name.trim().slice(0, LONGEST_NAME) || 'Annotator', mark }));
  return currentAnnotator();
}

function newMark() {
  const bytes = crypto.getRandomValues(new Uint8Array(4));
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('');
}
