import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';

import { ChannelLocks } from '../../../../apps/calibrated_ensemble/viewer/scan/channel_locks.js';
import { OneTab } from '../../../../apps/calibrated_ensemble/viewer/scan/one_tab.js';

const used = [];

/** Tabs on one scan, over plain http, and what happened to them; `keep` is what each does before it lets go. */
function tabs(count, keep = async () => {}) {
  const series = `1.2.${used.length}`;
  used.push(series);
  const log = [];
  const made = Array.from({ length: count }, (_, n) => {
    const onTaken = async () => {
      log.push(n);
      await keep();
      log.push(`${n} kept its work`);
    };
    return new OneTab(series, onTaken, new ChannelLocks());
  });
  return { made, log };
}

/** What is held keeps Node.js waiting. */
afterEach(async () => {
  const channels = used.map(series => new BroadcastChannel(`calibrated-ensemble scan ${series}`));
  for (const channel of channels) channel.postMessage('hand over');
  await new Promise(resolve => setTimeout(resolve, 50));
  for (const channel of channels) channel.close();
});

test('the first tab holds a scan, and another takes it over once the first has kept its work', async () => {
  const { made, log } = tabs(2, () => new Promise(resolve => setTimeout(resolve, 30)));
  const [first, second] = made;
  assert.equal(await first.hold(), true);
  assert.equal(await second.hold(), false);
  await second.takeOver();
  assert.deepEqual(log, [0, '0 kept its work']);
  assert.equal(await first.hold(), false);
  await first.takeOver();
  assert.deepEqual(log, [0, '0 kept its work', 1, '1 kept its work']);
});

test('of tabs that open together one holds the scan, and that of another scan knows nothing of them', async () => {
  const { made } = tabs(4);
  const [other] = tabs(1).made;
  const held = await Promise.all([...made, other].map(tab => tab.hold()));
  assert.equal(held.slice(0, 4).filter(Boolean).length, 1);
  assert.equal(held[4], true);
});

test('a tab that does not answer loses the scan all the same', async () => {
  let wake;
  const isAwake = new Promise(resolve => (wake = resolve));
  const { made, log } = tabs(2, () => isAwake);
  const [asleep, second] = made;
  await asleep.hold();
  await second.takeOver();
  assert.deepEqual(log, [0]);
  assert.equal(await asleep.hold(), false);
  wake();
});
