// A scan is the annotator's for some time, which is prolonged while they work on it.

import { giveScanBack, takeScan } from '../api/api.js';

const TAKEN_BY_ANOTHER = 409;
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
  #isKept = false;

  /**
   * @param {string} client
   * @param {string} series
   * @param {(message: string) => void} onLost called with "" when it is held again
   */
  constructor(client, series, onLost) {
    this.#client = client;
    this.#series = series;
    this.#onLost = onLost;
  }

  /**
   * Take the scan and keep it until `end`.
   *
   * @throws {import('../api/api.js').ServerError} when another annotator has it, or it is labelled
   */
  async take() {
    const { lease_expires: expires } = await takeScan(this.#client, this.#series);
    this.keep(expires);
  }

  /** Renew the lease at half of its time, and whenever the annotator returns to the page. */
  keep(expires = Date.now() / 1000 + RETRY_SECONDS) {
    clearTimeout(this.#timer);
    const seconds = Math.max(SHORTEST_SECONDS, expires - Date.now() / 1000) / 2;
    this.#timer = setTimeout(this.#renew, Math.min(1000 * seconds, LONGEST_MS));
    if (this.#isKept) return;
    this.#isKept = true;
    document.addEventListener('visibilitychange', this.#returned);
  }

  /** Keep it no longer. */
  end() {
    this.#isKept = false;
    clearTimeout(this.#timer);
    document.removeEventListener('visibilitychange', this.#returned);
  }

  /** Let others have the scan. */
  async giveBack() {
    this.end();
    await giveScanBack(this.#client, this.#series);
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
      this.keep();
      // A server that is away for a moment takes nothing from anybody.
      if (error.status === TAKEN_BY_ANOTHER) this.#onLost(error.message);
    }
  };
}
