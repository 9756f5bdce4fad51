"use strict";

// Keeps a form from being sent twice by an impatient second press. It only spares people
// the answer to the second one: what may happen once is the server's to keep. A form may be
// sent again after a while, or when the page is come back to.
(() => {
  const pause = 10 * 1000; // milliseconds
  const sent = new Map();
  document.addEventListener("submit", (e) => {
    if (e.defaultPrevented || e.target.method !== "post") {
      return;
    }
    if (Date.now() - (sent.get(e.target) || -pause) < pause) {
      e.preventDefault();
      return;
    }
    sent.set(e.target, Date.now());
  });
  window.addEventListener("pageshow", () => sent.clear());
})();
