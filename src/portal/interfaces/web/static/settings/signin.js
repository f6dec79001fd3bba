// How one signs in oneself: name, sign-in name, password, and signing all other browsers out.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api/people.js";
import { attempt, loadSession, me, toast } from "../state.js";
import { moment } from "../format.js";
import { t } from "../strings.js";
import { useLoad } from "../load.js";
import { canPasskeys, makePasskey } from "./passkey.js";
import { useRefusal } from "./refusal.js";

export function SignInSettings() {
  return html`<${Names} /><${Password} /><${Passkeys} />`;
}

function Names() {
  const user = me.value?.user;
  const [fields, setFields] = useState({ name: user?.name ?? "", login: user?.login ?? "" });
  const { busy, error, attempt: sending } = useRefusal();
  const save = sending(async () => {
    await api.changeMe(fields);
    await loadSession();
    toast(t("account.saved"));
  });
  /** @param {"name"|"login"} name */
  const typed = (name) => (/** @type {any} */ event) => setFields({ ...fields, [name]: event.target.value });
  return html`<form class="form" onSubmit=${save}>
    <div class="form-pair">
      <div class="field"><label for="my-name">${t("people.name")}</label><input id="my-name" class="input" dir="auto" required maxlength="100" autocomplete="name" value=${fields.name} onInput=${typed("name")} /></div>
      <div class="field"><label for="my-login">${t("people.login")}</label><input id="my-login" class="input" maxlength="200" autocomplete="username" autocapitalize="none" spellcheck=${false} value=${fields.login} onInput=${typed("login")} /></div>
    </div>
    <div class="row"><button class="button" disabled=${busy || (fields.name === user?.name && fields.login === (user?.login ?? ""))}>${t("common.save")}</button></div>
    <p class="bad" role="alert" dir="auto">${error}</p>
  </form>`;
}

function Password() {
  const [fields, setFields] = useState({ current: "", password: "" });
  const { busy, error, attempt: sending } = useRefusal();
  const has = me.value?.user?.password;
  const save = sending(async () => {
    await api.changePassword(fields);
    setFields({ current: "", password: "" });
    await loadSession();
    toast(t("account.passwordSet"));
  });
  /** @param {"current"|"password"} name */
  const typed = (name) => (/** @type {any} */ event) => setFields({ ...fields, [name]: event.target.value });
  return html`<section class="column" aria-labelledby="my-password"><div><h3 id="my-password">${t("signin.password")}</h3>
      <p class="muted">${t(me.value?.user?.login ? "account.passwordAbout" : "account.loginFirst")}</p></div>
    <form class="form" onSubmit=${save}>
      <input type="text" hidden autocomplete="username" value=${me.value?.user?.login ?? ""} readonly />
      <div class="form-pair">
        ${has && html`<div class="field"><label for="password-current">${t("account.passwordCurrent")}</label><input id="password-current" class="input" type="password" required maxlength="512" autocomplete="current-password" value=${fields.current} onInput=${typed("current")} /></div>`}
        <div class="field"><label for="password-new">${t("account.passwordNew")}</label><input id="password-new" class="input" type="password" required minlength="8" maxlength="512" autocomplete="new-password" value=${fields.password} onInput=${typed("password")} /></div>
      </div>
      <div class="row"><button class="button" disabled=${busy}>${t(has ? "account.passwordChange" : "account.passwordMake")}</button></div>
      <p class="bad" role="alert" dir="auto">${error}</p>
    </form></section>`;
}

function Passkeys() {
  const { data, reload } = useLoad(api.passkeys);
  const [name, setName] = useState("");
  const { busy, error, attempt: sending } = useRefusal();
  const make = sending(async () => {
    const { token, options } = await api.newPasskey();
    const credential = await makePasskey(options);
    if (!credential) return;
    await api.addPasskey(token, credential, name);
    setName("");
    reload();
  });
  return html`<section class="column" aria-labelledby="my-passkeys"><div><h3 id="my-passkeys">${t("account.passkeys")}</h3>
      <p class="muted">${t(canPasskeys() ? "account.passkeysAbout" : "account.passkeysNot")}</p></div>
    ${Boolean(data?.data.length) && html`<ul class="lines">${data?.data.map((one) => html`<${PasskeyLine} key=${one.id} passkey=${one} onGone=${reload} />`)}</ul>`}
    ${canPasskeys() && html`<form class="form" onSubmit=${make}><div class="field"><label for="passkey-name">${t("account.passkeyName")}</label>
      <div class="row"><input id="passkey-name" class="input grow" dir="auto" required maxlength="100" autocomplete="off" value=${name} onInput=${(/** @type {any} */ event) => setName(event.target.value)} />
      <button class="button" disabled=${busy}>${t("account.passkeyAdd")}</button></div></div><p class="bad" role="alert" dir="auto">${error}</p></form>`}</section>`;
}

/** @param {{passkey: api.Passkey, onGone: () => void}} props */
function PasskeyLine({ passkey, onGone }) {
  const remove = () => attempt(async () => {
    await api.removePasskey(passkey.id);
    onGone();
  });
  const used = passkey.last_used_at ? t("settings.keyUsed", { when: moment(passkey.last_used_at) }) : t("settings.keyUnused");
  return html`<li class="line"><div class="grow"><p class="clip" dir="auto"><strong>${passkey.name}</strong></p>
    <p class="small muted">${[t("settings.created", { when: moment(passkey.created_at) }), used].join(" · ")}</p></div>
    <button type="button" class="button danger" aria-label=${t("account.passkeyRemove", { name: passkey.name })} onClick=${remove}>${t("common.delete")}</button></li>`;
}

/** Ends every other session. @param {{onDone: () => void}} props */
export function Elsewhere({ onDone }) {
  const end = () => attempt(async () => {
    const { signed_out: n } = await api.signOutEverywhere();
    toast(t("account.signedOut", { n }));
    onDone();
  });
  return html`<button type="button" class="button" onClick=${end}>${t("account.elsewhere")}</button>`;
}
