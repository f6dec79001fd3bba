// Signed-in browsers, and a link that signs in another device.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api.js";
import { attempt, signOut, toast } from "../state.js";
import { moment } from "../format.js";
import { t } from "../strings.js";
import { useLoad } from "../load.js";
import { CopyLine } from "./copy.js";
import { Qr } from "./qr.js";
import { Elsewhere } from "./signin.js";

/** @typedef {{id: string, name: string, created_at: number, last_used_at: number|null, current: boolean}} Session */

export function Devices() {
  const { data, failed, reload } = useLoad(api.sessions);
  return html`<section class="column" aria-labelledby="devices-link"><div><h3 id="devices-link">${t("settings.link")}</h3>
      <p class="muted">${t("settings.linkText")}</p></div><${NewLink} /></section>
    <section class="column" aria-labelledby="devices-sessions"><h3 id="devices-sessions">${t("settings.sessions")}</h3>
      ${failed && html`<p class="bad">${t("settings.loadFailed")}</p>`}
      <ul class="lines">${data?.data.map((/** @type {Session} */ session) => html`<${SessionLine} key=${session.id} session=${session} onGone=${reload} />`)}</ul>
      <div class="row wrap"><button type="button" class="button" onClick=${() => attempt(signOut)}>${t("settings.signOut")}</button><${Elsewhere} onDone=${reload} /></div>
    </section>`;
}

function NewLink() {
  const [link, setLink] = useState(/** @type {{url: string, expires_at: number}|null} */ (null));
  const make = () => attempt(async () => setLink(await api.createLink()));
  if (!link) return html`<div class="row"><button type="button" class="button" onClick=${make}>${t("settings.linkMake")}</button></div>`;
  const local = /^(localhost|127\.|\[::1\])/.test(new URL(link.url).hostname);
  return html`<div class="column" role="status"><${CopyLine} text=${link.url} />
    <p class="small muted">${t("settings.linkUntil", { when: moment(link.expires_at) })}</p>
    ${local ? html`<div class="notice"><p class="grow">${t("settings.linkLocal")}</p><a href="/manual/security#reach-portal-from-another-device">${t("settings.linkHow")}</a></div>`
      : html`<${Qr} text=${link.url} label=${t("settings.linkQr")} />`}</div>`;
}

/** @param {{session: Session, onGone: () => void}} props */
function SessionLine({ session, onGone }) {
  const name = deviceName(session.name);
  const end = () => attempt(async () => {
    await api.deleteSession(session.id);
    toast(t("settings.sessionEnded", { name }));
    onGone();
  });
  return html`<li class="line"><div class="grow"><p class="clip" title=${session.name}><strong>${name}</strong>${session.current && html` <span class="tag">${t("settings.sessionHere")}</span>`}</p>
    <p class="small muted">${[t("settings.created", { when: moment(session.created_at) }), session.last_used_at && t("settings.sessionSeen", { when: moment(session.last_used_at) })].filter(Boolean).join(" · ")}</p></div>
    ${!session.current && html`<button type="button" class="button danger" aria-label=${t("settings.sessionEndNamed", { name })} onClick=${end}>${t("settings.sessionEnd")}</button>`}</li>`;
}

/** "Firefox on Linux" out of a user agent. @param {string} agent */
function deviceName(agent) {
  /** @param {[RegExp, string][]} names */
  const first = (names) => names.find(([pattern]) => pattern.test(agent))?.[1];
  const browser = first([[/Edg\//, "Edge"], [/OPR\//, "Opera"], [/Firefox\//, "Firefox"], [/Chrom(e|ium)\//, "Chrome"], [/Safari\//, "Safari"]]);
  const system = first([[/iPhone/, "iPhone"], [/iPad/, "iPad"], [/Android/, "Android"], [/Windows/, "Windows"], [/Mac OS X/, "macOS"], [/CrOS/, "ChromeOS"], [/Linux/, "Linux"]]);
  if (browser && system) return t("settings.deviceOn", { browser, system });
  return browser ?? system ?? (agent || t("settings.sessionUnknown"));
}
