// The server's API: MONAI Label's, and the worklist.

import { explain, explainUnreadable, NO_ANSWER } from './answers.js';
import { readNrrd } from './nrrd.js';

const SEGMENTATION = 'calibrated_ensemble';
const HEATMAP = 'heatmap';

/** The server refused or did not answer; the message is for the annotator. */
export class ServerError extends Error {
  /**
   * @param {string} message
   * @param {number} status of the answer; 0 when there was none
   * @param {object} [detail] what the server knows beside the message
   */
  constructor(message, status, detail = {}) {
    super(message);
    this.status = status;
    this.detail = detail;
  }
}

/**
 * A class that can be drawn.
 *
 * @typedef {object} Segment
 * @property {string} name
 * @property {number} value in labels, 1..255
 * @property {[number, number, number]} colour red, green, blue, 0..255
 */

/**
 * A place that a warning is about.
 *
 * @typedef {object} Place
 * @property {string} message one of the warnings
 * @property {string} class
 * @property {[number, number, number]} lps_mm
 */

/** What can be drawn: the classes of the server's task, by growing value. */
export async function fetchSegments() {
  const info = await json('/info/');
  const { labels, label_colors: colours } = info.models[SEGMENTATION];
  return Object.entries(labels)
    .map(([name, value]) => ({ name, value, colour: colours[name] }))
    .sort((a, b) => a.value - b.value);
}

/** The unlabelled scans, least certain first, and how many there are of each kind. */
export function fetchWorklist(client, limit = 100) {
  return json(`/worklist/?${new URLSearchParams({ client_id: client, limit })}`);
}

/**
 * Take a scan, or renew one's own lease; a `ServerError` of status 409 says who has it.
 *
 * @returns {Promise<{lease_expires: number, label_version: string}>} seconds since 1970, and which label the scan has,
 *   "" for none
 */
export function takeScan(client, series) {
  return json(`/worklist/lease?${new URLSearchParams({ image: series })}`, withJson({ client_id: client }));
}

/** Give a scan back, so that others are served it. */
export function giveScanBack(client, series) {
  const query = new URLSearchParams({ image: series, client_id: client });
  return json(`/worklist/lease?${query}`, { method: 'DELETE' });
}

/**
 * Give a scan back while the page closes; nothing waits for the answer.
 *
 * @param {string} client
 * @param {string} series
 * @param {number} expires of the lease that is meant; one that was renewed since, by a page opened anew, stays
 */
export function giveScanBackAtLast(client, series, expires) {
  const query = new URLSearchParams({ image: series, client_id: client, expires });
  // There is nobody left to tell; the lease then ends by itself.
  fetch(`/worklist/lease?${query}`, { method: 'DELETE', keepalive: true, redirect: 'manual' }).catch(() => {});
}

/**
 * Take the least certain scan that nobody has.
 *
 * @returns {Promise<{series: string, study: string} | null>} null when nothing is left
 */
export async function takeNextScan(client) {
  try {
    const next = await json('/activelearning/least_certain', withJson({ client_id: client }));
    return { series: next.id, study: next.StudyInstanceUID };
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

/**
 * Predict a scan.
 *
 * @returns {Promise<{volume: import('./nrrd.js').Volume, figures: object}>} label with the task's values, and the
 *   estimated DSC (0..1) and volume of each class
 */
export function fetchPrediction(series) {
  return infer(SEGMENTATION, series, {});
}

/**
 * Ask for the probabilities of each class, times 255.
 *
 * @returns {Promise<{volume: import('./nrrd.js').Volume, figures: object}>} one channel for each of `figures.classes`;
 *   `figures.uncertain_places` are the places to look at, most doubtful first
 */
export function fetchHeatmap(series) {
  return infer(HEATMAP, series, { levels: 255 });
}

/**
 * Submit a label.
 *
 * @param {string} client
 * @param {string} series
 * @param {Uint8Array} file NRRD
 * @param {Segment[]} present the classes that occur in it, by growing value
 * @param {string} startedFrom version of the label that the work began from, "" for none; where another one came since,
 *   a `ServerError` of status 409 says so, and what was sent is kept beside it
 * @returns {Promise<{warnings: string[], places: Place[], label_version: string}>} what the server thinks of the label
 *   that it stored
 */
export function submitLabel(client, series, file, present, startedFrom) {
  const labelInfo = present.map(({ name, value, colour }) => ({ name, idx: value, color: colour }));
  const body = new FormData();
  body.append('params', JSON.stringify({ label_info: labelInfo, client_id: client, started_from: startedFrom }));
  body.append('label', new Blob([file]), 'label.nrrd');
  return json(`/datastore/label?${new URLSearchParams({ image: series, tag: 'final' })}`, { method: 'PUT', body });
}

async function infer(model, series, parameters) {
  const wanted = { result_extension: '.nrrd', result_dtype: 'uint8', result_compress: true, ...parameters };
  const body = new FormData();
  body.append('params', JSON.stringify(wanted));
  const query = new URLSearchParams({ image: series, output: 'all' });
  const answer = await read(await request(`/infer/${model}?${query}`, { method: 'POST', body }), 'formData');
  const [figures, image] = [answer.get('params'), answer.get('image')];
  return {
    figures: JSON.parse(typeof figures === 'string' ? figures : await figures.text()),
    volume: await readNrrd(new Uint8Array(await image.arrayBuffer())),
  };
}

async function json(path, options) {
  return read(await request(path, options), 'json');
}

async function read(response, form) {
  try {
    return await response[form]();
  } catch {
    throw new ServerError(explainUnreadable(response.headers.get('Content-Type') ?? ''), response.status);
  }
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, redirect: 'manual' });
  } catch {
    throw new ServerError(NO_ANSWER, 0);
  }
  if (!response.ok) throw await errorOf(response);
  return response;
}

async function errorOf(response) {
  const isRedirect = response.type === 'opaqueredirect';
  const { message, detail } = explain({ status: response.status, isRedirect, text: await response.text() });
  return new ServerError(message, response.status, detail);
}

function withJson(body) {
  return { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
}
