// Keeps the page, so that it opens without a network.
const NAME = `netdsl-playground-${VERSION}`;

self.addEventListener("install", event => event.waitUntil((async () => {
  const cache = await caches.open(NAME);
  await Promise.all(KEPT.map(async name => {
    // names have hashes of what is in them, so what the page has just loaded need not be sent again
    const response = await fetch(name, { cache: name === "./" ? "no-cache" : "force-cache" });
    if (!response.ok) throw new Error(`${name}: ${response.status}`);
    await cache.put(name, response);
  }));
  await self.skipWaiting();
})()));

self.addEventListener("activate", event => event.waitUntil((async () => {
  for (const name of await caches.keys())
    if (name.startsWith("netdsl-playground-") && name !== NAME) await caches.delete(name);
  await self.clients.claim();
})()));

self.addEventListener("fetch", event => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin) return;
  event.respondWith((async () => {
    const cache = await caches.open(NAME);
    const page = event.request.mode === "navigate" && new URL("./", self.location).pathname === url.pathname.replace(/index\.html$/, "");
    const kept = await cache.match(page ? "./" : event.request, { ignoreSearch: true });
    if (!page) return kept ?? fetch(event.request);
    // the page itself is the newest that can be had
    try {
      const response = await fetch(event.request);
      if (response.ok) return response;
    } catch {
      // there is no network
    }
    return kept ?? Response.error();
  })());
});
