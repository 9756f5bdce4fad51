"use strict";

// Compares a file that the visitor chooses with the hashes on the page. The file is
// read by the browser and goes nowhere. Where a browser cannot compute hashes, the page
// stays as it is without a script: hashes to be compared by hand.
(() => {
  const form = document.getElementById("cocokkan");
  if (!form || !window.crypto || !window.crypto.subtle || !window.File || !File.prototype.arrayBuffer) {
    return;
  }
  const most = 64 * 1024 * 1024; // bytes; papers have at most 16 MB
  const field = document.getElementById("berkas");
  const result = document.getElementById("hasil");
  const known = Array.from(document.querySelectorAll("#sidik [data-sha256]"));
  let asked = 0; // a later choice overtakes an earlier one

  const say = (text, tone) => {
    result.textContent = text;
    result.className = "outcome" + (tone ? " " + tone : "");
  };

  const hashOf = async (file) => {
    const sum = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
    return Array.from(new Uint8Array(sum), (b) => b.toString(16).padStart(2, "0")).join("");
  };

  field.addEventListener("change", async () => {
    const mine = ++asked;
    const file = field.files[0];
    say("", "");
    if (!file) {
      return;
    }
    if (file.size > most) {
      say(form.dataset.large, "bad");
      return;
    }
    let hash;
    try {
      hash = await hashOf(file);
    } catch {
      hash = "";
    }
    if (mine !== asked) {
      return;
    }
    if (!hash) {
      say(form.dataset.unread, "bad");
      return;
    }
    const same = known.find((el) => el.dataset.sha256 === hash);
    if (same) {
      say(same.dataset.match, same.dataset.inForce ? "good" : "wait");
    } else {
      say(form.dataset.none, "bad");
    }
  });
  form.addEventListener("submit", (e) => e.preventDefault());
  document.getElementById("tanpa-skrip").hidden = true;
  form.hidden = false;
})();
