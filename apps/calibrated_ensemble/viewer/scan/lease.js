// A scan is the annotator's for some time, which is prolonged while they work on it.

import { giveScanBack, giveScanBackAtLast, takeScan } from '../api/api.js';

const TAKEN_BY_ANOTHER = 409;
const NOT_UNLABELLED = 404;
const RETRY_SECONDS = 60;
const SHORTEST_SECONDS = 10;
// Timers take no longer times.
const LONGEST_MS = 2 ** 31 - 1;

/** The annotator's hold on one scan. */
export class Lease {
  #client;
  #series;
  #onLost;
  #timer;
  #expires = null;
  #isKept = false;

  /**
   * @param {string} client
   * @param {string} series
   * @param {(message: string) => void} onLost called when another annotator has the scan or its label was submitted
   *   meanwhile, and with "" when it is held again
   */
  constructor(client, series, onLost) {
    this.#client = client;
    this.#series = series;
    this.#onLost = onLost;
  }

  /**
   * Take the scan and keep it until `end`.
   *
   * @returns {Promise<string>} version of the label that the scan has, "" for none
   * @throws {import('../api/api.js').ServerError} `isElsewhere` tells when another annotator has it, or it is labelled
   */
  async take() {
    const { lease_expires: expires, label_version: version } = await takeScan(this.#client, this.#series);
    this.keep(expires);
    return version ?? '';
  }

  /** Renew the lease at half of its time, and whenever the annotator returns to the page. */
  keep(expires = null) {
    this.#expires = expires;
    clearTimeout(this.#timer);
    const left = expires === null ? RETRY_SECONDS : expires - Date.now() / 1000;
    const seconds = Math.max(SHORTEST_SECONDS, left) / 2;
    this.#timer = setTimeout(this.#renew, Math.min(1000 * seconds, LONGEST_MS));
    if (this.#isKept) return;
    this.#isKept = true;
    document.addEventListener('visibilitychange', this.#returned);
  }

  /** Keep it no longer. */
  end() {
    this.#isKept = false;
    this.#expires = null;
    clearTimeout(this.#timer);
    document.removeEventListener('visibilitychange', this.#returned);
  }

  /** Let others have the scan. */
  async giveBack() {
    if (!this.#isKept) return;
    this.end();
    await giveScanBack(this.#client, this.#series);
  }

  /** Let others have the scan, since the page closes. */
  giveBackAtLast() {
    if (this.#expires !== null) giveScanBackAtLast(this.#client, this.#series, this.#expires);
    this.end();
  }

  #returned = () => {
    if (document.visibilityState === 'visible') this.#renew();
  };

  #renew = async () => {
    try {
      const { lease_expires: expires } = await takeScan(this.#client, this.#series);
      if (!this.#isKept) return;
      this.keep(expires);
      this.#onLost('');
    } catch (error) {
      if (!this.#isKept) return;
      this.keep(isElsewhere(error) ? null : this.#expires);
      // A server that is away for a moment takes nothing from anybody.
      if (isElsewhere(error)) this.#onLost(error.message);
    }
  };
}

/** Whether a refused lease means that the scan is another annotator's, or labelled already. */
export function isElsewhere(error) {
  return error.status === TAKEN_BY_ANOTHER || error.status === NOT_UNLABELLED;
}
