// Markdown to blocks and to (unsanitised) HTML text. Pure: no DOM. markdown.js is its only door to the page.
import { Marked } from "marked";

/** Tags a text may use itself; every other raw HTML is shown as the text it is. */
const PLAIN_TAG = /^<\/?(?:br|sub|sup|kbd|b|i|em|strong|u|s|mark)\s*\/?>$/i;

/** @param {string} text */
export const escape = (text) =>
  text.replace(/[&<>"']/g, (each) => `&#${each.charCodeAt(0)};`);

/** @param {string} tex @param {boolean} display */
const mathTag = (tex, display) =>
  `<span class="math${display ? " is-display" : ""}" data-tex="${escape(tex)}">${escape(tex)}</span>`;

const INLINE_MATH = [/^\$\$([^$]+?)\$\$/, /^\\\[([\s\S]+?)\\\]/, /^\\\(([\s\S]+?)\\\)/, /^\$(?![\s$])((?:\\.|[^\\$\n])*?[^\s\\$])\$(?![\d$])/];
const BLOCK_MATH = [/^ {0,3}\$\$([\s\S]+?)\$\$ *(?:\n|$)/, /^ {0,3}\\\[([\s\S]+?)\\\] *(?:\n|$)/];

/** @param {string} name @param {"inline"|"block"} level @param {RegExp[]} patterns @param {RegExp} start */
const math = (name, level, patterns, start) => ({
  name,
  level,
  start: (/** @type {string} */ source) => start.exec(source)?.index,
  tokenizer(/** @type {string} */ source) {
    for (const [index, pattern] of patterns.entries()) {
      const match = pattern.exec(source);
      if (match) return { type: name, raw: match[0], tex: match[1].trim(), display: level === "block" || index < 2 };
    }
  },
  renderer: (/** @type {any} */ token) => (level === "block" ? `<p>${mathTag(token.tex, true)}</p>` : mathTag(token.tex, token.display)),
});

const marked = new Marked({
  gfm: true,
  breaks: false,
  renderer: {
    html: ({ text }) => (PLAIN_TAG.test(text.trim()) ? text : escape(text)),
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
    code: ({ text, lang }) => `<pre data-lang="${escape((lang ?? "").match(/^[\w+#.-]*/)?.[0] ?? "")}"><code>${escape(text)}</code></pre>`,
  },
});
marked.use({
  extensions: /** @type {any} */ ([
    math("blockMath", "block", BLOCK_MATH, /^ {0,3}(?:\$\$|\\\[)/m),
    math("inlineMath", "inline", INLINE_MATH, /\$|\\\(|\\\[/),
  ]),
});

/** @typedef {import("marked").Token} Token */

/** @param {string} text @returns {Token[]} */
export const lex = (text) => marked.lexer(text);
/** @param {Token[]} tokens */
export const htmlOf = (tokens) => marked.parser(tokens);

/**
 * Splits a text that is still growing: blocks that more text cannot change any more, and the one that it may.
 * @param {string} text
 * @returns {{settled: Token[], length: number, growing: Token[]}}  `length`: how much of `text` is settled
 */
export function split(text) {
  const tokens = lex(text);
  let last = tokens.length - 1;
  while (last >= 0 && tokens[last].type === "space") last -= 1;
  const settled = tokens.slice(0, Math.max(last, 0));
  const length = settled.reduce((sum, token) => sum + token.raw.length, 0);
  return { settled, length, growing: tokens.slice(settled.length) };
}

/** A link definition somewhere below can change a block above. @param {string} text */
export const hasDefinitions = (text) => /^ {0,3}\[[^\]\n]+\]:\s/m.test(text);

/**
 * The open fence a growing text ends in: its marker, language, and where its code begins; null outside of one.
 * @param {Token[]} growing
 * @returns {{marker: string, language: string, start: number}|null}
 */
export function openFence(growing) {
  const token = /** @type {any} */ (growing[0]);
  if (token?.type !== "code" || growing.length !== 1) return null;
  const match = /^ {0,3}(`{3,}|~{3,})([^\n`]*)\n/.exec(token.raw);
  if (!match || new RegExp(`\\n {0,3}${match[1][0]}{${match[1].length},}[ \\t]*\\n*$`).test(token.raw)) return null;
  return { marker: match[1], language: match[2].trim().split(/\s/)[0] ?? "", start: match[0].length };
}
