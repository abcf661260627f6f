// The ranked list: what is new in it, what moved, and focus that stays where it was.

import { $, make, money } from "./dom.js";

const SHORT = 10;
const ACTIONS = [
  ["click", "Look", "Look at"],
  ["purchase", "Buy", "Buy"],
  ["dislike", "Not for me", "Not for me:"],
];
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let shown = new Map(); // item id -> rank, as shown last
let whole = false;
let current = [];
let act = () => {};

/** Tell what happens at a button: called with item and action. */
export function onAction(handler) {
  act = handler;
  $("more").addEventListener("click", () => {
    whole = !whole;
    render(current, false);
  });
}

/** One row of an item with its buttons; `rank` is missing outside the list. */
export function row(item, rank, mark) {
  const where = [...item.categories].slice(0, 2).join(" › ");
  return make(
    "li",
    { class: `item${mark === "new" ? " fresh" : ""}`, "data-item": item.item_id },
    rank ? make("span", { class: "rank", "aria-hidden": "true" }, String(rank)) : null,
    make(
      "div",
      { class: "what" },
      make("p", { class: "title" }, item.title, mark ? make("span", { class: `mark ${mark === "new" ? "new" : ""}` }, mark) : null),
      make("p", { class: "facts" }, [where, money(item.price)].filter(Boolean).join(" · ")),
      item.why ? make("p", { class: "why" }, item.why) : null,
    ),
    make("div", { class: "actions" }, ...ACTIONS.map(([action, text, spoken]) => button(item, action, text, spoken))),
  );
}

function button(item, action, text, spoken) {
  const label = `${spoken} ${item.title}`;
  return make("button", { type: "button", class: action, "data-action": action, "aria-label": label, click: () => act(item, action) }, text);
}

/** Forget the last list: the next one is of another shopper. */
export function forget() {
  shown = new Map();
  whole = false;
}

/** Show a list; returns how many of its items were not in the one before. `fresh`: mark what changed. */
export function render(items, fresh = true) {
  current = items;
  const list = $("list");
  const focus = focused(list);
  const before = places(list);
  const known = shown.size > 0;
  const visible = whole ? items : items.slice(0, SHORT);
  list.replaceChildren(...visible.map((item, n) => row(item, n + 1, fresh && known ? markOf(item, n + 1) : "")));
  list.setAttribute("aria-busy", "false");
  move(list, before);
  restore(list, focus);
  const news = known ? items.filter((item) => !shown.has(item.item_id)).length : 0;
  if (fresh) shown = new Map(items.map((item, n) => [item.item_id, n + 1]));
  showMore(items.length);
  return news;
}

/** Rows without words, while the list is on its way. */
export function renderLoading() {
  const rows = Array.from({ length: 6 }, () => make("li", { class: "item loading", "aria-hidden": "true" }));
  $("list").replaceChildren(...rows);
  $("list").setAttribute("aria-busy", "true");
  $("more").hidden = true;
}

function markOf(item, rank) {
  const old = shown.get(item.item_id);
  if (old === undefined) return "new";
  return old === rank ? "" : old > rank ? `↑ ${old - rank}` : `↓ ${rank - old}`;
}

function showMore(count) {
  const more = $("more");
  more.hidden = count <= SHORT;
  more.textContent = whole ? `Show the first ${SHORT}` : `Show all ${count}`;
  more.setAttribute("aria-expanded", String(whole));
}

function focused(list) {
  const at = document.activeElement;
  if (!list.contains(at) || at === list) return null;
  const item = at.closest("li");
  return { id: item.dataset.item, place: [...list.children].indexOf(item), action: at.dataset.action };
}

/** Whoever works with the keyboard stays at the item, or at its place where the item has gone. */
function restore(list, focus) {
  if (!focus) return;
  const rows = [...list.children];
  const item = rows.find((one) => one.dataset.item === focus.id) ?? rows[Math.min(focus.place, rows.length - 1)];
  (item?.querySelector(`[data-action=${focus.action}]`) ?? list).focus({ preventScroll: true });
}

function places(list) {
  return new Map([...list.children].map((one) => [one.dataset.item, one.getBoundingClientRect().top]));
}

/** Rows glide from where they were. */
function move(list, before) {
  if (calm.matches) return;
  for (const one of list.children) {
    const from = before.get(one.dataset.item);
    const by = from === undefined ? 0 : from - one.getBoundingClientRect().top;
    if (by) one.animate([{ transform: `translateY(${by}px)` }, { transform: "none" }], { duration: 280, easing: "ease-out" });
  }
}
