// A document's passages as one text to read: what two of them share is said once, headings and pages where they change. Pure.

/** @typedef {import("../types.js").Passage} Passage */
/** @typedef {{id: string, text: string, headings: string[], page: number|null, cited: boolean}} Block  `headings` and `page` only where they are new */

/** @param {Passage[]} passages  in order @param {string|null} cited  id of the one that is whole and marked @returns {Block[]} */
export function flow(passages, cited) {
  /** @type {Block[]} */
  const blocks = [];
  let end = 0;
  /** @type {number|null} */
  let page = null;
  /** @type {string[]} */
  let under = [];
  for (const one of passages) {
    const signs = [...one.text];
    const shared = blocks.length && one.end - one.start === signs.length ? Math.min(Math.max(end - one.start, 0), signs.length) : 0;
    const block = { id: one.id, text: one.text, headings: fresh(under, one.heading), page: one.page === page ? null : one.page, cited: one.id === cited };
    if (shared && block.cited) shorten(blocks, shared);
    else if (shared) block.text = signs.slice(shared).join("");
    block.text = block.text.trim();
    end = Math.max(end, one.end);
    if (!block.text && !block.cited) continue;
    blocks.push(block);
    page = one.page;
    under = one.heading;
  }
  return blocks;
}

/** Take the end away, which the next one says whole. @param {Block[]} blocks @param {number} signs */
function shorten(blocks, signs) {
  const last = blocks[blocks.length - 1];
  last.text = [...last.text].slice(0, -signs).join("").trim();
  if (!last.text && !last.headings.length && last.page === null) blocks.pop();
}

/** The headings that are not told already. @param {string[]} before @param {string[]} now */
function fresh(before, now) {
  let same = 0;
  while (same < now.length && before[same] === now[same]) same += 1;
  return now.slice(same);
}

/** A line that was broken only since it was full: in the middle of a sentence. */
const FULL = /(?<=^.{50,}[\p{L},;])\n(?=\p{Ll})/gmu;

/** A text in stretches: headings that it still writes in Markdown's way, and what stands under them. @param {string} text @returns {{text: string, heading: boolean}[]} */
export function stretches(text) {
  return text.split(/^(#{1,6}[ \t]+.+)$/m).map((part, at) => ({ text: (at % 2 ? part.replace(/^#+\s+/, "") : part.replace(FULL, " ")).trim(), heading: at % 2 === 1 })).filter((part) => part.text);
}
