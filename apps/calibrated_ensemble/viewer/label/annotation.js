// One scan in work: it is taken, predicted, corrected and submitted here.

import { fetchPrediction, fetchSegments, submitLabel, takeNextScan } from '../api/api.js';
import { DraftKeeper } from './draft_keeper.js';
import { gridOf, toSlices, voxelVolume } from '../scan/grid.js';
import { Heatmap } from '../heatmap/heatmap.js';
import { download, packLabel } from './label_file.js';
import { LabelVolume } from './label_volume.js';
import { LabelWork } from './label_work.js';
import { copies } from './merge.js';
import { isElsewhere, Lease } from '../scan/lease.js';
import { leaveNotice, openAgain, openScan, openWorklist } from '../page/navigation.js';
import { OneTab } from '../scan/one_tab.js';
import { ask } from '../page/question.js';
import { ScanView } from '../scan/scan_view.js';
import { newState } from './annotation_state.js';
import { Strokes } from './strokes.js';
import { chooseLabel, submit } from './submission.js';
import { clockTime } from '../page/words.js';

/** The scan that the page shows; `state` holds what the panel shows of it. */
export class Annotation {
  #services;
  #series;
  #client;
  #drafts;
  #lease;
  #tab;
  #strokes = new Strokes(document);
  /** version of the server's label that the work began from, and what the next page is to say of this one */
  #startedFrom = '';
  #farewell = '';
  #view;
  #label;
  #work;
  #heatmap;

  /**
   * @param {object} services OHIF's
   * @param {string} series SeriesInstanceUID
   * @param {string} client by which the server knows the annotator
   * @param {import('./drafts.js').Drafts} drafts
   */
  constructor(services, series, client, drafts) {
    this.#services = services;
    this.#series = series;
    this.#client = client;
    this.#drafts = drafts;
    this.#lease = new Lease(client, series, lost => this.#set({ lost }));
    this.#tab = new OneTab(series, () => this.#handOver());
    this.state = newState();
  }

  /** Take the scan, and show what was drawn here before, or else what the model thinks. */
  async open() {
    try {
      await this.#open();
    } catch (error) {
      this.#set({ predicting: '', problem: `The scan cannot be opened. ${error.message}` });
    }
  }

  async #open() {
    if (await this.#tab.hold()) await this.#begin();
    else this.#set({ elsewhere: 'other tab', predicting: '' });
  }

  /** Go on here with a scan that is open in another tab of this browser. */
  async takeOver() {
    if (this.state.values.elsewhere === 'taken over') return openAgain();
    this.#set({ elsewhere: '', predicting: 'Taking the scan over' });
    try {
      await this.#tab.takeOver();
      await this.#begin();
    } catch (error) {
      this.#set({ predicting: '', problem: `The scan cannot be opened. ${error.message}` });
    }
  }

