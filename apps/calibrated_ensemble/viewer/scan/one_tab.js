// A scan is worked on in one tab of a browser at a time: tabs share the draft, and the last to write it would win.

import { ChannelLocks } from './channel_locks.js';

const PATIENCE_MS = 3000;

/** The hold of this tab on one scan. */
export class OneTab {
  #name;
  #locks;
  #onTaken;
  #letGo = null;

  /**
   * @param {string} series
   * @param {() => Promise<void>} onTaken called when another tab takes the scan over, which waits for the promise
   * @param {LockManager | undefined} locks the browser's, which it offers to pages of https and of its own machine alone
   */
  constructor(series, onTaken, locks = globalThis.navigator?.locks) {
    this.#name = `calibrated-ensemble scan ${series}`;
    this.#onTaken = onTaken;
    this.#locks = locks ?? new ChannelLocks();
  }

  /** Hold the scan until the page closes; false when another tab has it. */
  async hold() {
    return this.#request({ ifAvailable: true });
  }

  /** Take the scan over from the tab that has it, after that one kept its work. */
  async takeOver() {
    const channel = new BroadcastChannel(this.#name);
    channel.postMessage('hand over');
    channel.close();
    try {
      await this.#request({ signal: AbortSignal.timeout(PATIENCE_MS) });
    } catch (error) {
      if (error.name !== 'TimeoutError') throw error;
      // It does not answer, as a tab that the browser has put to sleep.
      await this.#request({ steal: true });
    }
  }

  /** Resolves once the lock is granted (true) or refused (false). */
  #request(options) {
    return new Promise((resolve, reject) => {
      let isHeld = false;
      const granted = lock => {
        isHeld = lock !== null;
        resolve(isHeld);
        return isHeld ? this.#untilAskedFor() : undefined;
      };
      this.#locks.request(this.#name, options, granted).catch(error => {
        // A lock that was held is stolen by this error; one that was waited for is not granted.
        if (isHeld) this.#taken();
        else reject(error);
      });
    });
  }

  #untilAskedFor() {
    const channel = new BroadcastChannel(this.#name);
    return new Promise(resolve => {
      this.#letGo = () => {
        channel.close();
        resolve();
      };
      channel.addEventListener('message', ({ data }) => data === 'hand over' && this.#taken());
    });
  }

  async #taken() {
    const letGo = this.#letGo;
    if (!letGo) return;
    this.#letGo = null;
    try {
      await this.#onTaken();
    } finally {
      letGo();
    }
  }
}
