// Work in progress, kept in this browser until it is submitted.

const DATABASE = 'calibrated-ensemble';
const STORE = 'drafts';

/**
 * A label that is not submitted yet.
 *
 * @typedef {object} Draft
 * @property {string} series SeriesInstanceUID
 * @property {number} savedAt seconds since 1970
 * @property {string} [startedFrom] version of the label that the server had when the work began, "" for none
 * @property {boolean} [awaitsPrediction] whether the strokes are alone, for the prediction had not come yet
 * @property {Map<string, Uint32Array>} slices SOPInstanceUID of each image, and its label as in `run_lengths.js`
 */

/** The browser's store of drafts. */
export class Drafts {
  #database;

  /** Open the store; throws when the browser keeps none, as in some private windows. */
  static async open() {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: 'series' });
    return new Drafts(await finished(opening));
  }

  constructor(database) {
    this.#database = database;
  }

  /** @returns {Promise<Draft | undefined>} */
  load(series) {
    return finished(this.#store('readonly').get(series));
  }

  /** Keep a draft. */
  save(draft) {
    return this.#write(store => store.put(draft));
  }

  remove(series) {
    return this.#write(store => store.delete(series));
  }

  /** @returns {Promise<string[]>} the series that have a draft */
  list() {
    return finished(this.#store('readonly').getAllKeys());
  }

  #store(mode) {
    return this.#database.transaction(STORE, mode).objectStore(STORE);
  }

  #write(change) {
    const store = this.#store('readwrite');
    const request = change(store);
    // Committed here and now, the write outlives a page that closes before its answer comes.
    store.transaction.commit();
    return finished(request);
  }
}

function finished(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
