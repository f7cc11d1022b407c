import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Strokes } from '../../../../apps/calibrated_ensemble/viewer/label/strokes.js';

/** A page on which pointers are pressed and released. */
function page() {
  const target = new EventTarget();
  const tell = (kind, pointerId, buttons = 0) =>
    target.dispatchEvent(Object.assign(new Event(kind), { pointerId, buttons }));
  return { strokes: new Strokes(target), tell };
}

/** Whether a promise is still open after some time. */
async function isOpen(promise, milliseconds = 120) {
  const later = new Promise(resolve => setTimeout(resolve, milliseconds, 'later'));
  return (await Promise.race([promise, later])) === 'later';
}

test('without a stroke there is nothing to wait for', async () => {
  const { strokes, tell } = page();
  await strokes.ended();
  tell('pointermove', 1);
  await strokes.ended();
});

test('a stroke is waited for until it is released, and so is the one that follows at once', async () => {
  const { strokes, tell } = page();
  tell('pointerdown', 1);
  const ended = strokes.ended();
  tell('pointermove', 1, 1);
  assert.ok(await isOpen(ended));
  tell('pointerup', 1);
  tell('pointerdown', 1);
  assert.ok(await isOpen(ended));
  tell('pointerup', 1);
  await ended;
});

test('a second finger, and a release that nobody was told of, end it as well', async () => {
  const { strokes, tell } = page();
  tell('pointerdown', 1);
  tell('pointerdown', 2);
  const ended = strokes.ended();
  tell('pointercancel', 2);
  assert.ok(await isOpen(ended));
  tell('pointermove', 1, 0);
  await ended;
});
