import assert from 'node:assert/strict';
import { test } from 'node:test';

import { submit } from '../../../../apps/calibrated_ensemble/viewer/label/submission.js';

const conflict = (version, by) => ({
  conflict: 'label',
  label_version: version,
  message: `${by} submitted a label`,
  kept_as: `mine-${version}.nrrd`,
});

/** A server at which labels came in between; `versions` lists those that stand at each submission. */
function server(...versions) {
  const asked = [];
  const send = async startedFrom => {
    asked.push(startedFrom);
    const stands = versions.shift();
    if (stands === startedFrom) return { label_version: 'mine', warnings: [] };
    throw Object.assign(new Error('refused'), { status: 409, detail: conflict(stands, 'bob') });
  };
  return { send, asked };
}

const never = () => assert.fail('nothing is to be chosen');

test('a label that nobody was faster than is stored without a question', async () => {
  const { send, asked } = server('');
  assert.deepEqual(await submit(send, '', never), { stored: { label_version: 'mine', warnings: [] }, left: null });
  assert.deepEqual(asked, ['']);
});

test('mine takes the place of the one that stands, even of a third that came meanwhile', async () => {
  const { send, asked } = server('one', 'two', 'two');
  const seen = [];
  const chooseMine = async ({ label_version: version }) => seen.push(version) && 'mine';
  const { stored } = await submit(send, '', chooseMine);
  assert.equal(stored.label_version, 'mine');
  assert.deepEqual(asked, ['', 'one', 'two']);
  assert.deepEqual(seen, ['one', 'two']);
});

test('theirs is left standing, or nothing is chosen; neither sends anything more', async () => {
  for (const [choice, left] of [
    ['theirs', conflict('one', 'bob')],
    ['look', null],
    ['', null],
  ]) {
    const { send, asked } = server('one');
    assert.deepEqual(await submit(send, '', async () => choice), { stored: null, left });
    assert.deepEqual(asked, ['']);
  }
});

test('another refusal is no conflict', async () => {
  const untrained = Object.assign(new Error('no model yet'), { status: 409, detail: 'no model yet' });
  const send = async () => {
    throw untrained;
  };
  await assert.rejects(submit(send, '', never), untrained);
});
