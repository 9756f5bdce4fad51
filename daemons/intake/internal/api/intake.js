// Sends the form without leaving the page, so that the chosen files stay chosen.
// Without this script the form works as well; files are then chosen again.
"use strict";
for (const form of document.querySelectorAll("form")) {
  for (const note of document.querySelectorAll(".noscript")) note.hidden = true;
  form.addEventListener("submit", async (event) => {
    if (event.submitter && event.submitter.value === "marked") return; // the browser saves the answer, and the page stays
    event.preventDefault();
    const buttons = form.querySelectorAll("button");
    const result = document.getElementById("hasil");
    const data = new FormData(form);
    if (event.submitter) data.set(event.submitter.name, event.submitter.value); // older browsers leave it out
    for (const b of buttons) b.disabled = true;
    result.setAttribute("aria-busy", "true");
    result.textContent = "Sedang mengirim dan memeriksa berkas…";
    try {
      const answer = await fetch(form.action, { method: "POST", body: data });
      if (answer.redirected) {
        location.href = answer.url;
        return;
      }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const told = page.getElementById("hasil");
      if (told) result.replaceChildren(...told.childNodes);
      else result.textContent = "Jawaban tidak dapat dibaca. Coba lagi.";
      for (const note of result.querySelectorAll(".noscript")) note.hidden = true;
      // Rows left empty are gone in the answer, and the others have moved up.
      for (const id of ["f-lines", "f-purchase_orders"]) {
        const there = page.getElementById(id);
        if (there) document.getElementById(id).replaceWith(there);
      }
      const key = page.querySelector("input[name=_key]"); // a form that was used up has another
      if (key) form.querySelector("input[name=_key]").value = key.value;
      for (const field of form.querySelectorAll(".field")) mark(field, page);
    } catch {
      result.textContent = "Sambungan terputus. Pilih tombol yang sama sekali lagi: kiriman yang sama tidak menjadi dua permohonan.";
    } finally {
      for (const b of buttons) b.disabled = false;
      result.removeAttribute("aria-busy");
      const more = event.submitter && event.submitter.value === "more" && document.getElementById("tambah");
      if (more) {
        more.focus();
      } else {
        result.focus();
        result.scrollIntoView();
      }
    }
  });
}

// mark gives a field the fault that the answer has for it.
function mark(field, page) {
  const input = field.querySelector("input, select, textarea");
  const there = page.getElementById(input.id);
  if (!there) return; // it came with the answer, or the answer is another page
  const fault = there.closest(".field").querySelector(".fault");
  const old = field.querySelector(".fault");
  if (old) old.remove();
  field.classList.toggle("wrong", !!fault);
  if (fault) {
    input.before(fault);
    input.setAttribute("aria-invalid", "true");
  } else {
    input.removeAttribute("aria-invalid");
  }
}
