// The label on screen: an ordinary labelmap of OHIF's, which its brushes, eraser and undo work on.

import { copies, putBeneath } from './merge.js';

const TYPE = 'Labelmap';

/** The label of one scan; segment numbers are the task's values. */
export class LabelVolume {
  #services;
  #view;
  #segments;

  /**
   * Make an empty label and show it.
   *
   * @param {object} services OHIF's
   * @param {import('../scan/scan_view.js').ScanView} view
   * @param {import('../api/api.js').Segment[]} segments at least one
   */
  static async create(services, view, segments) {
    const id = `label of ${view.displaySet.SeriesInstanceUID}`;
    const [first] = segments;
    const described = segments.map(({ name, value }) => {
      const segment = {
        segmentIndex: value,
        label: name,
        active: value === first.value,
        locked: false,
        cachedStats: {},
      };
      return [value, segment];
    });
    const config = { segmentationId: id, label: 'Label', segments: Object.fromEntries(described) };
    await services.segmentationService.createLabelmapForDisplaySet(view.displaySet, config);
    const label = new LabelVolume(services, view, segments, id);
    await label.show();
    return label;
  }

  constructor(services, view, segments, id) {
    this.#services = services;
    this.#view = view;
    this.#segments = segments;
    this.id = id;
  }

  /** Show the label in every viewport of the scan, in the task's colours. */
  async show() {
    const { segmentationService } = this.#services;
    for (const { id: viewportId } of this.#view.viewports()) {
      const shown = segmentationService.getSegmentationRepresentations(viewportId, { segmentationId: this.id });
      if (shown.length) continue;
      await segmentationService.addSegmentationRepresentation(viewportId, { segmentationId: this.id, type: TYPE });
      for (const { value, colour } of this.#segments) {
        segmentationService.setSegmentColor(viewportId, this.id, value, [...colour, 255]);
      }
    }
  }

  /** Show only outlines, as long as something below is to be seen, or fill them. */
  showOutlineOnly(isOutline) {
    const { segmentationService } = this.#services;
    segmentationService.setStyle({ segmentationId: this.id, type: TYPE }, { renderFill: !isOutline });
  }

  /** The pixels on screen, one array for each image of the scan in its order; not copies. */
  slices() {
    const { cache } = window.cornerstone;
    const { imageIds, volumeId } = this.#segmentation().representationData[TYPE];
    const images = (imageIds ?? cache.getVolume(volumeId).imageIds).map(id => cache.getImage(id));
    const byReference = new Map(images.map(image => [image.referencedImageId, image]));
    return this.#view.imageIds.map(id => byReference.get(id).voxelManager.getScalarData());
  }

  /**
   * Put a prediction there, but where the label has changed since it was asked for, as one step that can be undone.
   *
   * @param {Uint8Array[]} prediction for each image
   * @param {Uint8Array[]} before the label when the prediction was asked for
   */
  putBeneath(prediction, before) {
    const now = copies(this.slices());
    const merged = putBeneath(prediction, now, before);
    this.#put(merged);
    const restoreMemo = isUndo => this.#put(isUndo ? now : merged);
    steps().push({ restoreMemo, operationType: 'labelmap' });
  }

  /** Leave nothing to undo, and nothing to redo. */
  forgetSteps() {
    const history = steps();
    const { size } = history;
    // Cornerstone empties it when its size is set.
    history.size = size;
  }

  /** Put pixels there when the scan opens, which is nothing to undo. */
  fill(slices) {
    this.#put(slices);
  }

  /** Be told whenever pixels change; returns a function that ends it. */
  onChange(listener) {
    const { eventTarget } = window.cornerstone;
    const { SEGMENTATION_DATA_MODIFIED } = window.cornerstoneTools.Enums.Events;
    const changed = ({ detail }) => detail.segmentationId === this.id && listener();
    eventTarget.addEventListener(SEGMENTATION_DATA_MODIFIED, changed);
    return () => eventTarget.removeEventListener(SEGMENTATION_DATA_MODIFIED, changed);
  }

  #put(slices) {
    this.slices().forEach((pixels, index) => pixels.set(slices[index]));
    window.cornerstoneTools.segmentation.triggerSegmentationEvents.triggerSegmentationDataModified(this.id);
  }

  #segmentation() {
    return window.cornerstoneTools.segmentation.state.getSegmentation(this.id);
  }
}

/** What undo and redo go through. */
function steps() {
  return window.cornerstone.utilities.HistoryMemo.DefaultHistoryMemo;
}
