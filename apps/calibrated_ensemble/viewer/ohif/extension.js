// Our extension of OHIF: the panel, the commands of the shortcuts, and the life of an annotation.

import { currentAnnotator } from '../page/annotator.js';
import { Annotation } from '../label/annotation.js';
import { Drafts } from '../label/drafts.js';
import { element } from '../page/elements.js';
import { openAgain, scanInAddress } from '../page/navigation.js';
import { isDialogOpen } from '../page/question.js';
import { makeLowerPanel, makePanel } from '../panel/panel.js';
import { probeUnderCursor } from '../panel/probe.js';
import { Worklist } from '../worklist/worklist.js';

export const EXTENSION = 'calibrated-ensemble';
export const PANEL = `${EXTENSION}.panelModule.annotation`;
export const LOWER_PANEL = `${EXTENSION}.panelModule.more`;

const TAB = { iconName: 'tab-segmentation', iconLabel: 'Annotate' };

/**
 * Make the extension.
 *
 * @param {object} hangingProtocol how OHIF lays the scan out
 * @returns {object} as OHIF's extension manager takes it
 */
export function makeExtension(hangingProtocol) {
  const [place, placeBelow] = [element('div', { className: 'ce-place' }), element('div', { className: 'ce-place' })];
  let annotation = null;

  async function enter({ servicesManager, commandsManager }) {
    const scan = scanInAddress();
    if (!scan) return;
    const drafts = await Drafts.open();
    const { client } = currentAnnotator();
    annotation = new Annotation(servicesManager.services, scan.series, client, drafts);
    const worklist = new Worklist(drafts, scan.series, () => annotation.release());
    place.replaceChildren(makePanel(annotation, client));
    placeBelow.replaceChildren(makeLowerPanel(worklist));
    probeUnderCursor(annotation, text => (place.querySelector('#ce-probability').textContent = text));
    keepWhenThePageCloses(annotation);
    let hasBrush = false;
    annotation.state.onChange(({ isReady }) => {
      if (!isReady || hasBrush) return;
      hasBrush = true;
      commandsManager.run('setBrushSize', { value: annotation.brushRadius() });
    });
    await annotation.open();
  }

  return {
    id: EXTENSION,
    version: '1.0.0',
    onModeEnter: context => void enter(context),
    getPanelModule: () => [
      { ...TAB, name: 'annotation', label: 'Annotate', component: panelOf(place) },
      { ...TAB, name: 'more', label: 'More', component: panelOf(placeBelow) },
    ],
    getHangingProtocolModule: () => [{ name: hangingProtocol.id, protocol: hangingProtocol }],
    getCommandsModule: () => ({
      defaultContext: 'DEFAULT',
      definitions: {
        ceNextPlace: unlessAsked(() => annotation?.heatmap?.goToNextPlace()),
        ceToggleHeatmap: unlessAsked(() => annotation?.heatmap?.toggle()),
        ceSubmit: unlessAsked(() => annotation?.submit()),
        ceNextScan: unlessAsked(() => annotation?.next()),
      },
    }),
  };
}

function keepWhenThePageCloses(annotation) {
  window.addEventListener('pagehide', () => annotation.close());
  // A page that the browser kept shows a scan as it was left, which is not this tab's any more.
  window.addEventListener('pageshow', event => event.persisted && openAgain());
  document.addEventListener('visibilitychange', () => document.visibilityState === 'hidden' && annotation.keep());
}

/** A command that does nothing behind an open dialog. */
function unlessAsked(command) {
  return () => !isDialogOpen() && command();
}

/** A React element made by hand, since React itself is inside OHIF: it only gives the panel a place. */
function panelOf(place) {
  const ref = holder => holder?.append(place);
  const props = { className: 'ce-holder' };
  return () => ({
    $$typeof: Symbol.for('react.element'),
    type: 'div',
    key: null,
    ref,
    props,
    _owner: null,
    _store: {},
  });
}
