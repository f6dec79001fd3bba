// Makes the page installable, and lets it open while Portal is down. Browsers allow it on loopback and HTTPS only.
export function installWorker() {
  if (!("serviceWorker" in navigator) || !isSecureContext) return;
  const register = () => navigator.serviceWorker.register("/sw.js").catch(() => {}); // refused, as in a private window: the page works without it
  if (document.readyState === "complete") register();
  else addEventListener("load", register, { once: true });
}
