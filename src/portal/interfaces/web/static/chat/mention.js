// What is being mentioned in the composer: @server:resource anywhere, /server:prompt at the beginning.
const MENTION = /(?:^|\s)(@[\w-]*(?::\S*)?)$|^(\/[\w-]*(?::\S*)?)$/;

/** The mention that ends at the caret. @param {string} text @param {number} caret @returns {string|null} */
export function mentionAt(text, caret) {
  const found = MENTION.exec(text.slice(0, caret));
  return found ? found[1] ?? found[2] : null;
}

/**
 * The text with something in the place of the mention, and the caret behind that.
 * @param {string} text @param {number} caret @param {string} mention @param {string} put
 */
export function replaced(text, caret, mention, put) {
  const start = caret - mention.length;
  return { text: text.slice(0, start) + put + text.slice(caret), caret: start + put.length };
}
