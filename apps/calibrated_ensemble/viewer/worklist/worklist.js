// The worklist at work: it is fetched, shown, and scans are opened from it.

import { fetchWorklist, giveScanBack, takeNextScan, takeScan } from '../api/api.js';
import { currentAnnotator, renameAnnotator } from '../page/annotator.js';
import { element } from '../page/elements.js';
import { openScan } from '../page/navigation.js';
import { worklistView } from './worklist_view.js';

// As many as the server lists.
const ALL_SCANS = 1000;

/** The worklist in one place of a page. */
export class Worklist {
  #drafts;
  #current;
  #leave;
  #list = element('div');
  #problem = element('p', { id: 'ce-worklist-problem', className: 'ce-problem', role: 'alert' });

  /**
   * @param {import('../label/drafts.js').Drafts} drafts
   * @param {string} current the series on screen; "" when none
   * @param {() => Promise<void>} leave called before another scan is opened
   */
  constructor(drafts, current, leave) {
    this.#drafts = drafts;
    this.#current = current;
    this.#leave = leave;
    this.root = element('div', {}, this.#problem, this.#list);
  }

  /** Fetch the list and show it. */
  async refresh() {
    await this.#trying(async () => {
      const [worklist, drafts] = await Promise.all([fetchWorklist(currentAnnotator().client), this.#drafts.list()]);
      const choices = { drafts: new Set(drafts), current: this.#current, onOpen: scan => this.open(scan) };
      this.#list.replaceChildren(worklistView(worklist, choices));
    });
  }

  /** Take a scan and open it; when somebody else has it, that is said instead. */
  async open(scan) {
    await this.#trying(async () => {
      await takeScan(currentAnnotator().client, scan.series);
      await this.#leave();
      openScan(scan);
    });
  }

  /** Take the least certain scan that nobody has, and open it. */
  async openNext() {
    await this.#trying(async () => {
      const next = await takeNextScan(currentAnnotator().client);
      if (next) openScan(next);
      else await this.refresh();
    });
  }

  /** Change the annotator's name; the scans that they have stay theirs. */
  async rename(name) {
    await this.#trying(async () => {
      const before = currentAnnotator().client;
      const { scans } = await fetchWorklist(before, ALL_SCANS);
      const { client } = renameAnnotator(name);
      for (const { id } of scans.filter(scan => scan.leased_to_you)) {
        await giveScanBack(before, id);
        await takeScan(client, id);
      }
    });
    await this.refresh();
  }

  async #trying(action) {
    try {
      this.#problem.textContent = '';
      await action();
    } catch (error) {
      this.#problem.textContent = error.message;
    }
  }
}

/** A field for the annotator's name; `onRename` is called with the new one. */
export function nameField(onRename) {
  const { name, mark } = currentAnnotator();
  const input = element('input', {
    id: 'ce-name',
    value: name,
    maxLength: 60,
    autocomplete: 'off',
    on: { change: () => onRename(input.value) },
  });
  const title = 'What follows your name tells this browser from others.';
  return element('label', { className: 'ce-name', title }, 'Your name ', input, element('span', {}, ` (${mark})`));
}
