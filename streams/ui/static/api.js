// The page's server: JSON there and back, and the stream of what is new.

/** A refusal, with the server's sentence. */
export class Refused extends Error {}

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Refused("The playground's server does not answer: start it with `freshet ui`.");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(body.error?.message ?? `The server answered ${answer.status}.`);
  return body;
}

export const shopper = (userId) => ask(`api/shoppers/${encodeURIComponent(userId)}`);
export const itemMap = () => ask("api/map");
export const search = (text) => ask(`api/items?q=${encodeURIComponent(text)}`);

/** Send an event to Kafka; the answer has its id. */
export function send(userId, itemId, action) {
  const body = JSON.stringify({ user_id: userId, item_id: itemId, action });
  return ask("api/events", { method: "POST", headers: { "Content-Type": "application/json" }, body });
}

/** Hear of new lists of a shopper and of the status; returns a function that ends it. */
export function listen(userId, { list, status, lost }) {
  const source = new EventSource(`api/stream/${encodeURIComponent(userId)}`);
  source.addEventListener("list", (event) => list(JSON.parse(event.data)));
  source.addEventListener("status", (event) => status(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    // After a refusal the browser gives up for good; after a lost connection it comes back by itself.
    lost();
    if (source.readyState === EventSource.CLOSED) setTimeout(() => again(), 2000);
  });
  let end = () => source.close();
  const again = () => { end = listen(userId, { list, status, lost }); };
  return () => end();
}
