// netdsl in a worker. One request is under way at a time; what takes too long is ended, and the worker begun anew.

export class Stopped extends Error {}

export class Engine {
  #worker;
  #ready;
  #waiting = [];
  #running = null;
  #count = 0;

  /** `told` gets {ready, ms, why} or {failed} when the worker has started, and {restarted} when it was ended. */
  constructor(told = () => {}) {
    this.told = told;
    this.#begin();
  }

  #begin() {
    this.#ready = false;
    this.#worker = new Worker(new URL(WORKER + (new URLSearchParams(location.search).has("plain") ? "?plain" : ""), document.baseURI), { type: "module" });
    this.#worker.onmessage = ({ data }) => this.#heard(data);
    this.#worker.onerror = event => {
      event.preventDefault();
      this.#heard({ failed: event.message || "the worker cannot be started" });
    };
  }

  #heard(data) {
    if (data.id === undefined) {
      this.#ready = data.ready ?? false;
      this.told(data);
      if (data.failed) this.#fail(new Error(data.failed));
      this.#next();
      return;
    }
    if (data.id !== this.#running?.id) return;
    const { done, fail, timer } = this.#running;
    clearTimeout(timer);
    this.#running = null;
    if (data.failed) {
      this.restart();
      fail(new Stopped(`netdsl gave up: ${data.failed}`));
    } else done({ ...JSON.parse(data.answer), ms: data.ms });
    this.#next();
  }

  #fail(error) {
    for (const one of [this.#running, ...this.#waiting].filter(Boolean)) {
      clearTimeout(one.timer);
      one.fail(error);
    }
    this.#running = null;
    this.#waiting = [];
  }

  restart() {
    this.#worker.terminate();
    this.told({ restarted: true });
    this.#begin();
  }

  /** Return {value, ms} or {errors, ms}. Of requests under one `key` that wait only the last one is made. */
  ask(what, request, { key = what, seconds = 30 } = {}) {
    return new Promise((done, fail) => {
      const same = this.#waiting.findIndex(one => one.key === key);
      if (same >= 0) this.#waiting.splice(same, 1)[0].done({ superseded: true });
      this.#waiting.push({ id: ++this.#count, key, seconds, done, fail, request: JSON.stringify({ what, ...request }) });
      this.#next();
    });
  }

  #next() {
    if (!this.#ready || this.#running || !this.#waiting.length) return;
    const one = (this.#running = this.#waiting.shift());
    one.timer = setTimeout(() => {
      this.#running = null;
      this.restart();
      one.fail(new Stopped(`this took more than ${one.seconds} s and was ended; the text is as it was`));
    }, 1000 * one.seconds);
    this.#worker.postMessage({ id: one.id, request: one.request });
  }
}
