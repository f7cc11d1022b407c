// One scan in work: it is taken, predicted, corrected and submitted here.

import { fetchPrediction, fetchSegments, submitLabel, takeNextScan } from '../api/api.js';
import { DraftKeeper } from './draft_keeper.js';
import { ask } from '../page/elements.js';
import { gridOf, toSlices, voxelVolume } from '../scan/grid.js';
import { Heatmap } from '../heatmap/heatmap.js';
import { download, packLabel } from './label_file.js';
import { LabelVolume } from './label_volume.js';
import { LabelWork } from './label_work.js';
import { Lease } from '../scan/lease.js';
import { leaveNotice, openScan, openWorklist, takeNotice } from '../page/navigation.js';
import { ScanView } from '../scan/scan_view.js';
import { State } from '../page/state.js';
import { clockTime } from '../page/words.js';

const TAKEN_BY_ANOTHER = 409;
const NOT_UNLABELLED = 404;

/** The scan that the page shows; `state` holds what the panel shows of it. */
export class Annotation {
  #services;
  #series;
  #client;
  #drafts;
  #lease;
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
    this.state = new State({
      title: '',
      segments: [],
      voxelVolume: 0,
      isReady: false,
      /** why the scan cannot be annotated, and who took it meanwhile; "" when all is well */
      refused: '',
      lost: '',
      /** what the model and the annotator wait for; "" when for nothing */
      predicting: 'Opening the scan',
      doing: '',
      /** how the last things ended */
      notice: takeNotice(),
      problem: '',
      canSendAgain: false,
      warnings: null,
      /** the server's figures of the prediction, and what the annotator did to it */
      prediction: null,
      work: { isEdited: false, counts: null },
      heatmap: null,
    });
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
    const [segments, draft] = await Promise.all([fetchSegments(), this.#drafts.load(this.#series)]);
    this.#set({ segments });
    if (!(await this.#take(Boolean(draft)))) return;
    const prediction = this.#startPrediction();
    await this.#show(segments);
    if (draft) this.#restore(draft);
    this.#set({ isReady: true });
    await this.#predict(prediction, slices => draft || this.#work.begin(slices));
  }

  /** Put a new prediction in the place of the label; can be undone like a stroke. */
  async predictAgain() {
    if (!this.#isIdle()) return;
    const question = 'Replace your label by a new prediction? Undo (Ctrl+Z) brings it back.';
    if (this.state.values.work.isEdited && !(await ask({ question, yes: 'Replace', no: 'Keep mine' }))) return;
    await this.#predict(this.#startPrediction(), slices => this.#label.replace(slices));
  }

  /** Send the label to the server; it stays here until the server has it. */
  async submit() {
    if (!this.#isIdle()) return;
    this.#work.keep();
    const isEmpty = this.#label.slices().every(slice => !slice.some(Boolean));
    const question = 'Nothing is drawn. Submit that there is nothing to find in this scan?';
    if (isEmpty && !(await ask({ question, yes: 'Submit empty', no: 'Go back' }))) return;
    this.#set({ doing: 'Submitting the label', problem: '', notice: '', warnings: null, canSendAgain: false });
    try {
      const { file, present } = await this.#packed();
      const { warnings } = await submitLabel(this.#client, this.#series, file, present);
      await this.#work.finish();
      this.#lease.end();
      this.#set({ doing: '', warnings: warnings ?? [], notice: 'The label is saved.' });
    } catch (error) {
      this.#set({ doing: '', problem: `The label was not saved. ${error.message}`, canSendAgain: true });
      return;
    }
    if (!this.state.values.warnings.length) await this.next();
  }

  /** Open the next scan; this one is given back unless there is work on it. */
  async next() {
    if (this.state.values.doing) return;
    const { warnings, title } = this.state.values;
    this.#set({ doing: 'Looking for the next scan', problem: '' });
    try {
      const next = await takeNextScan(this.#client);
      // The server comes back to what it served before when it has nothing else.
      if (next?.series === this.#series) {
        this.#set({ doing: '', notice: 'This is the last scan: all others are labelled or with somebody else.' });
        return;
      }
      await this.release();
      if (warnings) leaveNotice(`The label of “${title}” is saved.`);
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
    const { work, warnings, refused } = this.state.values;
    if (work.isEdited || warnings || refused) return;
    try {
      await this.#lease.giveBack();
    } catch (error) {
      console.warn('The scan was not given back and stays reserved until its lease ends:', error.message);
    }
  }

  async #take(hasDraft) {
    try {
      await this.#lease.take();
    } catch (error) {
      if (error.status !== TAKEN_BY_ANOTHER && error.status !== NOT_UNLABELLED) throw error;
      if (!hasDraft) {
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
      use(slices);
      this.#work.compareWith(slices, null);
      this.#set({ prediction: figures, predicting: 'Computing the heatmap' });
      await this.#heatmap.load(this.#series);
      this.#work.compareWith(slices, this.#heatmap.slicesOf(names));
      this.#set({ predicting: '' });
    } catch (error) {
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
