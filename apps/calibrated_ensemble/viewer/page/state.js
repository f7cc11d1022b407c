// What the panel shows, and who wants to know when it changes.

/** Values under names; listeners are called after each change. */
export class State {
  #listeners = new Set();

  constructor(values) {
    this.values = values;
  }

  /** Change some values. */
  set(changes) {
    this.values = { ...this.values, ...changes };
    for (const listener of this.#listeners) listener(this.values);
  }

  /** Be told of the values now and after each change. */
  onChange(listener) {
    this.#listeners.add(listener);
    listener(this.values);
  }
}
