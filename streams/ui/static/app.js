// Wires the page: who the shopper is, what is sent, what comes back, and how long that took.

import * as api from "./api.js";
import { $, make, say, withCommands } from "./dom.js";
import * as list from "./list.js";
import * as map from "./map.js";
import * as panels from "./panels.js";

const PATIENCE_MS = 10000;
const PAUSE_MS = 150;

let user = "";
let end = () => {};
let workerState = "";
let mapped = "";
let due = 0;
const sent = new Map(); // event id -> when its button was pressed
const seen = new Map(); // event id -> when its list was shown, kept: it may come before the answer to the click
const times = [];

const newUser = () => `guest-${Math.random().toString(36).slice(2, 8)}`;

/** The shopper whom the address names, so that a page can be kept or sent. */
function named() {
  try {
    return decodeURIComponent(location.hash.slice(1)).slice(0, 256);
  } catch {
    return "";
  }
}

/** Become a shopper. */
function become(userId) {
  user = userId;
  end();
  list.forget();
  list.renderLoading();
  map.forgetWay();
  panels.renderUnknownShopper(userId, "Loading …");
  location.hash = encodeURIComponent(userId);
  choose(userId);
  end = api.listen(userId, { list: listCame, status: statusCame, lost: connectionLost });
  load(true);
}

/** Ask for the shopper; the list only where it is not known from the stream. */
async function load(withList) {
  const asked = user;
  try {
    const one = await api.shopper(asked);
    if (asked !== user) return;
    panels.renderShopper(one);
    if (withList) showList(one.list, one.basis);
    say($("basis"), basisOf(one));
    await showPlace(one);
  } catch (error) {
    if (asked !== user) return;
    if (withList) $("list").replaceChildren();
    $("list").setAttribute("aria-busy", "false");
    $("basis").replaceChildren(...withCommands(error.message));
    if (withList) panels.renderUnknownShopper(asked, "Nothing can be told of this shopper now.");
  }
}

function basisOf(one) {
  if (one.basis !== "history") return one.list.items.length ? "No history: this is what is trending. Look at something, and the list follows." : "No history, and nothing trends yet: look at something from the catalogue below.";
  return `From ${one.events} ${one.events === 1 ? "event" : "events"}, by model ${one.list.model_version}.`;
}

function showList(found) {
  const news = list.render(found.items);
  map.ringItems(found.items);
  return news;
}

async function showPlace(one) {
  if (one.layout ? map.shownLayout() !== one.layout : !mapped) {
    map.renderMap(await api.itemMap());
    mapped = map.shownLayout();
  }
  map.moveInterest(one.position);
}

/** A list was published for this shopper. */
function listCame(found) {
  const news = showList(found);
  requestAnimationFrame(() => {
    seen.set(found.event_id, performance.now());
    if (seen.size > 50) seen.delete(seen.keys().next().value);
    if (!settle(found.event_id, news)) say($("announce"), `The list changed: ${news} new.`);
  });
  clearTimeout(due);
  due = setTimeout(() => load(false), PAUSE_MS);
}

/** Say how long a click took, when both its answer and its list are here; whether they are. */
function settle(eventId, news) {
  if (!sent.has(eventId) || !seen.has(eventId)) return false;
  const took = Math.round(seen.get(eventId) - sent.get(eventId));
  sent.delete(eventId);
  times.push(took);
  const sorted = times.slice(-50).sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];
  say($("timing-ms"), `${took} ms`);
  say($("timing-text"), `from click to list${times.length > 1 ? ` (median of ${sorted.length}: ${median} ms)` : ""}`);
  $("timing").hidden = false;
  say($("announce"), `The list changed in ${took} milliseconds${news === undefined ? "" : `: ${news} new`}.`);
  return true;
}

async function act(item, action) {
  const pressed = performance.now();
  say($("announce"), "Sent.");
  try {
    const { event_id } = await api.send(user, item.item_id, action);
    sent.set(event_id, pressed);
    settle(event_id);
    setTimeout(() => late(event_id), PATIENCE_MS);
  } catch (error) {
    say($("announce"), error.message);
    panels.showBanner(error.message);
  }
}

function late(eventId) {
  if (sent.delete(eventId)) panels.showBanner("The event lies in Kafka, but no new list has come for ten seconds: see the worker's log.");
}

function statusCame(status) {
  panels.renderParts(status);
  panels.renderDrift(status.worker);
  panels.renderTraining(status);
  showVisitors(status.visitors);
  // A worker that has come back may have changed everything.
  if (workerState && workerState !== "ready" && status.worker.state === "ready") load(true);
  if (workerState === "" || status.catalogue.items === 0) find();
  workerState = status.worker.state;
}

function connectionLost() {
  panels.showBanner("The playground's server does not answer: start it with `freshet ui`. This page connects again by itself.");
}

function showVisitors(visitors) {
  const select = $("visitor");
  if (document.activeElement === select) return; // Not under a person's hands.
  const known = visitors.some((one) => one.user_id === user) ? [] : [{ user_id: user, events: 0 }];
  const wanted = [...known, ...visitors].map(({ user_id, events }) => [user_id, events ? `${user_id} (${events} lately)` : `${user_id} (new)`]);
  select.replaceChildren(...wanted.map(([value, text]) => make("option", { value }, text)));
  select.value = user;
}

function choose(userId) {
  const select = $("visitor");
  if (![...select.options].some((one) => one.value === userId)) select.prepend(make("option", { value: userId }, `${userId} (new)`));
  select.value = userId;
}

async function find() {
  const text = $("query").value;
  const { items } = await api.search(text).catch(() => ({ items: [] }));
  if (text !== $("query").value) return;
  const rows = items.slice(0, 6).map((item) => list.row(item));
  $("found").replaceChildren(...(rows.length || !text ? rows : [make("li", { class: "quiet" }, "Nothing of that name.")]));
}

list.onAction(act);
$("visitor").addEventListener("change", (event) => become(event.target.value));
$("new-shopper").addEventListener("click", () => become(newUser()));
$("choose").addEventListener("submit", (event) => event.preventDefault());
$("search").addEventListener("submit", (event) => event.preventDefault());
$("query").addEventListener("input", () => { clearTimeout(find.due); find.due = setTimeout(find, PAUSE_MS); });
addEventListener("hashchange", () => { if (named() && named() !== user) become(named()); });
become(named() || newUser());
