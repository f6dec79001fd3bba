// That something changed which only its own view shows: those views look again.
import { signal } from "@preact/signals";

/** The newest event about collections and documents. @type {import("@preact/signals").Signal<Record<string, any>>} */
export const knowledgeNews = signal({});
/** The newest event about memories. @type {import("@preact/signals").Signal<Record<string, any>>} */
export const memoryNews = signal({});
/** The newest event about channels. @type {import("@preact/signals").Signal<Record<string, any>>} */
export const channelNews = signal({});
/** The newest event about the health of the installation. @type {import("@preact/signals").Signal<Record<string, any>>} */
export const healthNews = signal({});

/** What is wrong with the installation and not put away. @type {import("@preact/signals").Signal<import("../api/insight.js").Condition[]>} */
export const troubles = signal([]);

/** The newest event about imports. @type {import("@preact/signals").Signal<Record<string, any>>} */
export const importNews = signal({});

/** @param {Record<string, any>} event */
export const importChanged = (event) => void (importNews.value = event);
/** @param {Record<string, any>} event */
export const knowledgeChanged = (event) => void (knowledgeNews.value = event);
/** @param {Record<string, any>} event */
export const memoryChanged = (event) => void (memoryNews.value = event);
/** @param {Record<string, any>} event */
export const channelsChanged = (event) => void (channelNews.value = event);

/** What happened to Portal itself. */
export const activityNews = signal({});
/** @param {object} event */
export const activityChanged = (event) => void (activityNews.value = event);
/** @param {Record<string, any>} event */
export const healthChanged = (event) => void (healthNews.value = event);
