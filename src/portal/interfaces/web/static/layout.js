// The shell: rail, centre, inspector. Narrow windows get the rail as a drawer and the inspector as a sheet.
import { html } from "htm/preact";
import { useEffect } from "preact/hooks";
import { closeInspector, compact, drawer, inspector, inspectorBeside, online, openDrawer, railOpen, route, runsPortal, session, setRailOpen } from "./state.js";
import { Announcer, Toasts } from "./toasts.js";
import { Modal } from "./dialogs.js";
import { lazy } from "./lazy.js";
import { Icon } from "./icons.js";
import { Rail } from "./views/rail.js";
import { View } from "./views.js";
import { Overlays, preloadPalette } from "./overlays.js";
import { troubles } from "./state/news.js";
import { t } from "./strings.js";

const Inspector = lazy(async () => (await import("./inspector.js")).Inspector);
const Trouble = lazy(async () => (await import("./trouble.js")).Trouble);
const SignIn = lazy(async () => (await import("./views/signin.js")).SignIn);

/** What is wrong is looked for by those who run this Portal, once the page is there. */
function watched() {
  if (!runsPortal.value) return;
  let [gone, end] = [false, () => {}];
  import("./state/trouble.js").then(({ watchTroubles }) => gone || (end = watchTroubles()), () => {});
  return () => {
    gone = true;
    end();
  };
}

export function Shell() {
  useEffect(() => void (document.title = t("app.name")), []);
  useEffect(preloadPalette, []);
  useEffect(watched, [runsPortal.value]);
  if (session.value === "out") return html`<${SignIn} />`;
  return html`
    <a class="skip" href="#main" onClick=${skip}>${t("app.skip")}</a>
    <div class=${railOpen.value ? "shell" : "shell rail-closed"}>
      ${!compact.value && html`<${Rail} open=${railOpen.value} />`}
      <main class="centre" id="main" tabindex="-1">
        ${!online.value ? html`<${Offline} />` : troubles.value.length > 0 && html`<${Trouble} />`}
        <${View} route=${route.value} />
      </main>
      ${inspectorBeside.value && inspector.value && html`<${Inspector} content=${inspector.value} />`}
    </div>
    ${compact.value && drawer.value && html`<${Modal} class="drawer" label=${t("rail.label")} onClose=${() => openDrawer(false)}>
      <${Rail} open=${true} />
    <//>`}
    ${!inspectorBeside.value && inspector.value && html`<${Modal} class="sheet" label=${t("inspector.label")} onClose=${closeInspector}>
      <${Inspector} content=${inspector.value} />
    <//>`}
    <${Overlays} /><${Toasts} /><${Announcer} />`;
}

/** @param {Event} event */
function skip(event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function Offline() {
  return html`<div class="notice is-warn offline" role="status"><${Icon} name="warn" /><span>${t("app.offline")}</span></div>`;
}

/**
 * The bar over a view: opens the rail where it is a drawer, names the view, carries its actions.
 * @param {{title: string, children?: any}} props
 */
export function Bar({ title, children }) {
  useEffect(() => void (document.title = title ? `${title} · ${t("app.name")}` : t("app.name")), [title]);
  const toggle = () => (compact.value ? openDrawer(true) : setRailOpen(true));
  return html`<header class="bar">
    ${compact.value && html`<button type="button" class="ghost icon-only" aria-label=${t("rail.open")} onClick=${toggle}>
      <${Icon} name="menu" />
    </button>`}
    <h1 class="grow clip">${title ? html`<span dir="auto">${title}</span>` : html`<span class="sr-only">${t("app.name")}</span>`}</h1>
    ${children}
  </header>`;
}
