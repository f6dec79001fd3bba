// All state of the page. Only the files behind this door write signals; views read them and call the functions.
export * from "./state/place.js";
export * from "./state/session.js";
export * from "./state/models.js";
export * from "./state/workspaces.js";
export * from "./state/conversations.js";
export * from "./state/chat.js";
export * from "./state/sending.js";
export * from "./state/attachments.js";
export * from "./state/search.js";
export * from "./state/organise.js";
export * from "./state/approvals.js";
export * from "./state/news.js";
export * from "./state/rows.js";
export * from "./state/changes.js";
export * from "./state/engine.js";
export * from "./state/manual.js";
