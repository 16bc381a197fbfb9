// Served by the preview alone. Shows what has been saved: loads the page again when it is another one now, goes after
// it when it has moved, and keeps the panel of what is wrong up to date. Without it the page says all of this when it
// is loaded by hand.
"use strict";
(() => {
  const page = document.currentScript.dataset.page;
  let events, asking = false, again = false;

  const look = async () => {
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    try {
      const query = new URLSearchParams({ path: location.pathname, page });
      const now = await (await fetch(`/.preview/state?${query}`)).json();
      if (now.go) location.replace(now.go);
      else if (now.reload) location.reload();
      else {
        const panel = document.getElementById("preview");
        const fresh = new DOMParser().parseFromString(now.panel, "text/html").getElementById("preview");
        const opened = panel.querySelector("details")?.open;
        if (opened) fresh.querySelector("details")?.setAttribute("open", "");
        if (panel.outerHTML !== fresh.outerHTML) panel.replaceWith(fresh);
      }
    } catch {
      // The preview has ended, or is starting: the stream of events comes back, and with it the next look.
    }
    asking = false;
    if (again) {
      again = false;
      look();
    }
  };

  const listen = () => {
    events = new EventSource("/.preview/events");
    events.addEventListener("changed", look);
    events.addEventListener("open", () => document.documentElement.removeAttribute("data-preview-ended"));
    events.addEventListener("error", () => document.documentElement.setAttribute("data-preview-ended", ""));
  };

  // A browser keeps six connections to one address: those of pages that nobody sees are let go.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) events.close();
    else listen();
  });
  listen();
})();
