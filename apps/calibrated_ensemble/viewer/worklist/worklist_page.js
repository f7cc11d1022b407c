// The page at which annotators arrive: the worklist without the viewer.

import { Drafts } from '../label/drafts.js';
import { element } from '../page/elements.js';
import { takeNotice } from '../page/navigation.js';
import { nameField, Worklist } from './worklist.js';

const REFRESH_MS = 20_000;

const drafts = await Drafts.open();
const worklist = new Worklist(drafts, '', async () => {});
const next = element('button', { id: 'ce-next', className: 'ce-main', on: { click: () => worklist.openNext() } });
next.textContent = 'Open the least certain scan';
const notice = element('p', { id: 'ce-notice', role: 'status' }, takeNotice());
document.querySelector('main').append(
  notice,
  element(
    'div',
    { className: 'ce-bar' },
    nameField(name => worklist.rename(name)),
    next
  ),
  worklist.root
);

await worklist.refresh();
setInterval(() => document.visibilityState === 'visible' && worklist.refresh(), REFRESH_MS);
document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && worklist.refresh());
// A page that the browser kept shows an old list.
window.addEventListener('pageshow', event => event.persisted && worklist.refresh());
