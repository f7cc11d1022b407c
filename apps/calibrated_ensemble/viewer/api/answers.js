// What answers that are none mean for the annotator: those of a proxy or a sign-in before the server among them.

const KEPT = 'What you drew is kept in this browser.';
const SIGNED_OUT = `Your sign-in has ended. Open the worklist in another tab, sign in there, then try again here. ${KEPT}`;
const LONGEST_MESSAGE = 500;
// Neither markup nor data.
const A_LINE_OF_WORDS = /^[^<{[].* /;
// Of proxies; where the server itself answers, it says more.
const BY_STATUS = {
  401: SIGNED_OUT,
  403: `You may not do this, or your sign-in has ended (403): sign in again in another tab. ${KEPT}`,
  413:
    'The proxy before the server takes no file as large as this label (413). Tell whoever runs it to raise its limit ' +
    `(client_max_body_size of nginx; docs/pacs.md). ${KEPT}`,
  502: `The server behind the proxy does not answer (502). Try again in a minute. ${KEPT}`,
  503: `The server does not answer at present (503). Try again in a minute. ${KEPT}`,
  504:
    'The proxy did not wait for the answer of the server (504). Try again; if it stays so, tell whoever runs it to ' +
    `raise its time limit (proxy_read_timeout of nginx; docs/pacs.md). ${KEPT}`,
};

/** What to say when nothing answers. */
export const NO_ANSWER = `The server does not answer. Check the connection, then try again. ${KEPT}`;

/**
 * Say what is wrong with an answer.
 *
 * @param {object} answer
 * @param {number} answer.status
 * @param {boolean} answer.isRedirect whether it leads elsewhere, which nothing of the server's API does
 * @param {string} answer.text
 * @returns {{message: string, detail: object | string}} for the annotator, and what the server knows beside it
 */
export function explain({ status, isRedirect, text }) {
  if (isRedirect) return { message: SIGNED_OUT, detail: {} };
  const detail = detailIn(text);
  if (detail !== null) return { message: wordsOf(detail).slice(0, LONGEST_MESSAGE) || ofStatus(status), detail };
  return { message: BY_STATUS[status] ?? ofStatus(status, text), detail: {} };
}

/**
 * Say what is wrong with an answer that should have been read.
 *
 * @param {string} mediaType that it has
 */
export function explainUnreadable(mediaType) {
  // Where a sign-in has ended, its page is the answer to everything.
  if (mediaType.includes('html')) return SIGNED_OUT;
  return `The answer of the server cannot be read. Try again. ${KEPT}`;
}

/** The server's own words about an error; null when the text is none of its answers. */
function detailIn(text) {
  try {
    return JSON.parse(text)?.detail ?? null;
  } catch {
    return null; // a proxy's page, or nothing
  }
}

function wordsOf(detail) {
  if (typeof detail === 'string') return detail;
  // FastAPI lists what is wrong with each parameter.
  if (Array.isArray(detail)) return detail.map(({ loc, msg }) => `${loc?.at(-1) ?? 'request'}: ${msg}`).join('; ');
  return detail.message ?? JSON.stringify(detail);
}

function ofStatus(status, text = '') {
  const said = text.trim();
  if (A_LINE_OF_WORDS.test(said)) return said.split('\n')[0].slice(0, LONGEST_MESSAGE);
  return `The server answered ${status}, without a word. Try again; if it stays so, tell whoever runs it. ${KEPT}`;
}
