// The guard of the consent page, which also works without it.
"use strict";
(() => {
  const form = document.querySelector("form.guarded");
  const allow = form && form.querySelector("button[value=allow]");
  if (!allow) return;
  const delay = 500, label = allow.textContent;
  let ready = 0, pressed = 0, sent = 0;

  // A window that has just come to the front, or whose covering window has just closed, must be visible before it accepts an answer.
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

  // The pointer or key must be pressed on the button itself, and not before the delay has passed.
  const down = e => { pressed = allow.contains(e.target) && e.isTrusted && !e.repeat && performance.now() >= ready ? 1 : 0; };
  addEventListener("pointerdown", down, true);
  addEventListener("keydown", down, true);

  form.addEventListener("submit", e => {
    if (!e.submitter || !e.submitter.name) return; // Enter activates a button without effect
    const taken = !sent && (e.submitter !== allow || (pressed && performance.now() >= ready));
    pressed = 0;
    if (!taken) return e.preventDefault();
    sent = 1;
    if (e.submitter !== allow) return;
    allow.textContent = "Connecting…";
    allow.setAttribute("aria-busy", "true");
    setTimeout(reset, 10000); // a native app may have taken over, and the page is still open
  });
})();
