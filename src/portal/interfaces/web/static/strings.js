// All words of the page. `t("key", {n})` picks the language, the plural form and fills in {names}.
import { signal } from "@preact/signals";
import { en } from "./strings/en.js";

/** @typedef {string | {zero?: string, one?: string, other: string}} Entry */
/** @typedef {typeof import("./strings/en-late.js").late} Late */
/** @typedef {typeof import("./strings/en-knowledge.js").knowledge} Knowledge */
/** @typedef {keyof typeof en | keyof Late | keyof Knowledge} Key */

/** Every language the page speaks, by its own name. English is always here; the others load when chosen. */
export const LANGUAGES = /** @type {Record<string, string>} */ ({ en: "English", de: "Deutsch" });
/** @type {Record<string, () => Promise<Record<string, Entry>>>} */
const LOAD = { en: async () => en, de: async () => (await import("./strings/de.js")).de };
/** The words of what is not part of the first load. @type {Record<string, () => Promise<Record<string, Entry>>>} */
const LATE = { en: async () => (await import("./strings/en-late.js")).late, de: async () => (await import("./strings/de-late.js")).late };
/** The words of knowledge, memory and schedules. @type {Record<string, () => Promise<Record<string, Entry>>>} */
const LAST = { en: async () => (await import("./strings/en-knowledge.js")).knowledge, de: async () => (await import("./strings/de-knowledge.js")).knowledge };

/** @type {import("@preact/signals").Signal<{language: string, words: Record<string, Entry>}>} */
const current = signal({ language: "en", words: en });

/** The language in use. */
export const language = () => current.value.language;
/** What Intl formats with: the browser's own variant of the language where it has one. */
export function locale() {
  const { language: chosen } = current.value;
  return navigator.languages?.find((each) => each.split("-")[0] === chosen) ?? chosen;
}

let chosen = "en";
/** How many of these are there: the first load's own, those that are late, all. @type {1|2|3} */
let stages = 1;
/** The newest loading of words. @type {Promise<void>|null} */
let speaking = null;

/** Speak a language; null follows the browser. @param {string|null} wanted */
export async function setLanguage(wanted) {
  const known = (/** @type {string} */ each) => each in LANGUAGES;
  const choice = wanted && known(wanted) ? wanted : (navigator.languages ?? []).map((each) => each.split("-")[0]).find(known) ?? "en";
  if (choice !== chosen) speak(choice);
  await speaking;
}

/** More words from now on: awaited before anything is shown that is not part of the first load. @param {2|3} [wanted]  2 is enough for what is fetched ahead */
export async function moreWords(wanted = 3) {
  if (stages < wanted) {
    stages = wanted;
    speak(chosen);
  }
  try {
    await speaking;
  } catch (error) {
    stages = 1; // what could not be fetched is tried again when next asked for
    throw error;
  }
}

/** @param {string} choice */
function speak(choice) {
  chosen = choice;
  /** @type {Promise<void>} */
  const mine = wordsOf(choice).then((words) => {
    if (mine !== speaking) return speaking ?? undefined; // another was wanted meanwhile
    current.value = { language: choice, words };
    document.documentElement.lang = choice;
    document.documentElement.dir = ["ar", "fa", "he", "ur"].includes(choice) ? "rtl" : "ltr";
  });
  speaking = mine;
}

/** @param {string} choice */
async function wordsOf(choice) {
  const wanted = [...new Set(["en", choice])].flatMap((each) => [LOAD, LATE, LAST].slice(0, stages).map((load) => load[each]()));
  return Object.assign({}, ...(await Promise.all(wanted)));
}

/**
 * @param {Key} key
 * @param {Record<string, string|number>} [values]  `n` chooses the plural form
 * @returns {string}
 */
export function t(key, values) {
  const { words } = current.value;
  const entry = words[key] ?? key;
  return fill(typeof entry === "string" ? entry : plural(entry, Number(values?.n ?? 0)), values);
}

/** Whether there are words under a key made from data, such as an error code. @param {string} key @returns {key is Key} */
export const has = (key) => key in current.value.words;

/** @param {Exclude<Entry, string>} forms @param {number} n */
function plural(forms, n) {
  if (n === 0 && forms.zero) return forms.zero;
  const form = /** @type {"one"|"other"} */ (new Intl.PluralRules(current.value.language).select(n));
  return forms[form] ?? forms.other;
}

/** @param {string} text @param {Record<string, string|number>} [values] */
function fill(text, values) {
  if (!values) return text;
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? new Intl.NumberFormat(locale()).format(value) : value;
  });
}
