"use strict";
// The page reads well without this: it shows a trial's card where it is pointed at, and switches themes.
const root = document.documentElement;
const tip = document.getElementById("tip");
const REACH = 26; // pixels between a pointer and the mark it means
let pinned = false;
let shown = null;

function mark(trial, on) {
  for (const each of document.querySelectorAll(`.marks [data-trial="${trial}"]`)) {
    each.classList.toggle("on", on);
  }
}

function hide() {
  if (shown !== null) mark(shown, false);
  shown = null;
  pinned = false;
  tip.hidden = true;
  tip.classList.remove("pinned");
}

function show(target) {
  const trial = target.dataset.trial;
  if (shown !== trial) {
    if (shown !== null) mark(shown, false);
    shown = trial;
    mark(trial, true);
    tip.replaceChildren(document.getElementById(`card-${trial}`).content.cloneNode(true));
  }
  tip.hidden = false;
  place(target);
}

function place(target) {
  if (matchMedia("(max-width: 40rem)").matches) return; // a sheet at the bottom, by style
  let box = target.getBoundingClientRect();
  if (target.tagName === "path") {
    const end = target.getPointAtLength(target.getTotalLength());
    const at = end.matrixTransform(target.getScreenCTM());
    box = { left: at.x, right: at.x, top: at.y, bottom: at.y };
  }
  const width = tip.offsetWidth, height = tip.offsetHeight, gap = 14;
  const right = box.right + gap + width < innerWidth;
  const left = right ? box.right + gap : Math.max(8, box.left - gap - width);
  const middle = (box.top + box.bottom) / 2 - height / 2;
  tip.style.left = `${left}px`;
  tip.style.top = `${Math.max(8, Math.min(middle, innerHeight - height - 8))}px`;
}

function nearest(drawing, event) {
  let best = null, least = REACH;
  for (const each of drawing.querySelectorAll("circle[data-trial]")) {
    const box = each.getBoundingClientRect();
    const x = (box.left + box.right) / 2 - event.clientX;
    const y = (box.top + box.bottom) / 2 - event.clientY;
    const away = Math.hypot(x, y);
    if (away <= least) { least = away; best = each; } // of equals, the one on top
  }
  return best || event.target.closest("path[data-trial]");
}

function step(drawing, from, key) {
  const all = [...drawing.querySelectorAll("[data-trial]")];
  const at = (each) => each.getBoundingClientRect().right;
  all.sort((a, b) => at(a) - at(b));
  const index = all.indexOf(from);
  const places = { ArrowRight: index + 1, ArrowDown: index + 1, ArrowLeft: index - 1, ArrowUp: index - 1, Home: 0, End: all.length - 1 };
  const to = all[places[key]];
  if (to) {
    from.tabIndex = -1;
    to.tabIndex = 0;
    to.focus({ preventScroll: true });
  }
}

for (const drawing of document.querySelectorAll(".drawing:has([data-trial])")) {
  drawing.addEventListener("pointermove", (event) => {
    if (pinned || event.pointerType === "touch") return;
    const target = nearest(drawing, event);
    if (target) show(target); else hide();
  });
  drawing.addEventListener("pointerleave", (event) => {
    if (!pinned && event.pointerType !== "touch" && !drawing.contains(document.activeElement)) hide();
  });
  drawing.addEventListener("click", (event) => {
    const target = nearest(drawing, event);
    const again = pinned && target && target.dataset.trial === shown;
    hide();
    if (target && !again) {
      show(target);
      pinned = true;
      tip.classList.add("pinned");
    }
    event.stopPropagation();
  });
  drawing.addEventListener("focusin", (event) => {
    if (event.target.matches("[data-trial]") && !pinned) show(event.target);
  });
  drawing.addEventListener("focusout", () => { if (!pinned) hide(); });
  drawing.addEventListener("keydown", (event) => {
    if (/^(Arrow|Home|End)/.test(event.key)) {
      event.preventDefault();
      pinned = false;
      step(drawing, event.target, event.key);
    }
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      pinned = !pinned;
      tip.classList.toggle("pinned", pinned);
    }
  });
}
document.addEventListener("click", (event) => { if (!tip.contains(event.target)) hide(); });
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
addEventListener("scroll", () => { if (!pinned && !document.activeElement.matches("[data-trial]")) hide(); }, { passive: true });
addEventListener("beforeprint", () => { for (const each of document.querySelectorAll("details")) each.open = true; });

const button = document.getElementById("theme");
function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}
function say() { button.setAttribute("aria-pressed", String(isDark())); }
function kept(theme) {
  try { // a page opened from a file may have nowhere to keep it
    if (theme) localStorage.setItem("theme", theme);
    return localStorage.getItem("theme");
  } catch { return null; }
}
if (["light", "dark"].includes(kept())) root.dataset.theme = kept();
button.hidden = false;
button.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  kept(root.dataset.theme);
  say();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", say);
say();
