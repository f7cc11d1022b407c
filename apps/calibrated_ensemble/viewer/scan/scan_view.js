// The scan as OHIF shows it: its images, their geometry, and the viewports that hold it.

import { element } from '../page/elements.js';

const SMALLEST_BRUSH_PIXELS = 1.5;
const LARGEST_BRUSH_MM = 10;
const BRUSH_PART_OF_SCAN = 0.05;

/** One series on screen. */
export class ScanView {
  #services;

  /**
   * Wait until OHIF shows a series.
   *
   * @param {object} services OHIF's
   * @param {string} series SeriesInstanceUID
   * @returns {Promise<ScanView>}
   */
  static async open(services, series) {
    const { displaySetService, cornerstoneViewportService: viewports } = services;
    // OHIF gives a display set its images when a viewport shows it.
    const find = () => displaySetService.getDisplaySetsForSeries(series)?.find(set => set.imageIds?.length);
    const isShown = () => find() && new ScanView(services, find()).viewports().length > 0;
    await holds(viewports, viewports.EVENTS.VIEWPORT_DATA_CHANGED, isShown);
    const view = new ScanView(services, find());
    await view.#imagesLoaded();
    return view;
  }

  constructor(services, displaySet) {
    this.#services = services;
    this.displaySet = displaySet;
    this.imageIds = displaySet.imageIds;
    this.instanceUids = this.imageIds.map(id => metadata('sopCommonModule', id).sopInstanceUID);
    this.planes = this.imageIds.map(planeOf);
  }

  /** Words by which the annotator knows the scan. */
  get description() {
    return this.displaySet.SeriesDescription || `Series ${this.displaySet.SeriesNumber ?? ''}`.trim();
  }

  /** Viewports that show the scan. */
  viewports() {
    const { viewportGridService, cornerstoneViewportService } = this.#services;
    return [...viewportGridService.getState().viewports.values()]
      .filter(({ displaySetInstanceUIDs }) => displaySetInstanceUIDs?.includes(this.displaySet.displaySetInstanceUID))
      .map(({ viewportId }) => cornerstoneViewportService.getCornerstoneViewport(viewportId))
      .filter(Boolean);
  }

  /** Of these, those that show slices through a volume, which can show another volume on top. */
  volumeViewports() {
    return this.viewports().filter(viewport => viewport.type === 'orthographic');
  }

  /** The volume that OHIF made of the images; null when the slices are no volume. */
  volume() {
    const id = this.imageIds[0];
    return window.cornerstone.cache.getVolumes().find(volume => volume.imageIds?.includes(id)) ?? null;
  }

  /** Be told whenever OHIF rebuilds a viewport; returns a function that ends it. */
  onRebuilt(listener) {
    const { cornerstoneViewportService: viewports } = this.#services;
    return viewports.subscribe(viewports.EVENTS.VIEWPORT_DATA_CHANGED, listener).unsubscribe;
  }

  /** Scroll and pan every viewport to a point in LPS millimetres, and show where that is. */
  goTo(point) {
    for (const viewport of this.volumeViewports()) {
      viewport.jumpToWorld(point);
      const { focalPoint, position } = viewport.getCamera();
      const shift = point.map((value, axis) => value - focalPoint[axis]);
      const camera = { focalPoint: point, position: position.map((value, axis) => value + shift[axis]) };
      viewport.setCamera(camera);
      viewport.render();
      pointAtCentre(viewport);
    }
  }

  /** Radius in millimetres of a brush that suits the scan: neither a pixel nor half of the image. */
  brushRadius() {
    const [{ columnStep, rowStep, columns, rows }] = this.planes;
    const [width, height] = [Math.hypot(...columnStep), Math.hypot(...rowStep)];
    const wanted = BRUSH_PART_OF_SCAN * Math.min(width * columns, height * rows);
    const smallest = SMALLEST_BRUSH_PIXELS * Math.max(width, height);
    return Math.round(2 * Math.max(smallest, Math.min(wanted, LARGEST_BRUSH_MM))) / 2;
  }

  async #imagesLoaded() {
    const { eventTarget, Enums } = window.cornerstone;
    const volume = this.volume();
    if (!volume || volume.loadStatus?.loaded) return;
    await new Promise(resolve => {
      const completed = ({ detail }) => {
        if (detail.volumeId !== volume.volumeId) return;
        eventTarget.removeEventListener(Enums.Events.IMAGE_VOLUME_LOADING_COMPLETED, completed);
        resolve();
      };
      eventTarget.addEventListener(Enums.Events.IMAGE_VOLUME_LOADING_COMPLETED, completed);
    });
  }
}

function pointAtCentre(viewport) {
  const ring = element('div', { className: 'ce-here', on: { animationend: () => ring.remove() } });
  viewport.element.append(ring);
}

/** Wait until a condition holds, asking again after each event. */
function holds(service, event, condition) {
  return new Promise(resolve => {
    if (condition()) return resolve();
    const { unsubscribe } = service.subscribe(event, () => {
      if (!condition()) return;
      unsubscribe();
      resolve();
    });
  });
}

function planeOf(imageId) {
  const plane = metadata('imagePlaneModule', imageId);
  const step = (cosines, spacing) => Array.from(cosines, cosine => cosine * spacing);
  return {
    position: Array.from(plane.imagePositionPatient),
    columnStep: step(plane.rowCosines, plane.columnPixelSpacing),
    rowStep: step(plane.columnCosines, plane.rowPixelSpacing),
    columns: plane.columns,
    rows: plane.rows,
  };
}

function metadata(module, imageId) {
  return window.cornerstone.metaData.get(module, imageId);
}
