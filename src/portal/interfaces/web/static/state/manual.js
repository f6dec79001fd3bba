// The manual: its contents, and the pages that were opened; both stay for as long as the page is open.
import { signal } from "@preact/signals";
import * as api from "../api.js";

/** @typedef {{id: string, title: string, sections: {id: string, title: string}[]}} ManualPage */

/** @type {import("@preact/signals").Signal<ManualPage[]|null>} */
export const manualContents = signal(null);
/** @type {Map<string, {id: string, title: string, markdown: string}>} */
const pages = new Map();

export async function loadManual() {
  manualContents.value ??= (await api.manual()).pages;
}

/** @param {string} id */
export async function manualPage(id) {
  const page = pages.get(id) ?? (await api.manualPage(id));
  pages.set(id, page);
  return page;
}

/** Where reading begins. */
export const FIRST_PAGE = "getting-started";

/**
 * Sections whose titles have all the words; those with all of them in the section's own title first.
 * @param {ManualPage[]} contents @param {string} text
 * @returns {{page: ManualPage, section: {id: string, title: string}}[]}
 */
export function findSections(contents, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const all = contents.flatMap((page) => page.sections.map((section) => ({ page, section })));
  const has = (/** @type {string} */ title) => words.every((word) => title.toLowerCase().includes(word));
  const own = all.filter(({ section }) => has(section.title));
  return [...own, ...all.filter((each) => !own.includes(each) && has(`${each.page.title} ${each.section.title}`))].slice(0, 30);
}
