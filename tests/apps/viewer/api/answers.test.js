import assert from 'node:assert/strict';
import { test } from 'node:test';

import { explain, explainUnreadable } from '../../../../apps/calibrated_ensemble/viewer/api/answers.js';

const PAGE = '<!DOCTYPE html><html><head><title>413 Request Entity Too Large</title></head></html>';
const said = (status, text, isRedirect = false) => explain({ status, isRedirect, text }).message;

test('what the server says is passed on, with what it knows beside it', () => {
  const detail = { message: 'bob has this scan', leased_to: 'bob' };
  assert.deepEqual(explain({ status: 409, isRedirect: false, text: JSON.stringify({ detail }) }), {
    message: 'bob has this scan',
    detail,
  });
  assert.equal(said(413, '{"detail": "label: 3 GB are too large"}'), 'label: 3 GB are too large');
  const wrong = [{ loc: ['query', 'limit'], msg: 'Input should be less than 1000' }];
  assert.equal(said(422, JSON.stringify({ detail: wrong })), 'limit: Input should be less than 1000');
});

test('a sign-in that has ended says so, however it shows', () => {
  const ways = [said(401, PAGE), said(0, '', true), explainUnreadable('text/html; charset=utf-8')];
  for (const message of ways) assert.match(message, /^Your sign-in has ended\. .*sign in.*What you drew is kept/);
  assert.match(said(403, PAGE), /sign in again/);
});

test('pages of a proxy are never shown, and what to do is said instead', () => {
  assert.match(said(413, PAGE), /client_max_body_size/);
  assert.match(said(502, PAGE), /Try again in a minute/);
  assert.match(said(504, PAGE), /proxy_read_timeout/);
  for (const status of [401, 403, 404, 413, 418, 500, 502, 503, 504]) {
    for (const text of [PAGE, '', '{"detail": ""}', '{', 'null', '[]', '  <html>']) {
      const message = said(status, text);
      assert.ok(message.length > 20, `${status} ${text}: ${message}`);
      assert.doesNotMatch(message, /<|Unexpected token/);
    }
  }
});

test('a plain line of text is told, and its first line alone', () => {
  assert.equal(said(500, 'upstream connect error\nmore'), 'upstream connect error');
});

test('an answer that is no page and cannot be read is to be asked for again', () => {
  assert.match(explainUnreadable('application/json'), /cannot be read\. Try again/);
});
