// The work a form asks for while many programs knock at the door: find the number below `most` whose SHA-256,
// after the form's stamp, is `challenge` (newsletter/door/stamps.py). Nothing is fetched and nothing is kept.
"use strict";

(async () => {
  const field = document.querySelector("input[name=work][data-challenge]");
  const stamp = field && field.form.elements.stamp.value;
  if (!field || !window.crypto || !crypto.subtle) return;
  const { challenge, most } = field.dataset;
  const words = field.form.querySelector("[data-working]");
  const encoder = new TextEncoder();
  let wanted = null; // the button that was pressed before the number was found

  const hold = (event) => {
    event.preventDefault();
    wanted = event.submitter;
  };
  field.form.addEventListener("submit", hold);
  words.textContent = words.dataset.working;

  const matches = async (number) => {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(`${stamp}${number}`)));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("") === challenge;
  };
  for (let first = 0; first < most && field.value === ""; first += 500) {
    const found = (await Promise.all(Array.from({ length: 500 }, (_, step) => matches(first + step)))).indexOf(true);
    if (found >= 0) field.value = first + found;
  }

  words.textContent = words.dataset.done;
  field.form.removeEventListener("submit", hold);
  if (wanted) field.form.requestSubmit(wanted);
})();
