// What the annotator did to the label: noticed after each stroke, counted, and kept in the browser.

import { changedSlices, Comparison } from './estimates.js';
import { copies } from './merge.js';

// Strokes follow each other quickly; the counts may come a moment later.
const SETTLE_MS = 200;

/** The work on one label. */
export class LabelWork {
  #label;
  #keeper;
  #values;
  #onChange;
  #known;
  #blank;
  #isEnded = false;
  #comparison = null;
  #isEdited = false;
  #timer;

  /**
   * @param {import('./label_volume.js').LabelVolume} label
   * @param {import('./draft_keeper.js').DraftKeeper} keeper
   * @param {number[]} values value of each class in labels
   * @param {(work: {isEdited: boolean, counts: import('./estimates.js').ClassCounts[] | null}) => void} onChange
   */
  constructor(label, keeper, values, onChange) {
    this.#label = label;
    this.#keeper = keeper;
    this.#values = values;
    this.#onChange = onChange;
    this.#known = copies(label.slices());
    this.#blank = copies(this.#known);
    this.#keeper.remember({ awaitsPrediction: true });
    label.onChange(() => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.settle(), SETTLE_MS);
    });
  }

  /** Put a draft back as it was. */
  restore(draft) {
    const sizes = this.#known.map(slice => slice.length);
    this.#label.fill(this.#keeper.restore(draft, sizes));
    if (!draft.awaitsPrediction) this.beginAlone();
    this.settle();
  }

  /**
   * Begin with a prediction, which is nobody's work, below what was drawn while it was awaited.
   *
   * Undo takes the prediction away again; the steps of before are forgotten, for they know nothing of it and would
   * leave holes in it.
   */
  begin(prediction) {
    this.settle();
    this.#keeper.remember({ awaitsPrediction: false });
    this.#label.forgetSteps();
    if (changedSlices(this.#known, this.#blank).length) {
      this.#label.putBeneath(prediction, this.#blank);
      this.settle();
    } else {
      this.#label.fill(prediction);
      this.#known = copies(prediction);
    }
  }

  /** Begin without a prediction; one that comes later is not put beneath what is drawn. */
  beginAlone() {
    this.#keeper.remember({ awaitsPrediction: false });
  }

  /**
   * Count differences to a prediction from now on; a label without any is no work.
   *
   * @param {Uint8Array[]} prediction for each image
   * @param {Uint8Array[][] | null} heatmaps for each class and image
   */
  compareWith(prediction, heatmaps) {
    this.#comparison = new Comparison(this.#values, prediction, heatmaps, this.#known);
    this.settle();
    this.#note([]);
  }

  /** Take note of what changed since the last time. */
  settle() {
    clearTimeout(this.#timer);
    if (this.#isEnded) return;
    const label = this.#label.slices();
    const changed = changedSlices(label, this.#known);
    if (!changed.length) return;
    for (const index of changed) this.#known[index].set(label[index]);
    this.#comparison?.update(this.#known, changed);
    this.#note(changed);
  }

  /** Take note of everything and keep it without delay, since the page may close. */
  async keep() {
    this.settle();
    await this.#keeper.flush();
  }

  /** Keep everything a last time: another tab goes on with the draft. */
  async end() {
    const kept = this.keep();
    this.#isEnded = true;
    await kept;
  }

  /**
   * The label was submitted or given up: it is no work any more.
   *
   * @param {string} startedFrom version of the server's label that further work begins from
   */
  async finish(startedFrom) {
    this.#isEdited = false;
    this.#keeper.remember({ startedFrom });
    await this.#keeper.discard();
    this.#tell();
  }

  #note(changed) {
    const counts = this.#comparison?.total();
    const wasEdited = this.#isEdited;
    this.#isEdited = counts
      ? counts.some(({ added, removed }) => added + removed > 0)
      : changed.length > 0 || wasEdited;
    if (this.#isEdited && changed.length) this.#keeper.note(this.#known, changed);
    if (!this.#isEdited && wasEdited) this.#keeper.discard();
    this.#tell();
  }

  #tell() {
    this.#onChange({ isEdited: this.#isEdited, counts: this.#comparison?.total() ?? null });
  }
}
