// Keeps the draft of one scan up to date while the annotator works.

import { packRuns, unpackRuns } from './run_lengths.js';

const DELAY_MS = 500;

/** The draft of one scan. */
export class DraftKeeper {
  #drafts;
  #series;
  #instanceUids;
  #packed = [];
  #facts = {};
  #timer;
  #onFailure;

  /**
   * @param {import('./drafts.js').Drafts} drafts
   * @param {string} series
   * @param {string[]} instanceUids SOPInstanceUID of each image
   * @param {(error: Error) => void} onFailure called when the browser cannot keep the draft
   */
  constructor(drafts, series, instanceUids, onFailure) {
    this.#drafts = drafts;
    this.#series = series;
    this.#instanceUids = instanceUids;
    this.#onFailure = onFailure;
  }

  /**
   * Give the label that was kept.
   *
   * @param {import('./drafts.js').Draft} draft
   * @param {number[]} sizes pixels of each image
   * @returns {Uint8Array[]} for each image
   * @throws {Error} when the draft is not of these images
   */
  restore(draft, sizes) {
    return this.#instanceUids.map((uid, index) => {
      const runs = draft.slices.get(uid);
      if (!runs) throw new Error('label: the draft in this browser belongs to other images');
      return unpackRuns(runs, sizes[index]);
    });
  }

  /**
   * Keep something beside the label, with the next slices that change.
   *
   * @param {{startedFrom?: string, awaitsPrediction?: boolean}} facts as in `Draft`
   */
  remember(facts) {
    this.#facts = { ...this.#facts, ...facts };
  }

  /** Note that slices of the label changed, and keep them after a moment. */
  note(label, changed) {
    const wanted = this.#packed.length ? changed : label.keys();
    for (const index of wanted) this.#packed[index] = packRuns(label[index]);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), DELAY_MS);
  }

  /** Keep what was noted without delay; the write has begun when this returns, and ended when the promise resolves. */
  async flush() {
    if (this.#timer === undefined) return;
    this.#forgetTimer();
    const slices = new Map(this.#instanceUids.map((uid, index) => [uid, this.#packed[index]]));
    const draft = { series: this.#series, savedAt: Date.now() / 1000, slices, ...this.#facts };
    await this.#drafts.save(draft).catch(this.#onFailure);
  }

  /** Forget the draft. */
  async discard() {
    this.#forgetTimer();
    this.#packed = [];
    await this.#drafts.remove(this.#series);
  }

  #forgetTimer() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
