// What is beside the list: the shopper, the parts and what is wrong with them, drift, models and training.

import { $, ago, make, percent, say, withCommands } from "./dom.js";

const EMPTY = "No items yet. Send some to the topic `items`, one JSON object each: `freshet replay` sends a public data set, and `make demo` has a shop of its own.";
const STATUS = { released: "Released", rejected: "Rejected by the gate", refused: "Refused", failed: "Failed" };

/** A shopper of whom nothing has been heard, and why not. */
export function renderUnknownShopper(userId, why) {
  say($("shopper-title"), userId);
  say($("summary"), why);
  $("interests").replaceChildren();
  $("history").replaceChildren();
}

export function renderShopper(one) {
  say($("shopper-title"), one.user_id);
  say($("summary"), one.summary);
  $("interests").replaceChildren(...one.interests.map(bar));
  const past = one.history.map((event) =>
    make("li", {}, make("span", { class: `did ${event.did.split(" ")[0]}` }, event.did), " ", event.title, " ", make("time", {}, ago(event.timestamp))),
  );
  $("history").replaceChildren(...(past.length ? past : [make("li", { class: "quiet" }, "Nothing yet: look at something.")]));
}

function bar(interest) {
  const fill = make("span", { class: "fill" });
  fill.style.width = `${100 * interest.share}%`;
  return make("li", {}, make("span", { class: "name" }, interest.categories.join(" › ")), make("span", { class: "share" }, percent(interest.share)), make("span", { class: "track", "aria-hidden": "true" }, fill));
}

/** The pills, and the one sentence that matters most. */
export function renderParts({ broker, catalogue, worker, hint }) {
  pill("kafka", broker.state === "live" ? "good" : broker.state === "down" ? "bad" : "busy", { live: "Kafka: live", down: "Kafka: away", reading: "Kafka: reading", connecting: "Kafka: connecting" }[broker.state]);
  pill("worker", { ready: "good", starting: "busy", away: "bad" }[worker.state], { ready: "Worker: ready", starting: "Worker: starting", away: "Worker: away" }[worker.state]);
  const [model] = worker.models;
  pill("model", model ? "good" : "busy", model ? `Model ${model.version}` : "No model at work");
  showBanner(fault({ broker, catalogue, worker, hint }));
}

function fault({ broker, catalogue, worker, hint }) {
  if (broker.state === "down") return `Kafka cannot be followed: ${broker.fault}. This page goes on by itself.`;
  if (broker.state === "live" && catalogue.items === 0) return EMPTY;
  if (worker.state === "away" && hint) return `The list cannot be had: ${hint}.`;
  if (worker.state === "starting") return `The worker is not ready. It waits for: ${worker.waiting_for.join("; ")}.`;
  return "";
}

export function showBanner(text) {
  const banner = $("banner");
  if (banner.dataset.text === text) return;
  banner.dataset.text = text;
  banner.hidden = !text;
  banner.replaceChildren(...withCommands(text));
}

function pill(name, state, text) {
  const element = $(`pill-${name}`);
  element.className = `pill ${state}`;
  say(element, text);
}

export function renderDrift({ detectors, recall, training_requested }) {
  const [first] = detectors;
  if (!first) {
    $("drift").replaceChildren(make("p", { class: "quiet" }, "Nothing measured yet: the worker learns what is usual from the first windows of events."));
    return;
  }
  const facts = [];
  if (recall !== null) facts.push(`${percent(recall)} of events were on the list before`);
  if (training_requested) facts.push(`training asked for ${ago(1000 * training_requested)}`);
  keepOpen($("drift"), 
    gauge(first),
    facts.length ? make("p", { class: "quiet" }, `${facts.join("; ")}.`) : null,
    make("details", {}, make("summary", {}, `All ${detectors.length} detectors`), make("div", { class: "gauges" }, ...detectors.map(gauge))),
  );
}

function gauge({ detector, statistic, threshold, level }) {
  const share = threshold > 0 ? Math.min(1, Math.max(0, statistic / threshold)) : 0;
  const words = { none: "no drift", warning: "warning", drift: "drift" }[level];
  const name = detector.replaceAll("_", " ");
  const fill = make("span", { class: "fill" });
  fill.style.width = `${100 * share}%`;
  const meter = { class: `gauge ${level}`, role: "meter", "aria-valuemin": 0, "aria-valuemax": 1, "aria-valuenow": share.toFixed(2), "aria-label": `${name}: ${words}`, "aria-valuetext": `${short(statistic)}, drift above ${short(threshold)}` };
  return make("div", meter, make("span", { class: "name" }, name), make("span", { class: "level" }, words), make("span", { class: "track" }, fill), make("span", { class: "numbers" }, `${short(statistic)} of ${short(threshold)}`));
}

export function renderTraining({ worker, training }) {
  const models = worker.models.map((one) => make("li", {}, make("code", {}, one.version), ` ${one.role}`));
  const versions = models.length ? make("ul", { class: "versions", "aria-label": "Models at work" }, ...models) : null;
  keepOpen($("training"), versions, ...(training ? lastTraining(training) : [make("p", { class: "quiet" }, ...withCommands("No training yet. Drift asks for one, and `freshet trainer` does it."))]));
}

function lastTraining(one) {
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...["Check", "Value", "Bound", ""].map((name) => make("th", { scope: "col" }, name)))), make("tbody", {}, ...one.checks.map(check)));
  const ndcg = one.ndcg === null ? null : make("p", { class: "quiet" }, `NDCG@10 on the newest events: ${short(one.ndcg)}, the model at work then ${short(one.champion_ndcg)}.`);
  return [
    make("p", {}, make("span", { class: `outcome ${one.status}` }, STATUS[one.status] ?? one.status), " ", make("code", {}, one.version || one.parent), ` ${ago(one.finished_at)}`),
    make("p", {}, one.sentence),
    ndcg,
    one.checks.length ? make("details", {}, make("summary", {}, `The gate's ${one.checks.length} checks`), table) : null,
  ];
}

function check({ name, value, threshold, passed, sentence }) {
  return make("tr", { title: sentence }, make("th", { scope: "row" }, name.replaceAll("_", " ")), make("td", {}, value === null ? "–" : short(value)), make("td", {}, short(threshold)), make("td", { class: passed ? "passed" : "failed" }, passed ? "passed" : "failed"));
}

/** Replace what is inside only where it changed, and leave details open that a person has opened. */
function keepOpen(parent, ...children) {
  const fresh = make("div", {}, ...children);
  if (fresh.textContent === parent.textContent) return;
  const open = parent.querySelector("details")?.open ?? false;
  const focus = parent.contains(document.activeElement);
  parent.replaceChildren(...fresh.childNodes);
  const details = parent.querySelector("details");
  if (details) details.open = open;
  if (focus) details?.querySelector("summary").focus({ preventScroll: true });
}

const short = (number) => (Math.abs(number) >= 100 ? number.toFixed(0) : Number(number.toPrecision(3)).toString());
