// The beginning of a passage, in one line of text; each is looked up once.
import * as library from "../api/knowledge.js";

const LONGEST = 420;
/** @type {Map<string, string>} */
const known = new Map();

/** What is known of it already. @param {string} id */
export const glimpse = (id) => known.get(id) ?? null;

/** Throws ApiError where it is gone. @param {string} id */
export async function look(id) {
  const { text } = await library.passage(id);
  const flat = text.replace(/^#{1,6}\s+/gm, "").replace(/\s+/g, " ").trim();
  const shown = flat.length > LONGEST ? `${flat.slice(0, LONGEST)}…` : flat;
  known.set(id, shown);
  return shown;
}
