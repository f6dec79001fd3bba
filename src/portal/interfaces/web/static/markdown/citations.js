// Numbers of sources in an answer: found in its text by the annotations' places, then links. Pure.

/** @typedef {{type: "file_citation", index: number, file_id: string, filename: string} & Record<string, any>} FileCitation */
/** @typedef {{number: number, file: string, passage: string, title: string, page: number|null, attributed: boolean}} Cited */

/** Private characters that stand around a number; what the text itself has of them is left out. */
const OPEN = "\ue000";
const CLOSE = "\ue001";
const MARK = /\ue000(\d+)\ue001/g;
const BRACKET = /^[[【][^\]】\n]{1,80}[\]】]/;

/** The sources that annotations name, by number. @param {Record<string, any>[]} annotations @returns {Cited[]} */
export function citedSources(annotations) {
  /** @type {Map<number, Cited>} */
  const found = new Map();
  for (const note of annotations.filter(isFile)) {
    const number = note["portal:number"] ?? found.size + 1;
    if (!found.has(number)) {
      found.set(number, { number, file: note.file_id, passage: note["portal:passage_id"] ?? "", title: note.filename, page: note["portal:page"] ?? null, attributed: Boolean(note["portal:attributed"]) });
    }
  }
  return [...found.values()].sort((a, b) => a.number - b.number);
}

/** @param {Record<string, any>} note @returns {note is FileCitation} */
export const isFile = (note) => note.type === "file_citation";

/** The text with a mark for each number where an annotation stands; places count characters, not units. @param {string} text @param {Record<string, any>[]} annotations */
export function withMarks(text, annotations) {
  /** @type {Map<number, number[]>} */
  const places = new Map();
  annotations.filter(isFile).forEach((note, at) => places.set(note.index, [...new Set([...(places.get(note.index) ?? []), note["portal:number"] ?? at + 1])]));
  const signs = [...text];
  let made = "";
  let end = 0;
  for (const [index, numbers] of [...places].sort(([a], [b]) => a - b)) {
    if (index < end || index > signs.length) continue;
    made += plain(signs.slice(end, index).join("")) + numbers.map((number) => `${OPEN}${number}${CLOSE}`).join("");
    const bracket = BRACKET.exec(signs.slice(index, index + 82).join(""));
    end = index + (bracket ? [...bracket[0]].length : 0);
  }
  return made + plain(signs.slice(end).join(""));
}

/** @param {string} text */
const plain = (text) => text.replace(/[\ue000\ue001]/g, "");

/**
 * Links in place of the marks.
 * @param {DocumentFragment} made @param {(number: number) => {href: string, label: string}} linkOf
 */
export function linkMarks(made, linkOf) {
  const walker = document.createTreeWalker(made, NodeFilter.SHOW_TEXT);
  /** @type {Text[]} */
  const texts = [];
  while (walker.nextNode()) if (walker.currentNode.nodeValue?.includes(OPEN)) texts.push(/** @type {Text} */ (walker.currentNode));
  for (const node of texts) node.replaceWith(...linked(node.data, linkOf));
}

/** @param {string} text @param {(number: number) => {href: string, label: string}} linkOf @returns {(string|Node)[]} */
function linked(text, linkOf) {
  return text.split(MARK).map((part, at) => {
    if (at % 2 === 0) return part;
    const { href, label } = linkOf(Number(part));
    const link = document.createElement("a");
    link.className = "cite";
    link.href = href;
    link.dataset.number = part;
    link.textContent = part;
    link.setAttribute("aria-label", label);
    return link;
  });
}
