// Code blocks: language, copy button, colours by class. The highlighter loads with the first block that needs it.
import { announce, inspect, toast } from "../state.js";
import { t } from "../strings.js";

/** @type {Promise<any>|null} */
let loading = null;
/** @type {any} */
let highlighter = null;
const TOO_LONG = 100_000;

/** @param {string} language @returns {{figure: HTMLElement, code: HTMLElement}} */
function frame(language) {
  const figure = document.createElement("figure");
  figure.className = "code";
  const head = document.createElement("figcaption");
  const name = document.createElement("span");
  name.textContent = language || t("code.plain");
  const copy = document.createElement("button");
  copy.type = "button";
  copy.className = "ghost";
  copy.textContent = t("common.copy");
  copy.setAttribute("aria-label", t("code.copy"));
  const pre = document.createElement("pre");
  pre.tabIndex = 0;
  const code = document.createElement("code");
  copy.addEventListener("click", () => copyText(code.textContent ?? "", copy));
  head.append(name, copy);
  pre.append(code);
  figure.append(head, pre);
  return { figure, code };
}

/** A finished code block. @param {string} text @param {string} language @returns {HTMLElement} */
export function codeFigure(text, language) {
  const { figure, code } = frame(language);
  code.textContent = text;
  const kind = artefactKind(text, language);
  if (kind) figure.querySelector("button")?.before(previewButton(text, kind));
  if (language && text.length < TOO_LONG) colour(code, language);
  return figure;
}

/** What can be looked at, and as what. @param {string} text @param {string} language */
function artefactKind(text, language) {
  const name = language.toLowerCase();
  if (name === "html" || name === "svg" || name === "mermaid") return name;
  return name === "xml" && /^\s*(?:<\?xml[^>]*>\s*)?<svg[\s>]/.test(text) ? "svg" : null;
}

/** @param {string} text @param {string} language */
function previewButton(text, language) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "ghost";
  button.textContent = t("artefact.preview");
  button.addEventListener("click", () => inspect({ kind: "artefact", id: `${language}:${text}`, language, text }));
  return button;
}

/** A code block that is being written. @param {string} language */
export function growingCode(language) {
  const { figure, code } = frame(language);
  const text = document.createTextNode("");
  code.append(text);
  return { figure, append: (/** @type {string} */ more) => text.appendData(more) };
}

/** @param {HTMLElement} code @param {string} language */
function colour(code, language) {
  if (highlighter) return paint(code, language);
  loading ??= import("highlight").then((module) => (highlighter = module.default));
  loading.then(() => paint(code, language));
}

/** @param {HTMLElement} code @param {string} language */
function paint(code, language) {
  if (!highlighter.getLanguage(language)) return;
  const { value } = highlighter.highlight(code.textContent ?? "", { language, ignoreIllegals: true });
  const parsed = new DOMParser().parseFromString(value, "text/html"); // spans and escaped text only: the highlighter's own output
  code.replaceChildren(...parsed.body.childNodes);
}

/** Copy, and say so on the button for a moment. @param {string} text @param {HTMLElement} [button] */
export async function copyText(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    toast(t("error.copyFailed")); // no permission, or not a secure context
    return false;
  }
  announce(t("common.copied"));
  if (!button) return true;
  const before = button.textContent;
  button.textContent = t("common.copied");
  setTimeout(() => (button.textContent = before), 1600);
  return true;
}
