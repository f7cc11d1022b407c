// Going from scan to scan, and what is said on the page that follows.

const NOTICE = 'calibrated-ensemble.notice';
const WORKLIST = '/viewer/worklist.html';
const MODE = '/viewer/calibrated-ensemble';

/** Open a scan for annotation. */
export function openScan({ study, series }) {
  location.assign(`${MODE}?${new URLSearchParams({ StudyInstanceUIDs: study, SeriesInstanceUIDs: series })}`);
}

export function openWorklist() {
  location.assign(WORKLIST);
}

/** The scan that the page's address names; null when it names none. */
export function scanInAddress() {
  const query = new URLSearchParams(location.search);
  const [study, series] = [query.get('StudyInstanceUIDs'), query.get('SeriesInstanceUIDs')];
  return study && series ? { study, series } : null;
}

/** Open this page anew. */
export function openAgain() {
  location.reload();
}

/** Have something said on the next page. */
export function leaveNotice(text) {
  sessionStorage.setItem(NOTICE, text);
}

/** What the page before wanted said; "" when nothing. */
export function takeNotice() {
  const text = sessionStorage.getItem(NOTICE) ?? '';
  sessionStorage.removeItem(NOTICE);
  return text;
}
