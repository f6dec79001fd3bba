// A growing answer, sentence by sentence, as it can be said. Pure.

/**
 * The next thing to say after `from`; null while its end has not come yet. `said` is empty where there is nothing to say,
 * such as in code.
 * @param {string} text @param {number} from @param {boolean} done  nothing comes after this text
 * @returns {{said: string, end: number}|null}
 */
export function nextSentence(text, from, done) {
  const rest = text.slice(from);
  if (!rest) return null;
  if (/^\s*```/.test(rest)) {
    const code = /^\s*```[\s\S]*?\n```[^\n]*(?:\n|$)/.exec(rest);
    if (code && (done || code[0].endsWith("\n"))) return { said: "", end: from + code[0].length };
    return done ? { said: "", end: text.length } : null;
  }
  const number = /^\s*\d{1,3}[.)]\s+/.exec(rest)?.[0] ?? ""; // of a list, whose full stop ends nothing
  const after = rest.slice(number.length);
  const whole = number + (/^[\s\S]*?(?:[.!?…:](?=\s)|[。！？]|\n)/.exec(after)?.[0] ?? (done ? after : ""));
  if (whole === number && !done) return null;
  return whole ? { said: plain(whole), end: from + whole.length } : null;
}

/** Markdown as it is spoken; empty where no letter or digit is left. @param {string} text */
export function plain(text) {
  const said = text
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/https?:\/\/\S+/g, "")
    .replace(/<[^>\s][^>]*>/g, " ")
    .replace(/^\s*(?:[-*+>]|#{1,6}|\d+[.)])\s+/gm, "")
    .replace(/[*_`#|~]+/g, "")
    .replace(/\s+/g, " ")
    .trim();
  return /[\p{L}\p{N}]/u.test(said) ? said : "";
}
