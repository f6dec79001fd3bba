// Looks after what is wrong with the installation, for those who run it; loaded once the page is there.
import { effect } from "@preact/signals";
import * as api from "../api.js";
import { health } from "../api/insight.js";
import { models } from "./models.js";
import { channelNews, healthNews, troubles } from "./news.js";

/** @typedef {import("../api/insight.js").Condition} Condition */

const SETTLED = 1500; // milliseconds in which several changes are one
/** What was put away: it comes back when something else is wrong. */
let hidden = "";

const worth = (/** @type {Condition} */ one) => one.state === "degraded" || one.state === "down" || (one.kind === "settings" && one.state === "note");
/** Tells one trouble from another. @param {Condition[]} all */
export const named = (all) => all.map((one) => `${one.kind} ${one.name} ${one.state} ${one.kind === "settings" ? one.detail : ""}`).join("\n");

/** Look how it is, now and whenever it may have changed. @returns {() => void} what ends it */
export function watchTroubles() {
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  let timer;
  const end = effect(() => {
    void [channelNews.value, models.value];
    clearTimeout(timer);
    timer = setTimeout(look, healthNews.value.type ? SETTLED : 0);
  });
  return () => {
    end();
    clearTimeout(timer);
    troubles.value = [];
  };
}

async function look() {
  try {
    const wrong = (await health()).data.filter(worth);
    if (!wrong.length) hidden = ""; // what comes back is told again
    troubles.value = hidden === named(wrong) ? [] : wrong;
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error; // the page says by itself that Portal is away
  }
}

/** Put away what is shown. */
export function hideTroubles() {
  hidden = named(troubles.value);
  troubles.value = [];
}
