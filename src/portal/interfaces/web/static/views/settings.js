// Settings, one section at a time, each at its own address.
import { html } from "htm/preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { t } from "../strings.js";
import { me, runsPortal } from "../state.js";
import { Bar } from "../layout.js";
import { About } from "../settings/about.js";
import { Appearance } from "../settings/appearance.js";
import { Channels } from "../settings/channels.js";
import { Data } from "../settings/data.js";
import { Devices } from "../settings/devices.js";
import { Files } from "../settings/files.js";
import { Keys } from "../settings/keys.js";
import { People } from "../settings/people.js";
import { SignInSettings } from "../settings/signin.js";
import { Usage } from "../settings/usage.js";

/** @type {[string, () => string, any][]} */
const SECTIONS = [
  ["appearance", () => t("settings.appearance"), Appearance],
  ["sign-in", () => t("signin.title"), SignInSettings],
  ["keys", () => t("settings.keys"), Keys],
  ["devices", () => t("settings.devices"), Devices],
  ["channels", () => t("settings.channels"), Channels],
  ["people", () => t("settings.people"), People],
  ["data", () => t("settings.data"), Data],
  ["files", () => t("files.title"), Files],
  ["usage", () => t("settings.usage"), Usage],
  ["about", () => t("settings.about"), About],
];

/** What a person's role shows nothing in. @param {string} id */
function shown(id) {
  const role = me.value?.user?.role;
  return id === "people" ? runsPortal.value : id === "keys" || id === "channels" ? role !== "guest" : true;
}

/** @param {{route: import("../types.js").Route}} props */
export function View({ route }) {
  const sections = SECTIONS.filter(([each]) => shown(each));
  const [id, title, body] = sections.find(([each]) => each === route.section) ?? sections[0];
  const tabs = useRef(/** @type {HTMLElement|null} */ (null));
  useLayoutEffect(() => tabs.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" }), [id]);
  return html`<${Bar} title=${t("common.settings")} />
    <div class="page"><div class="page-inner">
      <nav ref=${tabs} class="tabs" aria-label=${t("settings.sections")}>${sections.map(([each, name]) => html`<a key=${each} href=${`/settings/${each}`}
        aria-current=${each === id ? "page" : undefined}>${name()}</a>`)}</nav>
      <section class="column settings-section" aria-labelledby="settings-title"><h2 id="settings-title">${title()}</h2><${body} key=${id} /></section>
    </div></div>`;
}
