// Our mode: OHIF's segmentation mode with our panel on top, and without what would lead the annotator astray.

import { LOWER_PANEL, PANEL } from './extension.js';
import { withShortcuts } from '../panel/shortcuts.js';

const MODE = 'calibrated-ensemble';
const PANEL_WIDTH = 340;

/** One viewport that shows the scan as a volume, as overlays need it, cut as it was acquired. */
export const HANGING_PROTOCOL = {
  id: 'calibrated-ensemble-slices',
  name: 'Slices as acquired',
  protocolMatchingRules: [],
  toolGroupIds: ['default'],
  numberOfPriorsReferenced: 0,
  displaySetSelectors: {
    scan: {
      seriesMatchingRules: [
        { attribute: 'isReconstructable', constraint: { equals: { value: true } }, required: true },
      ],
    },
  },
  stages: [
    {
      name: 'slices',
      viewportStructure: { layoutType: 'grid', properties: { rows: 1, columns: 1 } },
      viewports: [
        {
          viewportOptions: viewportOptions({ initialImageOptions: { preset: 'middle' } }),
          displaySets: [{ id: 'scan' }],
        },
      ],
    },
  ],
  defaultViewport: {
    viewportOptions: viewportOptions({}),
    displaySets: [{ id: 'scan', matchedDisplaySetsIndex: -1 }],
  },
};

const CUSTOMIZATIONS = {
  'ohif.hotkeyBindings': { $apply: withShortcuts },
  // MONAI Label cannot read the SEG that OHIF exports, and what is submitted is stored in the PACS anyway.
  'panelSegmentation.customDropdownMenuContent': { $set: () => null },
  // The classes are the task's; segments that are renamed, removed or added would be refused.
  'panelSegmentation.disableEditing': { $set: true },
  'panelSegmentation.showAddSegment': { $set: false },
  'panelSegmentation.onSegmentationAdd': { $set: undefined },
};

// Without the tools that fetch a neural network from elsewhere.
const TOOLBAR = { LabelMapTools: ['BrushTools', 'Shapes'], LabelMapUtilities: [] };

/**
 * Make the mode.
 *
 * @param {object} stock OHIF's segmentation mode
 * @returns {object} as OHIF's application takes it
 */
export function makeMode(stock) {
  const { modeInstance } = stock;
  const layout = modeInstance.routes[0].layoutInstance;
  const [labelTools] = layout.props.rightPanels;
  const layoutInstance = {
    ...layout,
    props: {
      ...layout.props,
      leftPanelClosed: true,
      rightPanelClosed: false,
      rightPanelInitialExpandedWidth: PANEL_WIDTH,
      rightPanelMinimumExpandedWidth: PANEL_WIDTH,
      // Panels of an inner list share one tab, below each other.
      rightPanels: [[PANEL, labelTools, LOWER_PANEL]],
    },
  };
  const instance = {
    ...modeInstance,
    id: MODE,
    routeName: MODE,
    displayName: 'Annotation',
    routes: [{ path: MODE, layoutTemplate: () => structuredClone(layoutInstance), layoutInstance }],
    hangingProtocol: [HANGING_PROTOCOL.id],
    toolbarSections: [...modeInstance.toolbarSections, TOOLBAR],
    modeCustomizations: CUSTOMIZATIONS,
  };
  const { extensions } = instance;
  return {
    id: MODE,
    modeInstance: instance,
    modeFactory: () => instance,
    extensionDependencies: extensions,
    customizations: {},
  };
}

function viewportOptions(more) {
  return {
    viewportType: 'volume',
    orientation: 'acquisition',
    toolGroupId: 'default',
    allowUnmatchedView: true,
    ...more,
  };
}
