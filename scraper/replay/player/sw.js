// The worker that a browser gets: ReplayWeb.page's own, as it is, below a stricter policy.
"use strict";

// The policy it gives to archived pages allows WebSockets to anywhere. They shall reach nothing but this origin.
const POLICY =
  "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' data: blob:; form-action 'self'";

function tightened(response) {
  // What came from our server has its policy already; of the other kinds only made answers carry pages.
  if (!response || response.type !== "default") return response;
  const headers = new Headers(response.headers);
  headers.set("Content-Security-Policy", POLICY);
  headers.set("X-DNS-Prefetch-Control", "off");
  headers.delete("Link"); // preload and preconnect
  headers.delete("Refresh");
  const body = [101, 204, 205, 304].includes(response.status) ? null : response.body;
  return new Response(body, { status: response.status, statusText: response.statusText, headers });
}

// The same file is also loaded as a plain worker, which answers no requests.
if (typeof FetchEvent !== "undefined") {
  const respondWith = FetchEvent.prototype.respondWith;
  FetchEvent.prototype.respondWith = function (answer) {
    respondWith.call(this, Promise.resolve(answer).then(tightened));
  };
}

importScripts("engine.js");
