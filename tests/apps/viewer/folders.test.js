import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

const VIEWER = join(import.meta.dirname, '../../../apps/calibrated_ensemble/viewer');
// A folder imports those before it.
const ORDER = ['page', 'api', 'scan', 'heatmap', 'label', 'worklist', 'panel', 'ohif'];
const FOUND = globSync('*/*.js', { cwd: VIEWER }).map(normalize);
// Those of types, in comments, are knowledge of another folder as well.
const IMPORT = /(?:from |import\()'(\.[^']+)'/g;

/** Modules that a module imports, by their paths below the viewer. */
function importsOf(module) {
  const text = readFileSync(join(VIEWER, module), 'utf8');
  return [...text.matchAll(IMPORT)].map(([, path]) => normalize(join(dirname(module), path)));
}

test('every folder has its place in the order, and says what belongs there', () => {
  assert.deepEqual(new Set(FOUND.map(dirname)), new Set(ORDER));
  for (const folder of ORDER) assert.match(readFileSync(join(VIEWER, folder, 'README.md'), 'utf8'), /^# \w/);
});

test('imports name modules that are there, and run one way', () => {
  const modules = new Set(FOUND);
  let count = 0;
  for (const module of FOUND) {
    for (const imported of importsOf(module)) {
      count += 1;
      assert.ok(modules.has(imported), `${module} imports ${imported}, which is not there`);
      assert.ok(
        ORDER.indexOf(dirname(imported)) <= ORDER.indexOf(dirname(module)),
        `${module} imports ${imported}, of a folder above its own`
      );
    }
  }
  assert.ok(count > FOUND.length);
});
