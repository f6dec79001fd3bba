// Activity, for those who run this Portal: how it is now, what happened. Each part is at its own address.
import { html } from "htm/preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { Bar } from "../layout.js";
import { Icon } from "../icons.js";
import { lazy } from "../lazy.js";
import { runsPortal } from "../state.js";
import { t } from "../strings.js";
import { useSheet } from "../sheets.js";

/** A new part is a line here and a module in `insight/`. @type {[string, () => string, any][]} */
const PARTS = [
  ["now", () => t("insight.now"), lazy(async () => (await import("../insight/now.js")).Now)],
  ["turns", () => t("turns.title"), lazy(async () => (await import("../insight/turns.js")).Turns)],
  ["events", () => t("insight.events"), lazy(async () => (await import("../insight/events.js")).Events)],
  ["log", () => t("insight.log"), lazy(async () => (await import("../insight/log.js")).Log)],
];

/** @param {{route: import("../types.js").Route}} props */
export function View({ route }) {
  useSheet("insight");
  const [id, title, body] = PARTS.find(([each]) => each === route.section) ?? PARTS[0];
  const tabs = useRef(/** @type {HTMLElement|null} */ (null));
  useLayoutEffect(() => tabs.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" }), [id]);
  if (!runsPortal.value) return html`<${Bar} title=${t("insight.title")} />
    <div class="page"><div class="page-inner"><p class="notice"><${Icon} name="shield" /><span class="grow">${t("insight.closed")}</span></p></div></div>`;
  return html`<${Bar} title=${t("insight.title")} />
    <div class="page"><div class="page-inner is-wide">
      <nav ref=${tabs} class="tabs" aria-label=${t("insight.parts")}>${PARTS.map(([each, name]) => html`<a key=${each} href=${`/activity/${each}`}
        aria-current=${each === id ? "page" : undefined}>${name()}</a>`)}</nav>
      <section class="column insight" aria-labelledby="insight-title"><h2 id="insight-title" class="sr-only">${title()}</h2><${body} key=${id} route=${route} /></section>
    </div></div>`;
}
