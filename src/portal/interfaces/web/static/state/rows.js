// How high a row of the list is: it follows the pointer (fingers want more) and the text size.
import { computed, signal } from "@preact/signals";
import { compact } from "./place.js";
import { preferences } from "./session.js";

const fingers = matchMedia("(pointer: coarse)");
const coarse = signal(fingers.matches);
fingers.addEventListener("change", () => (coarse.value = fingers.matches));

/** Pixels of one line of the list. */
export const rowHeight = computed(() => {
  void preferences.value.text_size; // the root font size is set from it
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize) || 16;
  return Math.round((coarse.value || compact.value ? 2.75 : 2.25) * rem);
});
