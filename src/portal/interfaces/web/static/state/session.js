// Who is here and how they like the page: user, limits, preferences, theme, language.
import { computed, signal } from "@preact/signals";
import * as api from "../api.js";
import { setLanguage } from "../strings.js";

/** @type {import("@preact/signals").Signal<Record<string, any>|null>} */
export const me = signal(null);
/** "starting" until the first answer, then "in", "out" (no session) or "away" (server unreachable). */
export const session = signal(/** @type {"starting"|"in"|"out"|"away"} */ ("starting"));
/** @type {import("@preact/signals").Signal<Record<string, any>>} */
export const preferences = signal({});

export const theme = computed(() => /** @type {string} */ (preferences.value.theme ?? "system"));
/** Whether this person runs the installation. */
export const runsPortal = computed(() => ["owner", "admin"].includes(me.value?.user?.role));
export const uploadLimit = computed(() => /** @type {number} */ (me.value?.limits?.max_upload ?? 64 * 2 ** 20));

/** What the files of a temporary chat may have together: they go along as base64 with each question, and words need room, too. */
export const temporaryLimit = computed(() => Math.floor(0.7 * (me.value?.limits?.max_body ?? 64 * 2 ** 20)));

/** Load the person; sets `session`. Safe to call again. */
export async function loadSession() {
  try {
    const about = await api.me();
    me.value = about;
    preferences.value = about.user?.preferences ?? {};
    applyPreferences();
    session.value = "in";
  } catch (error) {
    session.value = error instanceof api.ApiError && error.status === 401 ? "out" : "away";
  }
}

/** Change some preferences; they follow the person to other devices. @param {Record<string, any>} changes */
export async function prefer(changes) {
  preferences.value = { ...preferences.value, ...changes };
  applyPreferences();
  await api.savePreferences(preferences.value);
}

function applyPreferences() {
  const { theme: wanted, language, text_size: size } = preferences.value;
  const root = document.documentElement;
  if (wanted === "light" || wanted === "dark") root.dataset.theme = wanted;
  else delete root.dataset.theme;
  remember("portal:theme", wanted === "system" ? null : wanted);
  if (size && size !== "m") root.dataset.text = size;
  else delete root.dataset.text;
  remember("portal:text", size === "m" ? null : size);
  remember("portal:language", language);
  setLanguage(language ?? null);
}

/** @param {string} name @param {string|null|undefined} value */
function remember(name, value) {
  if (value) localStorage.setItem(name, value);
  else localStorage.removeItem(name);
}

/** The server stopped accepting our session. */
export const signedOut = () => void (session.value = "out");

export async function signOut() {
  await api.signOut();
  signedOut();
}
