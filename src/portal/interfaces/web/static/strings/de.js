// German. What is missing here is shown in English.
import { chat } from "./de-chat.js";
import { rail } from "./de-rail.js";

/** @type {Record<string, import("../strings.js").Entry>} */
export const de = { ...chat, ...rail };
