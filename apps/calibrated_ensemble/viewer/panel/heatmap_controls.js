// The controls of the heatmap, with its legend.

import { cssGradient } from '../heatmap/colour_map.js';
import { element } from '../page/elements.js';
import { percent, placeLine } from '../page/words.js';

const TICKS = [0, 0.25, 0.5, 0.75, 1];

/**
 * Make the controls; they follow the annotation's state.
 *
 * @param {import('../label/annotation.js').Annotation} annotation
 * @returns {HTMLElement}
 */
export function heatmapControls(annotation) {
  const restyle = changes => annotation.heatmap?.restyle(changes);
  const visible = element('input', { id: 'ce-heatmap', type: 'checkbox' });
  visible.addEventListener('change', () => restyle({ visible: visible.checked }));
  const shown = element('select', { id: 'ce-heatmap-class' });
  shown.addEventListener('change', () => annotation.heatmap?.showClass(shown.value));
  const opacity = slider('ce-opacity', value => restyle({ opacity: value }));
  const threshold = slider('ce-threshold', value => restyle({ threshold: value }));
  const jump = element('button', { id: 'ce-next-place', type: 'button' }, 'Next uncertain place');
  jump.addEventListener('click', () => annotation.heatmap?.goToNextPlace());
  const place = element('p', { id: 'ce-place', className: 'ce-note', role: 'status' });
  const marker = element('div', { className: 'ce-below' });

  annotation.state.onChange(({ heatmap }) => {
    for (const control of [visible, shown, opacity, threshold]) control.disabled = !heatmap?.shown;
    if (!heatmap) return;
    const { look, classes, places } = heatmap;
    visible.checked = look.visible;
    opacity.value = look.opacity;
    threshold.value = look.threshold;
    marker.style.width = percent(look.threshold).replace(' ', '');
    if (shown.options.length !== classes.length) {
      shown.replaceChildren(...classes.map(name => element('option', { value: name }, name)));
    }
    shown.value = heatmap.shown;
    jump.disabled = !places.length;
    place.textContent = wordsOfPlace(heatmap);
  });

  const head = element('h3', {}, element('label', {}, visible, ' Heatmap: probability of '), shown);
  return element(
    'section',
    { id: 'ce-heatmap-controls' },
    head,
    legend(marker),
    element('label', { className: 'ce-slider' }, 'Opacity', opacity),
    element('label', { className: 'ce-slider' }, 'Hide below', threshold),
    element('p', { id: 'ce-probability', className: 'ce-note ce-steady' }),
    element('div', { className: 'ce-bar' }, jump, place)
  );
}

function wordsOfPlace({ classes, places, place }) {
  if (place >= 0) return placeLine(places[place], place, places.length);
  if (!classes.length) return '';
  return places.length ? `${places.length} places` : 'none in this scan';
}

function legend(marker) {
  const bar = element('div', { className: 'ce-gradient' }, marker);
  bar.style.background = cssGradient();
  const ticks = TICKS.map(tick => element('span', {}, percent(tick)));
  return element(
    'div',
    { id: 'ce-legend', className: 'ce-legend' },
    bar,
    element('div', { className: 'ce-ticks' }, ...ticks)
  );
}

function slider(id, onInput) {
  const input = element('input', { id, type: 'range', min: 0, max: 1, step: 0.05 });
  input.addEventListener('input', () => onInput(Number(input.value)));
  return input;
}
