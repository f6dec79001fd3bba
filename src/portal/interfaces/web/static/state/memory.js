// What people do to memories. Loaded with the views that show them, not at first.
import * as api from "../api.js";
import * as library from "../api/memory.js";
import { navigate } from "../router.js";
import { t } from "../strings.js";
import { attempt } from "./organise.js";
import { toast } from "./place.js";

/** @import {Memory} from "../types.js" */

/** Forget it at once; a toast offers to write it down again. @param {Memory} one */
export async function forgetMemory({ id, text, kind, scope, happened_at }) {
  const gone = await attempt(() => library.forget(id));
  if (gone) toast(t("memory.forgotten"), { action: t("common.undo"), run: () => attempt(() => library.remember({ text, kind, scope, happened_at })) });
  return gone;
}

/** @param {string[]} ids */
export async function forgetSeveral(ids) {
  const gone = await attempt(() => Promise.all(ids.map(library.forget)));
  if (gone) toast(t("memory.forgottenSome", { n: ids.length }));
  return gone;
}

export async function forgetAll() {
  await attempt(async () => {
    const { deleted } = await library.forgetEverything();
    toast(t("memory.forgottenSome", { n: deleted }));
  });
}

/** @param {Memory} one @param {Partial<Memory>} changes */
export const changeMemory = (one, changes) => attempt(() => library.changeMemory(one.id, changes));

/** @param {Memory} one */
export const acceptMemory = (one) => attempt(() => library.accept(one.id));
/** @param {Memory} one */
export const rejectMemory = (one) => attempt(() => library.reject(one.id));

/** @param {string} text */
export const remember = (text) => attempt(async () => {
  if (!(await library.remember({ text })).new) toast(t("memory.known"));
});

/** @param {string[]} ids @param {string} text */
export const mergeMemories = (ids, text) => attempt(() => library.merge(ids, text));

/** Go to the conversation in which it was said. @param {string} response */
export const openSource = (response) => attempt(async () => {
  const { conversation } = await api.response(response);
  const id = typeof conversation === "string" ? conversation : conversation?.id;
  if (id) navigate(`/c/${encodeURIComponent(id)}`);
  else toast(t("memory.noConversation"));
});
