// Which parts of a text the words of a query touch. Pure.

/** @typedef {{text: string, hit: boolean}} Piece */

const UNSPACED = /[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]/;
const LONG = 4;

/** What to look for: words without their endings, pairs of characters where no spaces part words. @param {string} query */
function pattern(query) {
  const words = query.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  const some = words.some((word) => word.length >= LONG) ? words.filter((word) => word.length >= LONG || UNSPACED.test(word) || /\d/.test(word)) : words;
  const parts = [...new Set(some.flatMap((word) => (UNSPACED.test(word) ? pairs(word) : [`(?<![\\p{L}\\p{N}])${stem(word)}`])))];
  return parts.length ? new RegExp(parts.join("|"), "giu") : null;
}

/** @param {string} word */
const stem = (word) => (/\d/.test(word) || word.length < LONG ? `${word}(?![\\p{L}\\p{N}])` : `${word.slice(0, Math.max(LONG, word.length - 3))}[\\p{L}\\p{M}]*`);

/** @param {string} word */
const pairs = (word) => (word.length < 3 ? [word] : Array.from({ length: word.length - 1 }, (_, at) => word.slice(at, at + 2)));

/** The text in pieces, those hit and those between. @param {string} text @param {string} query @returns {Piece[]} */
export function marked(text, query) {
  const wanted = pattern(query);
  const pieces = [];
  let end = 0;
  for (const found of wanted ? text.matchAll(wanted) : []) {
    if (found.index > end) pieces.push({ text: text.slice(end, found.index), hit: false });
    const last = pieces.at(-1);
    if (last?.hit) last.text += found[0];
    else pieces.push({ text: found[0], hit: true });
    end = found.index + found[0].length;
  }
  if (end < text.length) pieces.push({ text: text.slice(end), hit: false });
  return pieces;
}

/** The stretch of a text where most of the query's words are, in pieces. @param {string} text @param {string} query @param {number} [width] characters @returns {Piece[]} */
export function excerpt(text, query, width = 320) {
  const flat = text.replace(/^#{1,6}\s+/gm, "").replace(/\s+/g, " ").trim();
  if (flat.length <= width) return marked(flat, query);
  const wanted = pattern(query);
  const places = [...(wanted ? flat.matchAll(wanted) : [])].map((found) => found.index);
  const inside = (/** @type {number} */ from) => places.filter((at) => at >= from && at < from + width - 40).length;
  const best = places.reduce((old, at) => (inside(at) > inside(old) ? at : old), places[0] ?? 0);
  const from = wordStart(flat, Math.max(0, Math.min(best - 40, flat.length - width)));
  const cut = flat.slice(from, from + width);
  const rest = from + width < flat.length;
  return marked(`${from ? "…" : ""}${rest ? cut.replace(/\s\S{0,20}$/, "") : cut}${rest ? "…" : ""}`, query);
}

/** @param {string} text @param {number} at */
function wordStart(text, at) {
  const space = at ? text.indexOf(" ", at) : -1;
  return space >= 0 && space - at < 20 ? space + 1 : at;
}
