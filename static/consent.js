// The guard of the consent page. Without it the page works all the same.
"use strict";
(() => {
  const form = document.querySelector("form.guarded");
  const allow = form && form.querySelector("button[value=allow]");
  if (!allow) return;
  const delay = 500, label = allow.textContent;
  let ready = 0, pressed = 0, sent = 0;

  // A window that has just come to the front, or has just closed the one above it, must be seen before it is answered.
  const rest = () => { ready = performance.now() + delay; };
  const reset = () => { sent = 0; allow.textContent = label; allow.removeAttribute("aria-busy"); };
  const begin = () => {
    rest();
    reset();
    allow.disabled = true;
    setTimeout(() => { allow.disabled = false; }, delay);
  };
  addEventListener("pageshow", begin);
  addEventListener("focus", rest);
  document.addEventListener("visibilitychange", rest);

  // The pointer, or the key, must go down on the button itself, and no sooner than it may.
  const down = e => { pressed = allow.contains(e.target) && e.isTrusted && !e.repeat && performance.now() >= ready ? 1 : 0; };
  addEventListener("pointerdown", down, true);
  addEventListener("keydown", down, true);

  form.addEventListener("submit", e => {
    if (!e.submitter || !e.submitter.name) return; // Enter, which presses a button that does nothing
    const taken = !sent && (e.submitter !== allow || (pressed && performance.now() >= ready));
    pressed = 0;
    if (!taken) return e.preventDefault();
    sent = 1;
    if (e.submitter !== allow) return;
    allow.textContent = "Connecting…";
    allow.setAttribute("aria-busy", "true");
    setTimeout(reset, 10000); // a native app may have taken over, and left the page as it is
  });
})();