  /** Another tab goes on: keep everything for it, and change nothing here any more. */
  async #handOver() {
    this.#lease.end();
    this.#set({ elsewhere: 'taken over', isReady: false });
    await this.#work?.end();
  }

  async #begin() {
    const [segments, draft] = await Promise.all([fetchSegments(), this.#drafts.load(this.#series)]);
    this.#set({ segments });
    if (!(await this.#take(draft))) return;
    const prediction = this.#startPrediction();
    await this.#show(segments);
    if (draft) this.#restore(draft);
    if (this.state.values.elsewhere) return this.#work.end();
    this.#set({ isReady: true });
    const isWhole = draft && !draft.awaitsPrediction;
    return this.#predict(prediction, slices => isWhole || this.#work.begin(slices));
  }

  /** Put a new prediction in the place of the label; can be undone like a stroke. */
  async predictAgain() {
    if (!this.#isIdle()) return;
    const question = 'Replace your label by a new prediction? Undo (Ctrl+Z) brings it back.';
    if (this.state.values.work.isEdited && !(await ask({ question, yes: 'Replace', no: 'Keep mine' }))) return;
    const before = copies(this.#label.slices());
    await this.#predict(this.#startPrediction(), slices => this.#label.putBeneath(slices, before));
  }

  /** Send the label to the server; it stays here until the server has it. */
  async submit() {
    if (!this.#isIdle()) return;
    this.#work.keep();
    const isEmpty = this.#label.slices().every(slice => !slice.some(Boolean));
    const question = 'Nothing is drawn. Submit that there is nothing to find in this scan?';
    if (isEmpty && !(await ask({ question, yes: 'Submit empty', no: 'Go back' }))) return;
    const nothing = { problem: '', notice: '', warnings: null, places: [], canSendAgain: false };
    this.#set({ doing: 'Submitting the label', ...nothing });
    try {
      const { file, present } = await this.#packed();
      const send = startedFrom => submitLabel(this.#client, this.#series, file, present, startedFrom);
      const { stored, left } = await submit(send, this.#startedFrom, chooseLabel);
      if (stored || left) await this.#submitted(stored, left);
      else this.#set({ doing: '', canSendAgain: true, problem: 'Your label does not stand, but it is kept.' });
    } catch (error) {
      this.#set({ doing: '', problem: `The label was not saved. ${error.message}`, canSendAgain: true });
      return;
    }
    if (this.state.values.warnings?.length === 0) await this.next();
  }

  /** The label is stored, or left aside for another one that stands. */
  async #submitted(stored, left) {
    this.#startedFrom = (stored ?? left).label_version ?? '';
    await this.#work.finish(this.#startedFrom);
    this.#lease.end();
    const { title } = this.state.values;
    this.#farewell = stored
      ? `The label of “${title}” is saved.`
      : `The other label of “${title}” stands; yours is kept on the server as ${left.kept_as}.`;
    const { warnings, places } = stored ?? {};
    const notice = stored ? 'The label is saved.' : this.#farewell;
    this.#set({ doing: '', lost: '', notice, warnings: warnings ?? [], places: places ?? [] });
  }

  /** Go to a place that a warning is about. */
  async showPlace(place) {
    await this.#heatmap.showClassOf(place);
    this.#view.goTo(place.lps_mm);
  }

  /** Open the next scan; this one is given back unless there is work on it. */
  async next() {
    if (this.state.values.doing) return;
    this.#set({ doing: 'Looking for the next scan', problem: '' });
    try {
      const next = await takeNextScan(this.#client);
      // The server comes back to what it served before when it has nothing else.
      if (next?.series === this.#series) {
        this.#set({ doing: '', notice: 'This is the last scan: all others are labelled or with somebody else.' });
        return;
      }
      await this.release();
      if (this.#farewell) leaveNotice(this.#farewell);
      if (next) openScan(next);
      else openWorklist();
    } catch (error) {
      this.#set({ doing: '', problem: `The next scan cannot be opened. ${error.message}` });
    }
  }

  /** Go back to the worklist; the scan is given back unless there is work on it. */
  async leave() {
    await this.release();
    openWorklist();
  }

  /** Save the label on the annotator's disk. */
  async download() {
    const { file } = await this.#packed();
    download(file, `label-${this.#series}.nrrd`);
  }

  /** Keep all work in the browser, since the page may close. */
  keep() {
    this.#work?.keep();
  }

  /** The page closes: keep all work in the browser; without any, let others have the scan. */
  close() {
    this.keep();
    if (!this.state.values.work.isEdited) this.#lease.giveBackAtLast();
  }

  /** The heatmap's controls; null before there is one. */
  get heatmap() {
    return this.state.values.heatmap && this.#heatmap;
  }

  /** The viewports that show the scan. */
  viewports() {
    return this.#view?.viewports() ?? [];
  }

  /** Radius of a brush that suits the scan, in millimetres. */
  brushRadius() {
    return this.#view.brushRadius();
  }

  /** Keep all work in the browser; without any, let others have the scan. */
  async release() {
    this.keep();
    if (this.state.values.work.isEdited) return;
    try {
      await this.#lease.giveBack();
    } catch (error) {
      console.warn('The scan was not given back and stays reserved until its lease ends:', error.message);
    }
  }

  async #take(draft) {
    this.#startedFrom = draft?.startedFrom ?? '';
    try {
      const version = await this.#lease.take();
      if (!draft) this.#startedFrom = version;
    } catch (error) {
      if (!isElsewhere(error)) throw error;
      if (!draft) {
        this.#set({ refused: error.message, predicting: '' });
        return false;
      }
      this.#set({ lost: error.message });
      this.#lease.keep();
    }
    return true;
  }

  async #show(segments) {
    this.#view = await ScanView.open(this.#services, this.#series);
    this.#set({ title: this.#view.description, voxelVolume: voxelVolume(gridOf(this.#view.planes)) });
    this.#label = await LabelVolume.create(this.#services, this.#view, segments);
    this.#view.onRebuilt(() => this.#label.show());
    const notKept = error => this.#set({ problem: `This browser does not keep your work: ${error.message}` });
    const keeper = new DraftKeeper(this.#drafts, this.#series, this.#view.instanceUids, notKept);
    keeper.remember({ startedFrom: this.#startedFrom });
    const values = segments.map(({ value }) => value);
    this.#work = new LabelWork(this.#label, keeper, values, work => this.#set({ work }));
    this.#heatmap = new Heatmap(this.#view, heatmap => {
      this.#set({ heatmap });
      this.#label.showOutlineOnly(heatmap.look.visible);
    });
  }

  #restore(draft) {
    this.#work.restore(draft);
    this.#set({ notice: `Your unfinished work of ${clockTime(draft.savedAt)} is back.` });
  }

  #startPrediction() {
    this.#set({ predicting: 'Running the prediction', problem: '' });
    const answer = fetchPrediction(this.#series);
    // It is waited for later, when the images are there too.
    answer.catch(() => {});
    return answer;
  }

  async #predict(answer, use) {
    const names = this.state.values.segments.map(({ name }) => name);
    try {
      const { volume, figures } = await answer;
      const slices = toSlices(volume, this.#view.planes);
      await this.#strokes.ended();
      if (this.state.values.elsewhere) return;
      use(slices);
      this.#work.compareWith(slices, null);
      this.#set({ prediction: figures, predicting: 'Computing the heatmap' });
      await this.#heatmap.load(this.#series);
      this.#work.compareWith(slices, this.#heatmap.slicesOf(names));
      this.#set({ predicting: '' });
    } catch (error) {
      this.#work.beginAlone();
      this.#set({ predicting: '', problem: error.message });
    }
  }

  #packed() {
    return packLabel(this.#view.planes, this.#label.slices(), this.state.values.segments);
  }

  #isIdle() {
    const { isReady, doing, predicting } = this.state.values;
    return isReady && !doing && !predicting;
  }

  #set(changes) {
    this.state.set(changes);
  }
}
