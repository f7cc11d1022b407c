// What the panel shows of a scan in work.

import { takeNotice } from '../page/navigation.js';
import { State } from '../page/state.js';

/** The state of a scan that is being opened. */
export function newState() {
  return new State({
    title: '',
    segments: [],
    voxelVolume: 0,
    isReady: false,
    /** why the scan cannot be annotated, and who took it meanwhile; "" when all is well */
    refused: '',
    lost: '',
    /** where the scan is open instead, "other tab", and "taken over" when it was open here before; "" when here */
    elsewhere: '',
    /** what the model and the annotator wait for; "" when for nothing */
    predicting: 'Opening the scan',
    doing: '',
    /** how the last things ended */
    notice: takeNotice(),
    problem: '',
    canSendAgain: false,
    warnings: null,
    places: [],
    /** the server's figures of the prediction, and what the annotator did to it */
    prediction: null,
    work: { isEdited: false, counts: null },
    heatmap: null,
  });
}
