// The heatmap on screen: a volume of its own between the images and the label, which it never touches.

import { COLOUR_STOPS } from './colour_map.js';

const CERTAIN = 255;

/**
 * How the heatmap is shown.
 *
 * @typedef {object} Look
 * @property {boolean} visible
 * @property {number} opacity 0..1
 * @property {number} threshold 0..1; lower probabilities are not shown
 */

/** The overlay of one scan; it shows one class at a time. */
export class HeatmapOverlay {
  #view;
  #volumeId;
  #look;

  /**
   * @param {import('../scan/scan_view.js').ScanView} view
   * @param {Look} look
   */
  constructor(view, look) {
    this.#view = view;
    this.#look = look;
    this.#volumeId = `heatmap of ${view.displaySet.SeriesInstanceUID}`;
  }

  /**
   * Show the probabilities of a class.
   *
   * @param {Uint8Array[]} slices for each image of the scan, probabilities times 255
   * @throws {Error} when OHIF does not show the scan as a volume
   */
  async put(slices) {
    const scan = this.#view.volume();
    if (!scan) {
      throw new Error('The heatmap cannot be shown: the slices of this scan are unevenly spaced.');
    }
    const volume = this.#volume() ?? derivedVolume(scan, this.#volumeId);
    volume.voxelManager.setCompleteScalarDataArray(inOrderOf(scan.imageIds, this.#view.imageIds, slices));
    volume.modified();
    await this.show();
  }

  /** Change the look at once. */
  restyle(look) {
    this.#look = look;
    for (const viewport of this.#view.volumeViewports()) {
      const actor = this.#actorIn(viewport);
      if (actor) style(actor, this.#look);
      viewport.render();
    }
  }

  /** Show the heatmap in every viewport of the scan, below the label. */
  async show() {
    if (!this.#volume()) return;
    for (const viewport of this.#view.volumeViewports()) {
      if (!this.#actorIn(viewport)) await this.#addTo(viewport);
      style(this.#actorIn(viewport), this.#look);
      viewport.render();
    }
  }

  /**
   * Give the probability at a place.
   *
   * @param {number[]} point LPS millimetres
   * @returns {number | null} 0..1; null outside the scan, or before there is a heatmap
   */
  probabilityAt(point) {
    const volume = this.#volume();
    if (!volume) return null;
    const index = window.cornerstone.utilities.transformWorldToIndex(volume.imageData, point);
    if (index.some((value, axis) => value < 0 || value >= volume.dimensions[axis])) return null;
    return volume.voxelManager.getAtIJK(...index) / CERTAIN;
  }

  #volume() {
    return window.cornerstone.cache.getVolume(this.#volumeId);
  }

  #actorIn(viewport) {
    return viewport.getActors().find(({ referencedId }) => referencedId === this.#volumeId)?.actor;
  }

  async #addTo(viewport) {
    const input = {
      volumeId: this.#volumeId,
      visibility: true,
      actorUID: `${this.#volumeId} in ${viewport.id}`,
      callback: ({ volumeActor }) => style(volumeActor, this.#look),
    };
    const before = viewport.getActors().slice(1);
    await viewport.addVolumes([input], false, true);
    // What was added later is drawn on top; the label must stay there.
    viewport.removeActors(before.map(({ uid }) => uid));
    forgetRemovedActors(viewport);
    viewport.addActors(before);
  }
}

/**
 * Have the renderer drop what it keeps of actors that were removed.
 *
 * It draws those that it knows in the order in which it first met them. It notices at its next rendering that one is
 * gone, and one that is back by then has kept its place below the newer ones.
 */
function forgetRemovedActors(viewport) {
  const window = viewport.getRenderingEngine().getOffscreenMultiRenderWindow(viewport.id).getOpenGLRenderWindow();
  window.getViewNodeFor(viewport.getRenderer())?.buildPass(true);
}

function derivedVolume(scan, volumeId) {
  const { createAndCacheDerivedVolume } = window.cornerstone.volumeLoader;
  const volume = createAndCacheDerivedVolume(scan.volumeId, { volumeId, targetBuffer: { type: 'Uint8Array' } });
  volume.loadStatus = { loaded: true };
  volume.metadata.voiLut = [{ windowWidth: CERTAIN, windowCenter: CERTAIN / 2 }];
  return volume;
}

function inOrderOf(wantedIds, ids, slices) {
  const byId = new Map(ids.map((id, index) => [id, slices[index]]));
  const data = new Uint8Array(slices.length * slices[0].length);
  wantedIds.forEach((id, index) => data.set(byId.get(id), index * slices[0].length));
  return data;
}

function style(actor, { visible, opacity, threshold }) {
  const property = actor.getProperty();
  const colours = property.getRGBTransferFunction(0);
  colours.removeAllPoints();
  for (const { at, colour } of COLOUR_STOPS) {
    colours.addRGBPoint(CERTAIN * at, ...colour.map(value => value / 255));
  }
  const opacities = property.getScalarOpacity(0);
  opacities.removeAllPoints();
  // Zero is nothing to show, whatever the threshold.
  const lowest = Math.max(1, CERTAIN * threshold);
  for (const [value, shown] of [
    [0, 0],
    [lowest - 0.01, 0],
    [lowest, opacity],
    [CERTAIN, opacity],
  ]) {
    opacities.addPoint(value, shown);
  }
  // The default blending scales the opacity with the path through the thin slab: 60 % would look like 5 %.
  const mapper = actor.getMapper();
  mapper.setBlendMode(window.cornerstone.Enums.BlendModes.MAXIMUM_INTENSITY_BLEND);
  property.setScalarOpacityUnitDistance(0, mapper.getSampleDistance());
  property.setInterpolationTypeToLinear();
  property.setShade(false);
  actor.setVisibility(visible);
}
