// Whether a stroke is being drawn: nothing may change the label beneath it.

const SETTLE_MS = 50;

/** Watches what is pressed on the page. */
export class Strokes {
  #pressed = new Set();
  #waiting = [];

  /** @param {EventTarget} target of all pointer events, the document */
  constructor(target) {
    const watch = (kind, listener) => target.addEventListener(kind, listener, true);
    watch('pointerdown', ({ pointerId }) => this.#pressed.add(pointerId));
    watch('pointerup', this.#released);
    watch('pointercancel', this.#released);
    // Released outside of the window, which nobody was told.
    watch('pointermove', event => event.buttons === 0 && this.#released(event));
  }

  /** Wait until no stroke is being drawn; at once when none is. */
  async ended() {
    while (this.#pressed.size) {
      await new Promise(resolve => this.#waiting.push(resolve));
      // The tools are told of the end after this page is.
      await new Promise(resolve => setTimeout(resolve, SETTLE_MS));
    }
  }

  #released = ({ pointerId }) => {
    if (!this.#pressed.delete(pointerId) || this.#pressed.size) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  };
}
