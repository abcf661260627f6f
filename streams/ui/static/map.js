// The map of items: a dot an item, the list ringed, and the interest with the way that it came.

import { $, draw } from "./dom.js";

const RIM = 1.1; // where categories are named
const STEPS = 16; // of the way that are kept

let layout = null;
let byId = new Map();
let trail = [];

const layer = (name) => $("map").querySelector(`.${name}`);
const within = (value) => Math.max(-1.04, Math.min(1.04, value));

/** Which map is shown; positions of another one do not fit it. */
export const shownLayout = () => layout;

/** Draw all items. */
export function renderMap(map) {
  layout = map.layout;
  byId = new Map(map.items.map((one) => [one.item_id, one]));
  trail = [];
  const colours = new Map(map.anchors.map((one, n) => [one.category, n]));
  $("map").replaceChildren(
    draw("g", { class: "names", "aria-hidden": "true" }, ...map.anchors.map(name)),
    draw("g", { class: "dots" }, ...map.items.map((one) => dot(one, colours))),
    draw("g", { class: "rings" }),
    draw("g", { class: "way" }),
    draw("g", { class: "interest", hidden: "" }, draw("circle", { class: "halo", r: 0.085 }), draw("circle", { class: "core", r: 0.038 })),
  );
  const all = map.items.length < map.total ? `${map.items.length} of ${map.total} items` : `${map.total} items`;
  $("map-text").textContent = map.items.length
    ? `${all}, each drawn to ${map.anchors.length ? "the categories that it is like" : "its side of the two main axes"}. The large dot is this shopper's interest, the rings are the list.`
    : "Nothing on it yet.";
}

/** Move the interest to [x, y], or take it away where there is none. */
export function moveInterest(position) {
  const interest = layer("interest");
  if (!interest) return;
  if (!position) {
    trail = [];
    layer("way").replaceChildren();
    interest.setAttribute("hidden", "");
    return;
  }
  const [x, y] = [within(position[0]), within(-position[1])];
  const last = trail.at(-1);
  if (!last || Math.hypot(last[0] - x, last[1] - y) > 1e-4) trail = [...trail, [x, y]].slice(-STEPS);
  interest.removeAttribute("hidden");
  interest.style.transform = `translate(${x}px, ${y}px)`;
  const points = trail.map((one) => one.join(",")).join(" ");
  layer("way").replaceChildren(
    draw("polyline", { points }),
    ...trail.slice(0, -1).map(([cx, cy]) => draw("circle", { cx, cy, r: 0.012 })),
  );
}

/** Forget the way: another shopper. */
export const forgetWay = () => moveInterest(null);

/** Ring the items of the list. */
export function ringItems(items) {
  const known = items.map((one) => byId.get(one.item_id)).filter(Boolean);
  layer("rings")?.replaceChildren(...known.map((one) => draw("circle", { cx: within(one.x), cy: within(-one.y), r: 0.032 })));
}

function dot(one, colours) {
  const colour = colours.get(one.category);
  const title = draw("title", {}, `${one.title}${one.category ? ` (${one.category})` : ""}`);
  return draw("circle", { class: `c${colour ?? "other"}`, cx: within(one.x), cy: within(-one.y), r: 0.016 }, title);
}

/** A category's name, outside of its items. */
function name(anchor, n) {
  const length = Math.hypot(anchor.x, anchor.y) || 1;
  const [x, y] = [(RIM * anchor.x) / length, (-RIM * anchor.y) / length];
  const side = x > 0.2 ? "start" : x < -0.2 ? "end" : "middle";
  return draw("text", { class: `c${n}`, x, y, "text-anchor": side, "dominant-baseline": "middle" }, anchor.category);
}
