// No session: the ways to sign in that this Portal has, and how to get a link that signs this browser in.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api/people.js";
import { loadSession, route, session } from "../state.js";
import { has, t } from "../strings.js";
import { useSheet } from "../sheets.js";
import { useLoad } from "../load.js";
import { Icon } from "../icons.js";
import { CopyLine } from "../settings/copy.js";
import { askPasskey, canPasskeys } from "../settings/passkey.js";
import { useRefusal } from "../settings/refusal.js";

export function SignIn() {
  const why = route.value.query.get("sign-in");
  useSheet("people");
  const { data: ways, failed } = useLoad(api.waysIn);
  if (!ways && !failed) return html`<main class="signin" id="main" />`;
  return html`<main class="signin" id="main">
    <div class="signin-card">
      <span class="mark"><${Icon} name="portal" /></span>
      <h1>${t("signin.title")}</h1>
      ${why && html`<p class="notice is-warn"><${Icon} name="warn" /><span class="grow">${refused(why)}</span></p>`}
      ${ways?.oidc.map((one) => html`<a key=${one.name} class="button" href=${api.providerAddress(one.name)} target="_self">${t("signin.at", { name: one.label })}</a>`)}
      ${ways?.passkey && canPasskeys() && html`<${ByPasskey} />`}
      ${ways?.password && html`<${ByPassword} />`}
      ${ways && (ways.password || ways.oidc.length > 0 || ways.passkey) ? html`<details class="signin-link"><summary>${t("signin.byLink")}</summary><${ByLink} /></details>` : html`<${ByLink} />`}
    </div>
  </main>`;
}
export const View = SignIn;

/** Why somebody is back here. @param {string} why */
const refused = (why) => {
  const key = `signin.why.${why}`;
  return t(why === "expired" ? "signin.expired" : has(key) ? key : "signin.why.refused");
};

function ByPasskey() {
  const { busy, error, attempt } = useRefusal();
  const enter = attempt(async () => {
    const { token, options } = await api.passkeyChallenge();
    const credential = await askPasskey(options);
    if (!credential) return;
    await api.enterByPasskey(token, credential);
    await loadSession();
  });
  return html`<form class="form" onSubmit=${enter}><button class="button" disabled=${busy}>${t("signin.byPasskey")}</button>
    <p class="bad" role="alert" dir="auto">${error}</p></form>`;
}

function ByPassword() {
  const [fields, setFields] = useState({ login: "", password: "" });
  const { busy, error, attempt } = useRefusal();
  const enter = attempt(async () => {
    await api.enterByPassword(fields.login, fields.password);
    await loadSession();
  });
  /** @param {"login"|"password"} name */
  const typed = (name) => (/** @type {any} */ event) => setFields({ ...fields, [name]: event.target.value });
  return html`<form class="form" onSubmit=${enter}>
    <div class="field"><label for="signin-login">${t("signin.login")}</label>
      <input id="signin-login" class="input" required maxlength="200" autocomplete="username" autocapitalize="none" spellcheck=${false} value=${fields.login} onInput=${typed("login")} /></div>
    <div class="field"><label for="signin-password">${t("signin.password")}</label>
      <input id="signin-password" class="input" type="password" required maxlength="512" autocomplete="current-password" value=${fields.password} onInput=${typed("password")} /></div>
    <p class="bad" role="alert" dir="auto">${error}</p>
    <button class="button primary" disabled=${busy}>${t("signin.enter")}</button>
  </form>`;
}

function ByLink() {
  const [tried, setTried] = useState(false);
  const again = async () => {
    await loadSession();
    setTried(true);
  };
  return html`<div class="column">
    <p>${t("signin.text")}</p>
    <${CopyLine} text="portal link" />
    <p class="muted small">${t("signin.checkout")}</p>
    <${CopyLine} text="./launch.sh link" />
    <p>${t("signin.then")}</p>
    <div class="row"><button type="button" class="button" onClick=${again}>${t("signin.again")}</button></div>
    <p role="status" class="muted">${tried && (session.value === "away" ? t("signin.away") : t("signin.still"))}</p>
    <p class="muted small">${t("signin.other")}</p></div>`;
}
