// No session: how to get a link that signs this browser in.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { loadSession, route, session } from "../state.js";
import { t } from "../strings.js";
import { Icon } from "../icons.js";
import { CopyLine } from "../settings/copy.js";

export function SignIn() {
  const expired = route.value.query.get("sign-in") === "expired";
  const [tried, setTried] = useState(false);
  const again = async () => {
    await loadSession();
    setTried(true);
  };
  return html`<main class="signin" id="main">
    <div class="signin-card">
      <span class="mark"><${Icon} name="portal" /></span>
      <h1>${t("signin.title")}</h1>
      ${expired && html`<p class="notice is-warn"><${Icon} name="warn" /><span class="grow">${t("signin.expired")}</span></p>`}
      <p>${t("signin.text")}</p>
      <${CopyLine} text="portal link" />
      <p class="muted small">${t("signin.checkout")}</p>
      <${CopyLine} text="./launch.sh link" />
      <p>${t("signin.then")}</p>
      <button type="button" class="button primary" onClick=${again}>${t("signin.again")}</button>
      <p role="status" class="muted">${tried && (session.value === "away" ? t("signin.away") : t("signin.still"))}</p>
      <p class="muted small">${t("signin.other")}</p>
    </div>
  </main>`;
}
export const View = SignIn;
