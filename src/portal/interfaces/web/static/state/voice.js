// Voice: which answer is read aloud, and what the microphone is for just now.
import { signal } from "@preact/signals";

/** Key of the turn that is read aloud. @type {import("@preact/signals").Signal<string|null>} */
export const reading = signal(null);
/** @param {string|null} key */
export const setReading = (key) => void (reading.value = key);
