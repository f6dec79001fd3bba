// What is wrong with the installation, for those who run it; loaded with its notice.
import { computed, signal } from "@preact/signals";
import * as api from "../api.js";
import { health } from "../api/insight.js";

/** @typedef {import("../api/insight.js").Condition} Condition */

/** @type {import("@preact/signals").Signal<Condition[]>} */
const wrong = signal([]);
/** What was put away: it comes back when something else is wrong. */
const hidden = signal("");

const worth = (/** @type {Condition} */ one) => one.state === "degraded" || one.state === "down" || (one.kind === "settings" && one.state === "note");
/** Tells one trouble from another. @param {Condition[]} all */
export const named = (all) => all.map((one) => `${one.kind} ${one.name} ${one.state} ${one.kind === "settings" ? one.detail : ""}`).join("\n");
/** What is to be shown. */
export const troubles = computed(() => (hidden.value === named(wrong.value) ? [] : wrong.value));

/** Look how it is. */
export async function loadTroubles() {
  try {
    wrong.value = (await health()).data.filter(worth);
    if (!wrong.value.length) hidden.value = ""; // what comes back is told again
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error; // the page says by itself that Portal is away
  }
}

/** Put away what is shown. */
export const hideTroubles = () => void (hidden.value = named(wrong.value));
