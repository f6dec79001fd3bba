// The service worker: keeps a copy of the page itself, so that it opens while Portal is down. The network always comes
// first, so an upgrade is seen at once; what the API answers is never kept.
const CACHE = "portal-shell";
const PAGE = "/";
const worker = /** @type {any} */ (self);

worker.addEventListener("install", (/** @type {any} */ event) => {
  worker.skipWaiting();
  event.waitUntil(caches.open(CACHE).then((cache) => cache.add(PAGE)));
});

worker.addEventListener("activate", (/** @type {any} */ event) => {
  event.waitUntil(worker.clients.claim());
});

worker.addEventListener("fetch", (/** @type {any} */ event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== worker.location.origin) return;
  if (url.pathname.startsWith("/static/")) event.respondWith(networkFirst(event, request));
  else if (request.mode === "navigate" && isView(url.pathname)) event.respondWith(networkFirst(event, PAGE));
});

/** Not the API, and not signing in, which answers by redirecting. @param {string} path */
const isView = (path) => !/^\/(v1|api|portal\/v1|sign-in|artefact|health|docs|openapi\.json)(\/|$)/.test(path);

/**
 * The network's answer, kept under `key`; without a network, the copy.
 * @param {any} event @param {Request|string} key
 */
async function networkFirst(event, key) {
  try {
    const response = await fetch(event.request);
    if (response.ok && !response.redirected) event.waitUntil(keep(key, response.clone()));
    return response;
  } catch (error) {
    const copy = await caches.match(key);
    if (copy) return copy;
    throw error;
  }
}

const AFTER_LOADING = 1000; // milliseconds: copying must not slow down the page that is being loaded

/** Renew the copy if it is another. @param {Request|string} key @param {Response} response */
async function keep(key, response) {
  await new Promise((resolve) => setTimeout(resolve, AFTER_LOADING));
  const cache = await caches.open(CACHE);
  const etag = response.headers.get("etag");
  if (etag && (await cache.match(key))?.headers.get("etag") === etag) return;
  await cache.put(key, response);
}
