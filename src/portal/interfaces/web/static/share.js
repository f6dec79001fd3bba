// The page of a shared conversation: for anybody, so it knows nothing of sessions and asks for nothing else.
import { render } from "preact";
import { html } from "htm/preact";
import { ApiError } from "./api.js";
import { shared } from "./api/share.js";
import { moment } from "./format.js";
import { moreWords, setLanguage, t } from "./strings.js";
import { Markdown } from "./chat/markdown.js";

const root = /** @type {HTMLElement} */ (document.getElementById("app"));

/** @param {{found: import("./api/share.js").Shared}} props */
function Conversation({ found }) {
  return html`<main class="shared"><header><h1 dir="auto">${found.title || t("share.untitled")}</h1>
      <p class="muted">${t("share.since", { when: moment(found.shared_at) })}</p></header>
    ${found.messages.map((one, place) => html`<section key=${place} aria-label=${t(one.role === "user" ? "share.question" : "share.answer")} class=${one.role === "user" ? "shared-asked" : ""} dir="auto">${one.role === "user" ? one.text : html`<${Markdown} text=${one.text} done=${true} />`}</section>`)}
  </main>`;
}

async function start() {
  await setLanguage(null);
  await moreWords();
  try {
    const found = await shared(location.pathname.split("/")[2] ?? "");
    document.title = found.title || t("share.untitled");
    render(html`<${Conversation} found=${found} />`, root);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    render(html`<main class="shared"><h1>${t("share.gone")}</h1><p>${t(error.status ? "share.goneText" : "error.unreachable")}</p></main>`, root);
  }
}

start();
