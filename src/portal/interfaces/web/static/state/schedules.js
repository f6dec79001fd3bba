// What schedules do while somebody looks. Loaded with the first news of them, not at first.
import { signal } from "@preact/signals";
import * as api from "../api/schedules.js";
import { conversationPath, navigate } from "../router.js";
import { moreWords, t } from "../strings.js";
import { attempt } from "./organise.js";
import { toast } from "./place.js";

/** @import {Schedule} from "../types.js" */

/** The newest event about schedules. @type {import("@preact/signals").Signal<Record<string, any>>} */
export const scheduleNews = signal({});

/** Of these ends a person is told. @type {Record<string, "schedules.notice.completed"|"schedules.notice.failed"|"schedules.notice.waiting">} */
const NOTICES = { completed: "schedules.notice.completed", failed: "schedules.notice.failed", waiting: "schedules.notice.waiting" };

/** @param {Record<string, any>} event */
export async function schedulesChanged(event) {
  scheduleNews.value = event;
  const words = NOTICES[event.status];
  if (!event.name || !words) return;
  await moreWords();
  toast(t(words, { name: event.name }), { action: t("schedules.open"), run: () => navigate(conversationPath(event.conversation_id)) });
}

/** @param {Schedule} one */
export const pauseSchedule = ({ id, paused }) => attempt(() => api.changeSchedule(id, { paused: !paused }));

/** @param {Schedule} one */
export async function runNow({ id, name }) {
  if (await attempt(() => api.runSchedule(id))) toast(t("schedules.begun", { name }));
}

/** @param {Schedule} one */
export async function forgetSchedule({ id, name }) {
  const gone = await attempt(() => api.deleteSchedule(id));
  if (gone) toast(t("schedules.deleted", { name }));
  return gone;
}
