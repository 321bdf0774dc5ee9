/** Keeps the page's own files, so that a reload works without the server. What the devices hold is not its business. */
const CACHE = 'telemed-sync-demo';
const PAGE = './';
/** The server says `Vary: Origin`, and a page asks for its scripts with one; the file is the same for all. */
const ANY = { ignoreVary: true };

/** The hashed files that a page names. */
const assetsOf = (html) => [...html.matchAll(/(?:src|href)="(\.\/[^"]+)"/g)].map(([, path]) => path);

async function keep(response) {
  const cache = await caches.open(CACHE);
  const assets = assetsOf(await response.clone().text());
  const missing = await Promise.all(
    assets.map(async (path) => ((await cache.match(path, ANY)) ? null : path)),
  );
  await cache.addAll(missing.filter((path) => path !== null));
  await cache.put(PAGE, response);
  await forget(cache, new Set([PAGE, ...assets].map((path) => new URL(path, self.registration.scope).href)));
}

async function forget(cache, kept) {
  const old = (await cache.keys()).filter(({ url }) => !kept.has(url));
  await Promise.all(old.map((request) => cache.delete(request, ANY)));
}

async function page(event) {
  try {
    const response = await fetch(event.request);
    if (response.ok) event.waitUntil(keep(response.clone()));
    return response;
  } catch (error) {
    const before = await caches.match(PAGE, ANY);
    if (before) return before;
    throw error;
  }
}

const kept = async (request) => (await caches.match(request, ANY)) ?? fetch(request);

self.addEventListener('install', (event) => {
  self.skipWaiting();
  event.waitUntil(fetch(PAGE, { cache: 'no-cache' }).then(keep));
});
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  // Other pages of this server, such as the operator's with what it shows of patients, are none of the demo's.
  const isOther = pathname.startsWith('/api/') || pathname.startsWith('/admin');
  if (request.method !== 'GET' || origin !== self.location.origin || isOther) return;
  const isPage = pathname === new URL(PAGE, self.registration.scope).pathname;
  if (request.mode !== 'navigate') event.respondWith(kept(request));
  else if (isPage) event.respondWith(page(event));
});
