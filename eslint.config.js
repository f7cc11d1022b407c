import js from '@eslint/js';
import globals from 'globals';

const STRICT = {
  curly: ['error', 'multi-line'],
  eqeqeq: 'error',
  'no-console': ['error', { allow: ['warn', 'error'] }],
  'no-implicit-coercion': 'error',
  'no-shadow': 'error',
  'no-unused-vars': ['error', { args: 'all', argsIgnorePattern: '^_' }],
  'no-var': 'error',
  'object-shorthand': 'error',
  'prefer-const': 'error',
  'prefer-template': 'error',
};

export default [
  { ignores: ['.venv/', 'build/', 'demo/', 'workspace/'] },
  js.configs.recommended,
  {
    files: ['apps/calibrated_ensemble/viewer/**/*.js'],
    languageOptions: { ecmaVersion: 2024, sourceType: 'module', globals: globals.browser },
    rules: STRICT,
  },
  {
    files: ['apps/calibrated_ensemble/viewer/app-config.js'],
    languageOptions: { sourceType: 'script' },
  },
  {
    files: ['tests/apps/viewer/**/*.js', 'eslint.config.js'],
    languageOptions: { ecmaVersion: 2024, sourceType: 'module', globals: globals.node },
    rules: STRICT,
  },
];
