// The people of this Portal, for those who run it: let in, invite, change the role of, suspend, delete.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api/people.js";
import { attempt, me, toast } from "../state.js";
import { moment } from "../format.js";
import { t } from "../strings.js";
import { Modal } from "../dialogs.js";
import { useLoad } from "../load.js";
import { Icon } from "../icons.js";
import { Menu } from "../menu.js";
import { CopyLine } from "./copy.js";
import { Limits, boundsInWords, toBounds, toFields } from "./limits.js";
import { useRefusal } from "./refusal.js";

/** @typedef {import("../api/people.js").Person} Person @typedef {import("../api/people.js").Role} Role */
/** @typedef {{name: string, url: string, expires_at: number}} Invited */

const RANKS = { guest: 0, member: 1, admin: 2, owner: 3 };
/** Those below oneself: what one gives, and whom one manages. */
const below = () => /** @type {Role[]} */ (["admin", "member", "guest"]).filter((role) => RANKS[role] < mine());
const mine = () => RANKS[/** @type {Role} */ (me.value?.user?.role ?? "guest")];

export function People() {
  const { data, failed, reload } = useLoad(api.people);
  const [invited, setInvited] = useState(/** @type {Invited|null} */ (null));
  return html`<p class="muted">${t("people.about")} <a href="/manual/people">${t("people.how")}</a></p>
    ${invited ? html`<div class="notice fresh" role="status"><p class="grow">${t("people.invited", { name: invited.name, when: moment(invited.expires_at) })}</p>
      <${CopyLine} text=${invited.url} /><button type="button" class="button" onClick=${() => setInvited(null)}>${t("people.sent")}</button></div>`
      : html`<${NewPerson} onMade=${(/** @type {Invited} */ made) => { setInvited(made); reload(); }} />`}
    ${failed && html`<p class="bad">${failed.status === 403 ? failed.message : t("settings.loadFailed")}</p>`}
    <ul class="lines">${data?.data.map((one) => html`<${Line} key=${one.id} person=${one} everybody=${data.data} onInvited=${setInvited} onChanged=${reload} />`)}</ul>`;
}

/** @param {{onMade: (made: any) => void}} props */
function NewPerson({ onMade }) {
  const [fields, setFields] = useState({ name: "", login: "", role: /** @type {Role} */ ("member") });
  const { busy, error, attempt: sending } = useRefusal();
  const make = sending(async () => {
    onMade(await api.addPerson({ ...fields, name: fields.name.trim() }));
    setFields({ name: "", login: "", role: "member" });
  });
  /** @param {keyof typeof fields} name */
  const typed = (name) => (/** @type {any} */ event) => setFields({ ...fields, [name]: event.target.value });
  return html`<form class="form" onSubmit=${make}>
    <div class="form-pair">
      <div class="field"><label for="person-name">${t("people.name")}</label><input id="person-name" class="input" dir="auto" required maxlength="100" autocomplete="off" value=${fields.name} onInput=${typed("name")} /></div>
      <div class="field"><label for="person-login">${t("people.login")}</label><input id="person-login" class="input" maxlength="200" autocomplete="off" autocapitalize="none" spellcheck=${false} value=${fields.login} onInput=${typed("login")} /></div>
    </div>
    <div class="row"><label class="row"><span class="label">${t("people.role")}</span><select class="input" value=${fields.role} onChange=${typed("role")}>${below().map((role) => html`<option key=${role} value=${role}>${t(`people.role.${role}`)}</option>`)}</select></label>
      <button class="button primary" disabled=${busy || !fields.name.trim()}>${t("people.add")}</button></div>
    <p class="bad" role="alert" dir="auto">${error}</p>
  </form>`;
}

