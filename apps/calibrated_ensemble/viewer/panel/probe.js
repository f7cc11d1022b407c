// The probability under the cursor.

import { percent } from '../page/words.js';

/**
 * Follow the cursor; returns a function that ends it.
 *
 * @param {import('../label/annotation.js').Annotation} annotation
 * @param {(text: string) => void} say called with the words for the panel
 */
export function probeUnderCursor(annotation, say) {
  const moved = ({ target, clientX, clientY }) => {
    const { heatmap } = annotation;
    const viewport = heatmap && annotation.viewports().find(({ element }) => element.contains(target));
    if (!viewport) return say('');
    const { left, top } = viewport.canvas.getBoundingClientRect();
    const probability = heatmap.probabilityAt(viewport.canvasToWorld([clientX - left, clientY - top]));
    say(probability === null ? '' : `Under the cursor: ${percent(probability)}`);
  };
  document.addEventListener('pointermove', moved);
  return () => document.removeEventListener('pointermove', moved);
}
