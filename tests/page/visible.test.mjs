// The same cases as in thrum-api/src/visible.rs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginning, readable, visible } from '../../thrum-ctl/src/ui/page/visible.js';

const escaped = (c) => ({ '\r': '\\r' })[c] ?? `\\u{${c.codePointAt(0).toString(16)}}`;

test('what shows nothing is escaped wherever it stands', () => {
  const hidden = [0x1b, 0x9b, 0x0d, 0x200b, 0x200e, 0x2028, 0x2029, 0x202e, 0x2066, 0x2060, 0x61c, 0xad, 0xfeff, 0x3164, 0x34f,
    0xe0041, 0xe0100, 0xfe00, 0x200c, 0x200d, 0xfe0f].map((code) => String.fromCodePoint(code));
  for (const c of hidden) {
    assert.equal(visible(`a${c}b`), `a${escaped(c)}b`);
    assert.equal(readable(`a${c}b`), `a${escaped(c)}b`);
    assert.equal(readable(c), escaped(c));
  }
  assert.equal(visible('one\n\ttwo'), 'one\\n\\ttwo');
  assert.equal(readable('one\r\n\ttwo'), 'one\n\ttwo');
});

test('text of real scripts stays as it is', () => {
  const words = ['na\u00efve cafe\u0301', '\u0928\u092e\u0938\u094d\u0924\u0947', '\u65e5\u672c\u3000\u8a9e', '\u05e9\u05b8\u05dc\u05d5\u05b9\u05dd'];
  for (const text of words) assert.deepEqual([visible(text), readable(text)], [text, text]);
  const joined = ['\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645', '\u0dc1\u0dca\u200d\u0dbb\u0dd3', '\u{1f468}\u{1f3fd}\u200d\u{1f469}\u200d\u{1f466}',
    '\u{1f3f3}\ufe0f\u200d\u{1f308}', '\u2764\ufe0f 1\ufe0f\u20e3'];
  for (const text of joined) {
    assert.equal(readable(text), text);
    assert.match(visible(text), /\\u\{/, 'a name has none');
  }
  assert.equal(readable('\u2764\ufe0f\ufe0f'), '\u2764\ufe0f\\u{fe0f}');
  assert.equal(readable('\u0645\u200c\u200c\u0645'), '\u0645\\u{200c}\\u{200c}\u0645');
});

test('a long text is cut at characters and lines, and not inside a character', () => {
  assert.deepEqual(beginning('short', 10, 3), { text: 'short', cut: false });
  assert.deepEqual(beginning('0123456789', 10, 3), { text: '0123456789', cut: false });
  assert.deepEqual(beginning('0123456789x', 10, 3), { text: '0123456789', cut: true });
  assert.deepEqual(beginning('a\nb\nc\nd', 100, 2), { text: 'a\nb', cut: true });
  assert.deepEqual(beginning('a\nb', 100, 2), { text: 'a\nb', cut: false });
  assert.deepEqual(beginning('\u{1f308}\u{1f308}', 3, 2), { text: '\u{1f308}', cut: true });
  const whole = beginning('x'.repeat(262_144), 700, 8);
  assert.deepEqual([whole.text.length, whole.cut], [700, true]);
});