/** @param {{person: Person, everybody: Person[], onInvited: (made: Invited) => void, onChanged: () => void}} props */
function Line({ person, everybody, onInvited, onChanged }) {
  const [leaving, setLeaving] = useState(false);
  const [bounding, setBounding] = useState(false);
  const { name } = person;
  /** @param {{role?: Role, suspended?: boolean}} fields @param {string} told */
  const change = (fields, told) => attempt(async () => {
    await api.changePerson(person.id, fields);
    toast(told);
    onChanged();
  });
  const invite = () => attempt(async () => onInvited({ name, ...(await api.invitePerson(person.id)) }));
  const roles = /** @type {("admin"|"member"|"guest")[]} */ (below().filter((role) => role !== person.role));
  /** @type {{label: string, run: () => unknown, danger?: boolean}[]} */
  const items = [
    { label: t("people.invite"), run: invite },
    ...roles.map((role) => ({ label: t(`people.make.${role}`), run: () => change({ role }, t("people.changed", { name })) })),
    { label: t("people.limit"), run: () => setBounding(true) },
    person.suspended ? { label: t("people.resume"), run: () => change({ suspended: false }, t("people.resumed", { name })) }
      : { label: t("people.suspend"), run: () => change({ suspended: true }, t("people.isSuspended", { name })) },
    { label: t("people.delete"), run: () => setLeaving(true), danger: true },
  ];
  return html`<li class="line"><div class="grow"><p class="clip"><strong dir="auto">${name}</strong> <span class="tag">${t(`people.role.${person.role}`)}</span>${person.suspended && html` <span class="tag bad">${t("people.suspended")}</span>`}</p>
    <p class="small muted" dir="auto">${[person.login, t("settings.created", { when: moment(person.created_at) }), ...boundsInWords(person.limits)].filter(Boolean).join(" · ")}</p></div>
    ${RANKS[person.role] < mine() && html`<${Menu} label=${t("people.actions", { name })} button=${html`<${Icon} name="more" />`} align="end">${(/** @type {() => void} */ close) => items.map((item) =>
      html`<button key=${item.label} type="button" role="menuitem" tabindex="-1" class=${item.danger ? "danger" : ""} onClick=${() => { close(); item.run(); }}>${item.label}</button>`)}<//>`}
    ${bounding && html`<${Bound} person=${person} onChanged=${onChanged} onClose=${() => setBounding(false)} />`}
    ${leaving && html`<${Leave} person=${person} heirs=${everybody.filter((one) => one.id !== person.id && !one.suspended)} onGone=${onChanged} onClose=${() => setLeaving(false)} />`}</li>`;
}

/** What bounds them beside their role. @param {{person: Person, onChanged: () => void, onClose: () => void}} props */
function Bound({ person, onChanged, onClose }) {
  const [fields, setFields] = useState(() => toFields(person.limits));
  const { busy, error, attempt: sending } = useRefusal();
  const title = t("people.limitNamed", { name: person.name });
  const save = sending(async () => {
    await api.changePerson(person.id, { limits: toBounds(fields) });
    onClose();
    toast(t("people.limited", { name: person.name }));
    onChanged();
  });
  return html`<${Modal} label=${title} onClose=${onClose}><form class="dialog-body" onSubmit=${save}><h2>${title}</h2>
    <${Limits} fields=${fields} change=${(/** @type {Partial<typeof fields>} */ some) => setFields({ ...fields, ...some })} person=${true} />
    <p class="bad" role="alert" dir="auto">${error}</p>
    <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t("common.cancel")}</button>
      <button class="button primary" disabled=${busy}>${t("common.save")}</button></div></form><//>`;
}

/** What becomes of what they made. @param {{person: Person, heirs: Person[], onGone: () => void, onClose: () => void}} props */
function Leave({ person, heirs, onGone, onClose }) {
  const [heir, setHeir] = useState(me.value?.user?.id ?? "");
  const title = t("people.deleteNamed", { name: person.name });
  const go = () => attempt(async () => {
    onClose();
    await api.deletePerson(person.id, heir);
    toast(t("people.deleted", { name: person.name }));
    onGone();
  });
  return html`<${Modal} label=${title} onClose=${onClose}><div class="dialog-body"><h2>${title}</h2>
    <div class="field"><label for="heir">${t("people.heir")}</label><select id="heir" class="input" value=${heir} onChange=${(/** @type {any} */ event) => setHeir(event.target.value)}>
      ${heirs.map((one) => html`<option key=${one.id} value=${one.id}>${t("people.heirGets", { name: one.name })}</option>`)}
      <option value="">${t("people.heirNobody")}</option></select></div>
    <p>${t(heir ? "people.heirText" : "people.nobodyText")}</p>
    <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t("common.cancel")}</button>
      <button type="button" class="button danger" onClick=${go}>${t("people.delete")}</button></div></div><//>`;
}
