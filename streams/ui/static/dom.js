// Small helpers over the document: elements from data, never HTML from text.

export const $ = (id) => document.getElementById(id);

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes (functions become listeners) and children (nodes or text). */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set text only where it changed: a live region must not repeat itself. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A sentence as nodes: what is between backticks is a command. */
export const withCommands = (text) => text.split("`").map((part, n) => (n % 2 ? make("code", {}, part) : part));

export const percent = (share) => `${Math.round(100 * share)}\u00a0%`;

export const money = (price) => (price === null ? "" : price.toFixed(2));

/** How long ago, in words; times are milliseconds. */
export function ago(then, now = Date.now()) {
  const seconds = Math.max(0, (now - then) / 1000);
  if (seconds < 5) return "just now";
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`;
  return new Date(then).toISOString().slice(0, 10);
}
