// OHIF's configuration: our extension and mode, and the PACS behind the server's own address.

import { makeExtension } from './extension.js';
import { HANGING_PROTOCOL, makeMode } from './mode.js';

const DICOMWEB = '/viewer/dicom-web';

/**
 * Make the configuration.
 *
 * @param {{peerImport: (name: string) => Promise<object>}} context of OHIF's application
 */
export async function makeConfig({ peerImport }) {
  addStyle();
  const stock = await peerImport('@ohif/mode-segmentation');
  return {
    routerBasename: '/viewer/',
    extensions: [makeExtension(HANGING_PROTOCOL)],
    modes: [makeMode(stock)],
    showStudyList: false,
    maxNumberOfWebWorkers: 2,
    strictZSpacingForVolumeViewport: true,
    showWarningMessageForCrossOrigin: false,
    showCPUFallbackMessage: true,
    showLoadingIndicator: true,
    investigationalUseDialog: { option: 'never' },
    defaultDataSourceName: 'dicomweb',
    dataSources: [dataSource()],
  };
}

function dataSource() {
  return {
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
    sourceName: 'dicomweb',
    configuration: {
      friendlyName: 'PACS',
      name: 'pacs',
      qidoRoot: DICOMWEB,
      wadoRoot: DICOMWEB,
      wadoUriRoot: DICOMWEB,
      imageRendering: 'wadors',
      thumbnailRendering: 'wadors',
      qidoSupportsIncludeField: true,
      supportsFuzzyMatching: false,
      supportsWildcard: true,
      supportsReject: false,
      dicomUploadEnabled: false,
      enableStudyLazyLoad: true,
      singlepart: 'bulkdata,video,pdf',
      omitQuotationForMultipartRequest: true,
      bulkDataURI: { enabled: true },
    },
  };
}

function addStyle() {
  const href = '/viewer/calibrated-ensemble/style.css';
  document.head.append(Object.assign(document.createElement('link'), { rel: 'stylesheet', href }));
}
