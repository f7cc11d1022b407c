// Locks among the tabs of a browser that offers none: over plain http it keeps the Web Locks API from pages.

const ANSWER_MS = 400;
const ASK_AGAIN_MS = 100;

/** As much of `LockManager` as is needed here: tabs ask each other who has a lock. */
export class ChannelLocks {
  #own = Math.random();

  /**
   * Hold a lock until what `use` returns is over.
   *
   * @param {string} name
   * @param {{ifAvailable?: boolean, signal?: AbortSignal, steal?: boolean}} options as those of `LockManager.request`
   * @param {(lock: object | null) => Promise<void>} use called with null when another tab has it and it is not waited for
   * @throws what the signal says when that ends the waiting; "AbortError" when another tab stole the lock
   */
  async request(name, { ifAvailable = false, signal, steal = false }, use) {
    const channel = new BroadcastChannel(`${name} lock`);
    try {
      if (steal) this.#tell(channel, 'stolen');
      else {
        while (await this.#isHeldElsewhere(channel)) {
          if (ifAvailable) return await use(null);
          await new Promise(resolve => setTimeout(resolve, ASK_AGAIN_MS));
          signal?.throwIfAborted();
        }
      }
      return await Promise.race([this.#untilStolen(channel), use({ name })]);
    } finally {
      channel.close();
    }
  }

  /** Ask the other tabs; of two that ask at the same time, the one with the smaller number comes first. */
  async #isHeldElsewhere(channel) {
    const held = new Promise(resolve => {
      channel.onmessage = ({ data: { kind, from, to } }) => {
        if ((kind === 'held' && to === this.#own) || (kind === 'asked' && from < this.#own)) resolve(true);
        else if (kind === 'asked') this.#tell(channel, 'held', from);
      };
    });
    this.#tell(channel, 'asked');
    const silence = new Promise(resolve => setTimeout(resolve, ANSWER_MS, false));
    return Promise.race([held, silence]);
  }

  /** Tell whoever asks that it is held here, until another tab takes it all the same. */
  #untilStolen(channel) {
    return new Promise((_, reject) => {
      channel.onmessage = ({ data: { kind, from } }) => {
        if (kind === 'asked') this.#tell(channel, 'held', from);
        if (kind === 'stolen') reject(new DOMException('Another tab took the lock.', 'AbortError'));
      };
    });
  }

  #tell(channel, kind, to = null) {
    channel.postMessage({ kind, from: this.#own, to });
  }
}
