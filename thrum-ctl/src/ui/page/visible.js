/** Makes invisible characters visible in text of others: the same rules as `thrum-api/src/visible.rs`. */

const INVISIBLE =
  '\\p{Cc}\\u00ad\\u034f\\u061c\\u115f-\\u1160\\u17b4-\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f' +
  '\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}';
const ANY = new RegExp(`[${INVISIBLE}]`, 'u');
const ONE = new RegExp(`^[${INVISIBLE}]$`, 'u');
/** Scripts in which joiners change how words look. */
const JOINS = /^[\u0600-\u0dff\u1000-\u109f\u1780-\u18af]$/u;
const PICTOGRAPH =
  /^[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u27ff\u2900-\u2bff\u3030\u303d\u3297\u3299\u{1f000}-\u{1faff}]$/u;
const SHORT = { '\n': '\\n', '\t': '\\t', '\r': '\\r' };

const joins = (c) => JOINS.test(c) && !ONE.test(c);

function isNeeded(before, c, after) {
  if (c === '\n' || c === '\t') return true;
  if (before === undefined) return false;
  if ((c === '\u200c' || c === '\u200d') && joins(before)) return after !== undefined && joins(after);
  if (c === '\u200d') {
    return (PICTOGRAPH.test(before) || before === '\ufe0f') && after !== undefined && PICTOGRAPH.test(after);
  }
  if (c === '\ufe0e' || c === '\ufe0f') return PICTOGRAPH.test(before) || after === '\u20e3';
  return false;
}

function escape(text, isWrong) {
  if (!ANY.test(text)) return text;
  const chars = [...text];
  const shown = (c, at) => {
    if (!ONE.test(c) || !isWrong(chars[at - 1], c, chars[at + 1])) return c;
    return SHORT[c] ?? `\\u{${c.codePointAt(0).toString(16)}}`;
  };
  return chars.map(shown).join('');
}

/** A name or another short text on one line, with every invisible character escaped. */
export const visible = (text) => escape(String(text ?? ''), () => true);

/** A text that people read. It keeps line breaks, tabs and the joiners that writing needs. */
export const readable = (text) =>
  escape(String(text ?? '').replaceAll('\r\n', '\n'), (before, c, after) => !isNeeded(before, c, after));

/**
 * The beginning of a long text, cut at a number of characters and lines.
 * @returns {{text: string, cut: boolean}}
 */
export function beginning(text, chars, lines) {
  let end = 0;
  for (let line = 0; line < lines; line++) {
    const at = text.indexOf('\n', end);
    if (at < 0 || at >= chars) {
      end = Math.min(text.length, chars);
      break;
    }
    end = line === lines - 1 ? at : at + 1;
  }
  // Not between the halves of a character.
  if (end < text.length && /[\ud800-\udbff]/.test(text[end - 1])) end -= 1;
  return { text: text.slice(0, end), cut: end < text.length };
}
