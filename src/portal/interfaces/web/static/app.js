// Starts the page: draws the shell, follows the address, loads what the first view needs, listens for changes.
import { render } from "preact";
import { html } from "htm/preact";
import { followChanges, loadSession, session, toast } from "./state.js";
import { startRouter } from "./router.js";
import { startShortcuts } from "./shortcuts.js";
import { installWorker } from "./install.js";
import { effect } from "@preact/signals";
import { setLanguage, t } from "./strings.js";
import { Shell } from "./layout.js";
import { ApiError } from "./api.js";

const root = /** @type {HTMLElement} */ (document.getElementById("app"));

/** What nobody caught: a refused call is told as it is, anything else is our fault. @param {unknown} error */
function tell(error) {
  if (error instanceof ApiError) return toast(error.status ? error.message : t("error.unreachable"));
  toast(t("app.failed"), { action: t("app.reload"), run: () => location.reload() });
}

addEventListener("error", (event) => tell(event.error));
addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof ApiError) event.preventDefault();
  tell(event.reason);
});

async function start() {
  await setLanguage(localStorage.getItem("portal:language"));
  startRouter();
  startShortcuts();
  installWorker();
  root.replaceChildren();
  render(html`<${Shell} />`, root);
  loadSession();
  let begun = false;
  effect(() => {
    const now = session.value;
    if (now === "out") begun = false;
    else if (now !== "starting" && !begun) {
      begun = true;
      followChanges();
    }
  });
}

start();
