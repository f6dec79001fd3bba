// The only module that makes HTML from text: parsed, sanitised, then given its code blocks, math and safe links.
import DOMPurify from "dompurify";
import { hasDefinitions, htmlOf, lex, openFence, split } from "./markdown/blocks.js";
import { linkMarks } from "./markdown/citations.js";
import { codeFigure, growingCode } from "./markdown/code.js";
import { typeset } from "./markdown/math.js";
import { t } from "./strings.js";

const CLEAN = {
  ALLOWED_TAGS: "a b blockquote br code del em h1 h2 h3 h4 h5 h6 hr i img kbd li mark ol p pre s span strong sub sup table tbody td th thead tr u ul".split(" "),
  ALLOWED_ATTR: ["align", "alt", "class", "data-lang", "data-tex", "href", "src", "start", "title"],
  ALLOW_DATA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

/** @typedef {(number: number) => {href: string, label: string}} LinkOf  where the number of a source leads */

/** @param {import("marked").Token[]} tokens @param {LinkOf|null} [linkOf] @returns {DocumentFragment} */
function fragment(tokens, linkOf = null) {
  const made = /** @type {DocumentFragment} */ (/** @type {unknown} */ (DOMPurify.sanitize(htmlOf(tokens), CLEAN)));
  for (const pre of made.querySelectorAll("pre")) pre.replaceWith(codeFigure(pre.textContent ?? "", pre.dataset.lang ?? ""));
  for (const block of made.querySelectorAll("ul, ol, blockquote, table")) block.setAttribute("dir", "auto"); // its marks stand where it begins
  for (const table of made.querySelectorAll("table")) table.replaceWith(scrollable(table));
  for (const link of made.querySelectorAll("a")) tameLink(link);
  for (const image of made.querySelectorAll("img")) tameImage(image);
  if (linkOf) linkMarks(made, linkOf);
  typeset(made);
  return made;
}

/** @param {HTMLTableElement} table */
function scrollable(table) {
  const box = document.createElement("div");
  box.className = "table-box";
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", t("code.table"));
  for (const cell of table.querySelectorAll("th:empty")) cell.replaceWith(emptyCell());
  box.append(table.cloneNode(true));
  return box;
}

const emptyCell = () => document.createElement("td");

/** @param {HTMLAnchorElement} link */
function tameLink(link) {
  const href = link.getAttribute("href") ?? "";
  if (/^\/(?:manual|c|documents|knowledge|memory|settings|models)(?:\/|$)/.test(href) || href.startsWith("#")) return;
  if (!/^(?:https?:|mailto:)/i.test(href)) return link.replaceWith(...link.childNodes);
  link.target = "_blank";
  link.rel = "noopener noreferrer";
}

/** Pictures of this server and of the text itself are shown; one elsewhere is a link, never loaded unasked. @param {HTMLImageElement} image */
function tameImage(image) {
  const source = image.getAttribute("src") ?? "";
  if (/^data:image\/|^\/(portal\/v1\/manual|v1\/files)\//.test(source)) return void (image.loading = "lazy");
  if (!/^https?:/i.test(source)) return image.replaceWith(image.alt);
  const link = document.createElement("a");
  link.className = "image-link";
  link.href = source;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  link.textContent = t("image.elsewhere", { name: image.alt || t("image.image"), host: new URL(source).host });
  image.replaceWith(link);
}

/** @typedef {{marker: string, start: number, seen: number, append: (text: string) => void}} Fence */

/** Hold back what may be the beginning of the closing fence. @param {Fence} fence @param {string} text */
function appendCode(fence, text) {
  const fresh = text.slice(fence.seen);
  const held = /\s*[`~]*$/.exec(fresh)?.[0].length ?? 0;
  fence.append(fresh.slice(0, fresh.length - held));
  fence.seen += fresh.length - held;
}

/**
 * A text on the page that may still grow. Each update costs what is new and the last block, never the whole text.
 */
export class MarkdownView {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    /** @type {LinkOf|null} */
    this.linkOf = null;
    this.text = "";
    /** How much of the text is drawn for good. */
    this.settled = 0;
    this.streamed = false;
    /** What is drawn of the growing block. @type {ChildNode[]} */
    this.tail = [];
    /** @type {Fence|null} */
    this.fence = null;
  }

  reset() {
    this.root.replaceChildren();
    this.text = "";
    this.settled = 0;
    this.streamed = false;
    this.tail = [];
    this.fence = null;
  }

  /** @param {string} text  the whole text so far @param {boolean} done  it will not grow */
  update(text, done) {
    if (!text.startsWith(this.text) || (done && this.streamed && hasDefinitions(text))) this.reset();
    this.text = text;
    if (done) return this.finish();
    this.streamed = true;
    if (this.fence && this.growFence(this.fence)) return;
    const { settled, length, growing } = split(text.slice(this.settled));
    this.replaceTail(settled.length ? [...fragment(settled).childNodes] : []);
    this.settled += length;
    this.tail = [];
    this.growTail(growing);
  }

  /** @param {import("marked").Token[]} growing */
  growTail(growing) {
    const fence = openFence(growing);
    if (!fence) return this.append([...fragment(growing).childNodes]);
    const code = growingCode(fence.language);
    this.append([code.figure]);
    const start = this.settled + fence.start;
    this.fence = { marker: fence.marker, start, seen: start, append: code.append };
    appendCode(this.fence, this.text);
  }

  /**
   * More of an open code block goes in as it is, unless its closing fence may have come.
   * @param {Fence} fence
   * @returns {boolean} whether it was taken
   */
  growFence(fence) {
    const around = this.text.slice(Math.max(fence.start - 1, fence.seen - fence.marker.length - 4));
    if (new RegExp(`\\n {0,3}${fence.marker}`).test(around)) {
      this.fence = null;
      return false;
    }
    appendCode(fence, this.text);
    return true;
  }

  finish() {
    this.fence = null;
    this.replaceTail([...fragment(lex(this.text.slice(this.settled)), this.linkOf).childNodes]);
    this.settled = this.text.length;
    this.tail = [];
  }

  /** @param {ChildNode[]} nodes */
  replaceTail(nodes) {
    for (const node of this.tail) node.remove();
    this.root.append(...nodes);
  }

  /** @param {ChildNode[]} nodes */
  append(nodes) {
    this.tail = nodes;
    this.root.append(...nodes);
  }
}
