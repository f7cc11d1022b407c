// What is waited for, and since when.

import { element } from '../page/elements.js';
import { waitedTime } from '../page/words.js';

/**
 * Make the line; it follows the annotation's state.
 *
 * The seconds stand for a wheel that turns: an animation has the whole page composed anew sixty times a second, which
 * without a graphics card costs half a processor for as long as the prediction takes.
 *
 * @param {import('../page/state.js').State} state
 * @returns {HTMLElement}
 */
export function waitingLine(state) {
  const said = element('span');
  const time = element('span', { aria: { hidden: 'true' } });
  const line = element('p', { id: 'ce-doing', role: 'status', hidden: true }, said, time);
  let since = 0;
  let timer;
  const tick = () => (time.textContent = ` ${waitedTime((Date.now() - since) / 1000)}`);
  state.onChange(({ doing, predicting }) => {
    const text = doing || predicting ? `${doing || predicting} …` : '';
    if (text === said.textContent) return;
    clearInterval(timer);
    said.textContent = text;
    time.textContent = '';
    line.hidden = !text;
    if (!text) return;
    since = Date.now();
    timer = setInterval(tick, 1000);
  });
  return line;
}
