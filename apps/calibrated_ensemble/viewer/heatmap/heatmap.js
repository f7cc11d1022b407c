// The probabilities of a scan: one class at a time on screen, and the places at which they are doubtful.

import { fetchHeatmap } from '../api/api.js';
import { toSlices } from '../scan/grid.js';
import { HeatmapOverlay } from './heatmap_overlay.js';
import { keepLook, keptLook } from './look.js';

/** The heatmap of one scan. */
export class Heatmap {
  #view;
  #overlay;
  #slices = new Map();
  #onChange;
  #values = { look: keptLook(), classes: [], shown: '', places: [], place: -1 };

  /**
   * @param {import('../scan/scan_view.js').ScanView} view
   * @param {(values: object) => void} onChange called with the look, the names of the classes, the one that is shown,
   *   the doubtful places, and the index of the one on screen
   */
  constructor(view, onChange) {
    this.#view = view;
    this.#onChange = onChange;
    this.#overlay = new HeatmapOverlay(view, this.#values.look);
    view.onRebuilt(() => this.#overlay.show());
  }

  /** Ask the server for the heatmap and show its first class, or the one that was shown before. */
  async load(series) {
    const { volume, figures } = await fetchHeatmap(series);
    const { classes } = figures;
    this.#slices = new Map(classes.map((name, channel) => [name, toSlices(volume, this.#view.planes, channel)]));
    this.#set({ classes, places: figures.uncertain_places, place: -1 });
    await this.showClass(this.#slices.has(this.#values.shown) ? this.#values.shown : classes[0]);
  }

  /**
   * Give the probabilities of classes, for each image.
   *
   * @param {string[]} names
   * @returns {Uint8Array[][] | null} null before they are there
   */
  slicesOf(names) {
    return names.every(name => this.#slices.has(name)) ? names.map(name => this.#slices.get(name)) : null;
  }

  /** Show the probabilities of another class. */
  async showClass(name) {
    this.#set({ shown: name });
    await this.#overlay.put(this.#slices.get(name));
  }

  /** Show the probabilities of the class that a place is about, once there are some. */
  async showClassOf({ class: name }) {
    if (this.#slices.has(name) && name !== this.#values.shown) await this.showClass(name);
  }

  /** Change how the heatmap is shown. */
  restyle(changes) {
    const look = { ...this.#values.look, ...changes };
    keepLook(look);
    this.#overlay.restyle(look);
    this.#set({ look });
  }

  toggle() {
    this.restyle({ visible: !this.#values.look.visible });
  }

  /** Go to the next doubtful place, and after the last to the first again. */
  async goToNextPlace() {
    const { places } = this.#values;
    if (!places.length) return;
    const place = (this.#values.place + 1) % places.length;
    this.#set({ place });
    await this.showClassOf(places[place]);
    this.#view.goTo(places[place].lps_mm);
  }

  /** Probability of the shown class at a point in LPS millimetres; null where there is none. */
  probabilityAt(point) {
    return this.#overlay.probabilityAt(point);
  }

  #set(changes) {
    this.#values = { ...this.#values, ...changes };
    this.#onChange(this.#values);
  }
}
