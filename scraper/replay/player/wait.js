// The player's frame may be asked for before the service worker is at work. The player notices, but not always in time:
// then an empty page would stay. So this page goes as soon as the worker, which knows a better one, can answer.
"use strict";
const again = performance.getEntriesByType("navigation")[0].type === "reload";
navigator.serviceWorker.ready.then(() => setTimeout(() => location.reload(), again ? 2000 : 0));
